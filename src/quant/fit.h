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

/// A line through codes and values, x = scale * q + offset, and what it is worth.
struct Line {
    double scale;
    double offset;  // <= 0: the types store no other
    double error;   // the squared error, less the sum of x^2, which is common to all lines; HUGE_VAL for no line
};

/// The codes in [0, top] that `scale` and `offset` give to x, and the line that fits these codes best. x: [width].
template <int width>
Line fit_line(const float* x, double sum_x, float scale, float offset, int top) {
    const float inverse = reciprocal_or_zero(scale);
    const Lanes high = Lanes{} + static_cast<float>(top);
    Lanes q_lanes = {};
    Lanes qq_lanes = {};
    Lanes xq_lanes = {};
    for (int i = 0; i < width; i += 4) {
        const Lanes value = load_lanes(x + i);
        const Lanes q = round_lanes((value - offset) * inverse, Lanes{}, high);
        q_lanes += q;
        qq_lanes += q * q;
        xq_lanes += value * q;
    }
    const double sum_q = fold(q_lanes);
    const double qq = fold(qq_lanes);
    const double xq = fold(xq_lanes);
    const double determinant = width * qq - sum_q * sum_q;
    if (!(determinant > 0.0)) return {0.0, 0.0, HUGE_VAL};
    Line line = {};
    line.scale = (width * xq - sum_q * sum_x) / determinant;
    line.offset = (sum_x - line.scale * sum_q) / width;
    if (line.offset > 0.0) {  // then the best that remains goes through the origin
        line.scale = xq / qq;
        line.offset = 0.0;
    }
    if (!(line.scale >= 0.0)) return {0.0, 0.0, HUGE_VAL};
    line.error = line.scale * line.scale * qq + line.offset * line.offset * width +
                 2.0 * line.scale * line.offset * sum_q - 2.0 * (line.scale * xq + line.offset * sum_x);
    return line;
}

/// The scale and min for which the sum of (x - (scale * q - min))^2 is small, q in [0, top], min >= 0. Starts from
/// grids on which the range of x spans one step less than `top` to one more. The best line is refined by turns, codes
/// for the line and a line for the codes, as long as the error falls (Lloyd 1982, "Least squares quantization in PCM").
/// x: [width].
template <int width>
ScaleMin fit_scale_min(const float* x, int top) {
    constexpr float reach = 1.0f;
    constexpr float step = 0.125f;
    constexpr int refinements = 4;
    const float low = std::min(0.0f, *std::min_element(x, x + width));
    const float high = *std::max_element(x, x + width);
    const float range = std::max(0.0f, high - low);
    const double sum_x = sum(x, width);
    Line best = {range / static_cast<float>(top), low, HUGE_VAL};
    for (float more = -reach; more <= reach; more += step) {
        const Line line = fit_line<width>(x, sum_x, range / (static_cast<float>(top) + more), low, top);
        if (line.error < best.error) best = line;
    }
    for (int i = 0; i < refinements; ++i) {
        const Line line =
            fit_line<width>(x, sum_x, static_cast<float>(best.scale), static_cast<float>(best.offset), top);
        if (!(line.error < best.error)) break;
        best = line;
    }
    return {static_cast<float>(best.scale), static_cast<float>(-best.offset)};
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
