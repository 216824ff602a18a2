// Choosing a scale, or a scale and an offset, for a group of weights: least squares over a few candidates. `Weights` is
// Even or Importance (law.h): what each element's squared error counts.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "quant/law.h"

namespace puna::quant {

/// Candidates stretch the natural scale by these factors: a slightly smaller scale clips the extremes and serves the
/// bulk better, a larger one does the reverse.
constexpr std::array<float, 9> scale_stretches = {1.0f, 0.8f, 0.85f, 0.9f, 0.95f, 1.05f, 1.1f, 1.15f, 1.2f};
/// Where some elements count little, clipping them costs little.
constexpr std::array<float, 16> important_stretches = {1.0f,   0.5f, 0.6f,   0.65f, 0.7f,   0.75f, 0.8f, 0.85f,
                                                       0.875f, 0.9f, 0.925f, 0.95f, 0.975f, 1.05f, 1.1f, 1.15f};
/// Rounds in which codes are chosen for a scale and the scale for the codes.
constexpr int refinements = 4;

inline Lanes weight_lanes(Even, int) {
    return Lanes{} + 1.0f;
}
inline Lanes weight_lanes(Importance w, int i) {
    return load_lanes(w.weights + i);
}

/// sum of w * a * b, in four lanes. a, b: [n], n a multiple of 4.
template <typename Weights>
double dot(const float* a, const float* b, Weights w, int n) {
    double lanes[4] = {};
    for (int i = 0; i < n; i += 4) {
        for (int j = 0; j < 4; ++j)
            lanes[j] += static_cast<double>(a[i + j]) * static_cast<double>(b[i + j]) * static_cast<double>(w[i + j]);
    }
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}

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

struct ScaleFit {
    float scale;       // 0 if all of x is 0
    double curvature;  // sum of w * q^2: how fast the error grows away from the scale
};

/// The scale for which the sum of w * (x - scale * q)^2 is least among the candidates. `nearest(v)` gives the q nearest
/// to v; `extreme` is the q of the largest magnitude, which the element of the largest magnitude is laid on.
/// x: [width].
template <int width, typename Weights, typename Nearest>
ScaleFit fit_scale(const float* x, Weights w, int extreme, Nearest nearest) {
    const float natural = largest_magnitude(x, width) / static_cast<float>(extreme);
    ScaleFit best = {natural, 0.0};
    double best_gain = 0.0;
    const auto try_scale = [&](float scale) {
        const float inverse = reciprocal_or_zero(scale);
        float q[width];
        for (int i = 0; i < width; ++i)
            q[i] = static_cast<float>(nearest(x[i] * inverse));
        // With these q the best scale is xq / qq; it takes xq^2 / qq off the error.
        const double xq = dot(x, q, w, width);
        const double qq = dot(q, q, w, width);
        if (!(qq > 0.0 && xq * xq > best_gain * qq)) return false;
        best_gain = xq * xq / qq;
        best = {static_cast<float>(xq / qq), qq};
        return true;
    };
    if constexpr (Weights::even) {
        for (const float stretch : scale_stretches)
            try_scale(natural * stretch);
    } else {
        for (const float stretch : important_stretches) {
            try_scale(natural * stretch);
            try_scale(-natural * stretch);  // the largest may count for little
        }
        for (int i = 0; i < refinements && try_scale(best.scale); ++i) {
        }
    }
    return best;
}

/// The f16 d for which the sum of curvature[s] * (scale[s] - d * sub[s])^2 is least among candidates around `natural`,
/// sub[s] being the nearest integer in [low, high].
template <int subs>
std::uint16_t fit_super_scale(const float* scales, const double* curvatures, float natural, int low, int high) {
    std::uint16_t best = f32_to_f16(natural);
    double least = HUGE_VAL;
    constexpr float reach = 0.1f;
    constexpr float step = 0.005f;
    for (float more = -reach; more <= reach; more += step) {
        const std::uint16_t candidate = f32_to_f16(natural * (1.0f + more));
        const float d = f16_to_f32(candidate);
        const float inverse = reciprocal_or_zero(d);
        double error = 0.0;
        for (int s = 0; s < subs; ++s) {
            const double off = scales[s] - d * static_cast<float>(clamp_round(scales[s] * inverse, low, high));
            error += curvatures[s] * off * off;
        }
        if (error < least) {
            least = error;
            best = candidate;
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

/// The integers in [sub_low, -sub_low - 1] nearest to the group scales under `d`, an f16.
template <int subs>
TwoLevelScales<subs> round_scales(const float* scales, std::uint16_t d, int sub_low) {
    TwoLevelScales<subs> out;
    out.d = d;
    const float inverse = reciprocal_or_zero(f16_to_f32(d));
    for (int s = 0; s < subs; ++s)
        out.sub[s] = static_cast<std::int8_t>(clamp_round(scales[s] * inverse, sub_low, -sub_low - 1));
    return out;
}

/// The sum of w * (error)^2 over 256 values that are encoded under `scales`.
template <int subs, typename Weights, typename Nearest>
double error_under(const TwoLevelScales<subs>& scales, const float* values, Weights w, Nearest nearest) {
    constexpr int width = 256 / subs;
    double error = 0.0;
    for (int s = 0; s < subs; ++s) {
        const float scale = scales.scale(s);
        const float inverse = reciprocal_or_zero(scale);
        for (int e = s * width; e < (s + 1) * width; ++e) {
            const double off = values[e] - scale * static_cast<float>(nearest(values[e] * inverse));
            error += static_cast<double>(w[e]) * off * off;
        }
    }
    return error;
}

/// Scales for 256 values in `subs` groups. The group scale of the largest magnitude becomes `sub_low`, the others
/// follow in proportion, within [sub_low, -sub_low - 1]; by importance, another proportion may suit all groups better.
template <int subs, typename Weights, typename Nearest>
TwoLevelScales<subs> fit_scales(const float* values, Weights w, int sub_low, int extreme, Nearest nearest) {
    constexpr int width = 256 / subs;
    float scales[subs];
    double curvatures[subs];
    for (int s = 0; s < subs; ++s) {
        const ScaleFit fit = fit_scale<width>(values + s * width, w.from(s * width), extreme, nearest);
        scales[s] = fit.scale;
        curvatures[s] = fit.curvature;
    }
    const float natural = largest_magnitude(scales, subs) / static_cast<float>(sub_low);
    const auto plain = round_scales<subs>(scales, f32_to_f16(natural), sub_low);
    if constexpr (Weights::even) {
        return plain;
    } else {
        const std::uint16_t d = fit_super_scale<subs>(scales, curvatures, natural, sub_low, -sub_low - 1);
        const auto fitted = round_scales<subs>(scales, d, sub_low);
        return error_under(fitted, values, w, nearest) < error_under(plain, values, w, nearest) ? fitted : plain;
    }
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
    const Lanes high = Lanes{} + static_cast<float>(top);
    Lanes q_lanes = {};
    Lanes qq_lanes = {};
    Lanes xq_lanes = {};
    for (int i = 0; i < width; i += 4) {
        const Lanes value = load_lanes(x + i);
        const Lanes q = round_lanes((value - offset) * inverse, Lanes{}, high);
        const Lanes weighted = weight_lanes(w, i) * q;
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
    const float least = *std::min_element(x, x + width);
    const float low = offsets == Offsets::any ? least : std::min(0.0f, least);
    const float high = *std::max_element(x, x + width);
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
    OffsetCodes<subs> out;
    const float natural = peak_scale / static_cast<float>(sub_top);
    if constexpr (Weights::even) {
        out.d = f32_to_f16(natural);
    } else {
        out.d = fit_super_scale<subs>(scales, curvatures, natural, 0, sub_top);
    }
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
    if constexpr (Weights::even) {
        out.dmin = f32_to_f16(natural_min);
    } else {
        out.dmin = fit_super_scale<subs>(mins, curvatures, natural_min, 0, sub_top);
    }
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
