// Choosing a scale, or a scale and an offset, for a group of weights: least squares over a few candidates.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "quant/law.h"

namespace puna::quant {

/// Candidates stretch the natural scale by these factors: a slightly smaller scale clips the extremes and serves the
/// bulk better, a larger one does the reverse.
constexpr std::array<float, 9> scale_stretches = {1.0f, 0.8f, 0.85f, 0.9f, 0.95f, 1.05f, 1.1f, 1.15f, 1.2f};

/// sum of a * b, in four lanes. a, b: [n], n a multiple of 4.
inline double dot(const float* a, const float* b, int n) {
    double lanes[4] = {};
    for (int i = 0; i < n; i += 4) {
        for (int j = 0; j < 4; ++j)
            lanes[j] += static_cast<double>(a[i + j]) * static_cast<double>(b[i + j]);
    }
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

/// sum of a, in four lanes.
inline double sum(const float* a, int n) {
    double lanes[4] = {};
    for (int i = 0; i < n; i += 4) {
        for (int j = 0; j < 4; ++j)
            lanes[j] += static_cast<double>(a[i + j]);
    }
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

/// The scale for which the sum of (x - scale * q)^2 is least among the candidates. `nearest(v)` gives the q nearest to
/// v; `extreme` is the q of the largest magnitude, which the element of the largest magnitude is laid on.
/// x: [width]. Returns 0 if all of x is 0.
template <int width, typename Nearest>
float fit_scale(const float* x, int extreme, Nearest nearest) {
    const float natural = largest_magnitude(x, width) / static_cast<float>(extreme);
    float best = natural;
    double best_gain = 0.0;
    for (const float stretch : scale_stretches) {
        const float inverse = reciprocal_or_zero(natural * stretch);
        float q[width];
        for (int i = 0; i < width; ++i)
            q[i] = static_cast<float>(nearest(x[i] * inverse));
        // With these q the best scale is xq / qq; it takes xq^2 / qq off the error.
        const double xq = dot(x, q, width);
        const double qq = dot(q, q, width);
        if (qq > 0.0 && xq * xq > best_gain * qq) {
            best_gain = xq * xq / qq;
            best = static_cast<float>(xq / qq);
        }
    }
    return best;
}

/// The scales of a super-block on two levels: d * sub[s] for group s.
template <int subs>
struct TwoLevelScales {
    std::uint16_t d;  // f16
    std::int8_t sub[subs];

    float scale(int s) const { return f16_to_f32(d) * static_cast<float>(sub[s]); }
};

/// Scales for 256 values in `subs` groups. The group scale of the largest magnitude becomes `sub_low`, the others
/// follow in proportion, within [sub_low, -sub_low - 1].
template <int subs, typename Nearest>
TwoLevelScales<subs> fit_scales(const float* values, int sub_low, int extreme, Nearest nearest) {
    constexpr int width = 256 / subs;
    float scales[subs];
    for (int s = 0; s < subs; ++s)
        scales[s] = fit_scale<width>(values + s * width, extreme, nearest);
    TwoLevelScales<subs> out;
    out.d = f32_to_f16(largest_magnitude(scales, subs) / static_cast<float>(sub_low));
    const float inverse = reciprocal_or_zero(f16_to_f32(out.d));
    for (int s = 0; s < subs; ++s) {
        out.sub[s] = static_cast<std::int8_t>(clamp_round(scales[s] * inverse, sub_low, -sub_low - 1));
    }
    return out;
}

struct ScaleMin {
    float scale;  // >= 0
    float min;    // >= 0
};

/// The scale and min for which the sum of (x - (scale * q - min))^2 is least among the candidates, q in [0, top],
/// min >= 0 (the types store no other). x: [width].
template <int width>
ScaleMin fit_scale_min(const float* x, int top) {
    const float low = std::min(0.0f, *std::min_element(x, x + width));
    const float high = *std::max_element(x, x + width);
    const double sum_x = sum(x, width);
    const float natural = std::max(0.0f, (high - low) / static_cast<float>(top));
    ScaleMin best = {natural, -low};
    double best_error = HUGE_VAL;
    for (const float stretch : scale_stretches) {
        const float inverse = reciprocal_or_zero(natural * stretch);
        float q[width];
        for (int i = 0; i < width; ++i)
            q[i] = static_cast<float>(clamp_round((x[i] - low) * inverse, 0, top));
        const double sum_q = sum(q, width);
        const double qq = dot(q, q, width);
        const double xq = dot(x, q, width);
        // The line through the points (q, x); through the origin where its offset would be positive.
        const double determinant = width * qq - sum_q * sum_q;
        if (!(determinant > 0.0)) continue;
        double scale = (width * xq - sum_q * sum_x) / determinant;
        double offset = (sum_x - scale * sum_q) / width;
        if (offset > 0.0) {
            scale = xq / qq;
            offset = 0.0;
        }
        // The squared error, less the sum of x^2, which is common to all candidates.
        const double error = scale * scale * qq + offset * offset * width + 2.0 * scale * offset * sum_q -
                             2.0 * (scale * xq + offset * sum_x);
        if (scale >= 0.0 && error < best_error) {
            best_error = error;
            best = {static_cast<float>(scale), static_cast<float>(-offset)};
        }
    }
    return best;
}

/// Codes of a super-block with offsets: w = d * sub[s] * q - dmin * min[s].
template <int subs>
struct OffsetCodes {
    std::uint16_t d;     // f16
    std::uint16_t dmin;  // f16
    std::uint8_t sub[subs];
    std::uint8_t min[subs];
    std::uint8_t q[256];
};

/// Encodes 256 values in `subs` groups, each with its own scale and offset in [0, sub_top], q in [0, top].
template <int subs>
OffsetCodes<subs> encode_with_offsets(const float* values, int sub_top, int top) {
    constexpr int width = 256 / subs;
    ScaleMin fits[subs];
    float peak_scale = 0.0f;
    float peak_min = 0.0f;
    for (int s = 0; s < subs; ++s) {
        fits[s] = fit_scale_min<width>(values + s * width, top);
        peak_scale = std::max(peak_scale, fits[s].scale);
        peak_min = std::max(peak_min, fits[s].min);
    }
    OffsetCodes<subs> out;
    out.d = f32_to_f16(peak_scale / static_cast<float>(sub_top));
    out.dmin = f32_to_f16(peak_min / static_cast<float>(sub_top));
    const float d = f16_to_f32(out.d);
    const float dmin = f16_to_f32(out.dmin);
    const float d_inverse = reciprocal_or_zero(d);
    const float dmin_inverse = reciprocal_or_zero(dmin);
    for (int s = 0; s < subs; ++s) {
        out.sub[s] = static_cast<std::uint8_t>(clamp_round(fits[s].scale * d_inverse, 0, sub_top));
        out.min[s] = static_cast<std::uint8_t>(clamp_round(fits[s].min * dmin_inverse, 0, sub_top));
        const float inverse = reciprocal_or_zero(d * static_cast<float>(out.sub[s]));
        const float min = dmin * static_cast<float>(out.min[s]);
        for (int e = s * width; e < (s + 1) * width; ++e) {
            out.q[e] = static_cast<std::uint8_t>(clamp_round((values[e] + min) * inverse, 0, top));
        }
    }
    return out;
}

}  // namespace puna::quant
