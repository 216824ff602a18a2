// Choosing a scale and an offset for a group of weights, w = scale * q + offset: least squares over a few candidates.
// `Weights` is Even or Importance (law.h): what each element's squared error counts.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "quant/fit_scale.h"
#include "quant/law.h"

namespace puna::quant {

/// sum of w * a, in four lanes.
template <typename Weights>
double sum(const float* a, Weights w, int n) {
    double lanes[4] = {};
    for (int i = 0; i < n; i += 4) {
        for (int j = 0; j < 4; ++j)
            lanes[j] += static_cast<double>(a[i + j]) * static_cast<double>(w[i + j]);
    }
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

inline double sum_of_weights(Even, int n) {
    return n;
}
inline double sum_of_weights(Importance w, int n) {
    return sum(w.weights, Even{}, n);
}

/// A line through codes and values, x = scale * q + offset, and what it is worth.
struct Line {
    double scale;
    double offset;
    double error;      // the squared error, less the sum of w * x^2, which is common to all lines; HUGE_VAL for no line
    double curvature;  // sum of w * q^2
    double lean;       // sum of w * q
};

/// The offsets that a type stores.
enum class Offsets { not_positive, any };

/// The codes in [0, top] that `scale` and `offset` give to x, and the line that fits these codes best. x: [width].
template <int width, Offsets offsets, typename Weights>
Line fit_line(const float* x, Weights w, double weight, double sum_x, float scale, float offset, int top) {
    const float inverse = reciprocal_or_zero(scale);
    const Lanes high = splat(static_cast<float>(top));
    Lanes q_lanes = {};
    Lanes qq_lanes = {};
    Lanes xq_lanes = {};
    for (int i = 0; i < width; i += 4) {
        const Lanes value = load_lanes(x + i);
        const Lanes q = round_lanes((value - offset) * inverse, Lanes{}, high);
        const Lanes weighted = w.times_lanes(q, i);
        q_lanes += weighted;
        qq_lanes += weighted * q;
        xq_lanes += value * weighted;
    }
    const double sum_q = fold(q_lanes);
    const double qq = fold(qq_lanes);
    const double xq = fold(xq_lanes);
    const double determinant = weight * qq - sum_q * sum_q;
    if (!(determinant > 0.0)) return {0.0, 0.0, HUGE_VAL, 0.0, 0.0};
    Line line = {.curvature = qq, .lean = sum_q};
    line.scale = (weight * xq - sum_q * sum_x) / determinant;
    line.offset = (sum_x - line.scale * sum_q) / weight;
    if (offsets == Offsets::not_positive && line.offset > 0.0) {  // the best that remains goes through the origin
        line.scale = xq / qq;
        line.offset = 0.0;
    }
    if (!(line.scale >= 0.0)) return {0.0, 0.0, HUGE_VAL, 0.0, 0.0};
    line.error = line.scale * line.scale * qq + line.offset * line.offset * weight +
                 2.0 * line.scale * line.offset * sum_q - 2.0 * (line.scale * xq + line.offset * sum_x);
    return line;
}

/// The line for which the sum of w * (x - (scale * q + offset))^2 is small, q in [0, top]. Starts from grids on which
/// the range of x spans one step less than `top` to one more (several more where elements count differently: then the
/// extremes may be clipped). The best line is refined by turns, codes for the line and a line for the codes, as long as
/// the error falls (Lloyd 1982, "Least squares quantization in PCM"). x: [width].
template <int width, Offsets offsets, typename Weights>
Line fit_best_line(const float* x, Weights w, int top) {
    constexpr float reach = 1.0f;
    constexpr float step = 0.125f;
    const auto [least, high] = extremes_of<width>(x);
    const float low = offsets == Offsets::any ? least : std::min(0.0f, least);
    const float range = std::max(0.0f, high - low);
    const double weight = sum_of_weights(w, width);
    const double sum_x = sum(x, w, width);
    Line best = {range / static_cast<float>(top), low, HUGE_VAL, 0.0, 0.0};
    const auto try_line = [&](float scale, float offset) {
        const Line line = fit_line<width, offsets>(x, w, weight, sum_x, scale, offset, top);
        if (!(line.error < best.error)) return false;
        best = line;
        return true;
    };
    for (float more = -reach; more <= reach; more += step)
        try_line(range / (static_cast<float>(top) + more), low);
    if constexpr (!Weights::even) {
        for (const float clipped : {0.1f, 0.2f, 0.3f}) {
            const float smaller = range * (1.0f - clipped) / static_cast<float>(top);
            try_line(smaller, low);
            try_line(smaller, low + clipped * range);
            try_line(smaller, low + 0.5f * clipped * range);
        }
    }
    for (int i = 0; i < refinements; ++i) {
        if (!try_line(static_cast<float>(best.scale), static_cast<float>(best.offset))) break;
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
template <int subs, typename Weights>
OffsetCodes<subs> encode_with_offsets(const float* values, Weights w, int sub_top, int top) {
    constexpr int width = 256 / subs;
    float scales[subs];
    float mins[subs];
    double curvatures[subs];
    double leans[subs];
    float peak_scale = 0.0f;
    for (int s = 0; s < subs; ++s) {
        const Line line = fit_best_line<width, Offsets::not_positive>(values + s * width, w.from(s * width), top);
        scales[s] = static_cast<float>(line.scale);
        mins[s] = static_cast<float>(-line.offset);
        curvatures[s] = line.curvature;
        leans[s] = line.lean;
        peak_scale = std::max(peak_scale, scales[s]);
    }
    const auto super_scale = [&]([[maybe_unused]] const float* of_groups, float natural) {
        if constexpr (Weights::even) {
            return f32_to_f16(natural);
        } else {
            return fit_super_scale<subs>(of_groups, curvatures, natural,
                                         IntegerCodes{0.0f, static_cast<float>(sub_top)});
        }
    };
    OffsetCodes<subs> out;
    const float natural = peak_scale / static_cast<float>(sub_top);
    out.d = super_scale(scales, natural);
    const float d = f16_to_f32(out.d);
    const float d_inverse = reciprocal_or_zero(d);
    for (int s = 0; s < subs; ++s)
        out.sub[s] = static_cast<std::uint8_t>(clamp_round(scales[s] * d_inverse, 0, sub_top));
    if constexpr (!Weights::even) {
        // The offset that suits the scale as it was rounded.
        for (int s = 0; s < subs; ++s) {
            curvatures[s] = sum_of_weights(w.from(s * width), width);
            const double off = static_cast<double>(d * static_cast<float>(out.sub[s])) - static_cast<double>(scales[s]);
            mins[s] = std::max(0.0f, static_cast<float>(mins[s] + off * leans[s] / curvatures[s]));
        }
    }
    const float peak_min = *std::max_element(mins, mins + subs);
    const float natural_min = std::max(0.0f, peak_min) / static_cast<float>(sub_top);
    out.dmin = super_scale(mins, natural_min);
    const float dmin = f16_to_f32(out.dmin);
    const float dmin_inverse = reciprocal_or_zero(dmin);
    for (int s = 0; s < subs; ++s) {
        out.min[s] = static_cast<std::uint8_t>(clamp_round(mins[s] * dmin_inverse, 0, sub_top));
        const float inverse = reciprocal_or_zero(d * static_cast<float>(out.sub[s]));
        const float min = dmin * static_cast<float>(out.min[s]);
        for (int e = s * width; e < (s + 1) * width; ++e) {
            out.q[e] = static_cast<std::uint8_t>(clamp_round((values[e] + min) * inverse, 0, top));
        }
    }
    return out;
}

}  // namespace puna::quant
