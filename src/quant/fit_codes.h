// Choosing codes into a code book and their scales for 256 weights: for each group several scales are tried, with the
// nearest points under each, and the best is refined by turns.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "quant/blocks.h"
#include "quant/fit_scale.h"
#include "quant/law.h"
#include "quant/nearest_points.h"

namespace puna::quant {

/// What a group's codes are worth: with a scale, the error is that of zeros and scale * (scale * qq - 2 * xq).
struct CodeSums {
    double xq = 0.0;  // sum of w * x * q
    double qq = 0.0;  // sum of w * q^2

    double error(double scale) const { return scale * (scale * qq - 2.0 * xq); }
};

/// x: [4 * values].
template <typename Values>
Values load_values(const float* x) {
    Values values;
    for (std::size_t l = 0; l < values.size(); ++l)
        values[l] = load_lanes(x + 4 * l);
    return values;
}

/// The points that are nearest to x * inverse, if all are moved up by `shift`. x: [8 or 4 * n]; codes: [n].
template <int n, typename Finder>
CodeSums choose_points(const Finder& finder, const float* x, Importance w, float inverse, float shift,
                       std::uint16_t* codes) {
    using Values = typename Finder::Values;
    constexpr int each = 4 * static_cast<int>(std::tuple_size_v<Values>);
    Lanes xq = {};
    Lanes qq = {};
    for (int c = 0; c < n; ++c) {
        const auto value = load_values<Values>(x + each * c);
        const auto weight = load_values<Values>(w.weights + each * c);
        Values scaled;
        for (std::size_t l = 0; l < value.size(); ++l)
            scaled[l] = value[l] * inverse - shift;
        codes[c] = static_cast<std::uint16_t>(finder.nearest(scaled, weight));
        const Values& point = finder.point(codes[c]);
        for (std::size_t l = 0; l < value.size(); ++l) {
            const Lanes q = point[l] + shift;
            xq += weight[l] * value[l] * q;
            qq += weight[l] * q * q;
        }
    }
    return {fold(xq), fold(qq)};
}

/// A group's codes are points alone. x: [width] magnitudes (one whose sign cannot be stored is negative).
template <typename Finder, int width>
struct PointCodes {
    static constexpr int count = width / static_cast<int>(4 * std::tuple_size_v<typename Finder::Values>);
    const Finder& finder;

    /// For 1 / inverse as the scale. codes: [count].
    CodeSums choose(const float* x, Importance w, float inverse, std::uint16_t* codes) const {
        return choose_points<count>(finder, x, w, inverse, 0.0f, codes);
    }
};

/// Of IQ1: the points of a code are shifted up, or (`shift_down`) down, by one; `together`: all of a group's the same
/// way. x: [width] weights.
template <typename Finder, int width, bool together>
struct ShiftedCodes {
    static constexpr int count = width / 8;
    static constexpr std::uint16_t shift_down = 0x8000;
    const Finder& finder;

    CodeSums choose(const float* x, Importance w, float inverse, std::uint16_t* codes) const {
        constexpr int n = together ? count : 1;
        CodeSums sums;
        for (int first = 0; first < count; first += n) {
            std::uint16_t down[n];
            std::uint16_t* up = codes + first;
            const Importance weights = w.from(8 * first);
            const CodeSums above = choose_points<n>(finder, x + 8 * first, weights, inverse, 1.0f, up);
            const CodeSums below = choose_points<n>(finder, x + 8 * first, weights, inverse, -1.0f, down);
            const bool is_down = below.qq - 2.0 * inverse * below.xq < above.qq - 2.0 * inverse * above.xq;
            for (int c = 0; is_down && c < n; ++c)
                up[c] = static_cast<std::uint16_t>(down[c] | shift_down);
            sums.xq += is_down ? below.xq : above.xq;
            sums.qq += is_down ? below.qq : above.qq;
        }
        return sums;
    }
};

/// Candidates are the natural scale times these. Points lie far apart, and the best ones may clip the largest weight or
/// leave it far below their own largest.
constexpr std::array code_scales = {0.4f, 0.5f, 0.6f, 0.7f, 0.8f, 0.9f, 1.0f, 1.1f, 1.2f, 1.3f, 1.4f, 1.5f};

/// What a type gives: w = d * (2 sub + 1) / parts * q.
struct CodeLaw {
    float largest;   // magnitude of q
    float smallest;  // that a whole point can have
    float parts;
    int top_sub;  // sub in [0, top_sub]
};

/// The scale of a group for which the error is least among those tried; the natural one lays the largest magnitude on
/// the largest q. x: [width], as `codes` takes it.
template <int width, typename Codes>
ScaleFit fit_code_scale(const float* x, Importance w, const CodeLaw& law, Codes codes) {
    std::uint16_t chosen[Codes::count];
    ScaleFit best = {0.0f, 0.0, 0.0};
    const float natural = std::fabs(largest_magnitude<width>(x)) / law.largest;
    const auto try_scale = [&](float scale) {
        const CodeSums sums = codes.choose(x, w, reciprocal_or_zero(scale), chosen);
        // By more than rounding: groups of weights that are all alike shall not differ in their scales.
        constexpr double more = 1.0 + 1e-6;
        return sums.xq > 0.0 && sums.xq * sums.xq > more * best.gain * sums.qq && improve(best, sums.xq, sums.qq);
    };
    for (const float times : code_scales)
        try_scale(natural * times);
    try_scale(natural * law.largest / law.smallest);  // the way to keep weights that are all alike
    for (int i = 0; i < refinements && try_scale(best.scale); ++i) {
    }
    return best;
}

/// 256 weights as codes under d * odd / parts, odd = 2 sub + 1.
template <int width, int codes_of_a_group>
struct CodedBlock {
    static constexpr int groups = super_block / width;
    std::uint16_t d;  // f16
    std::uint8_t sub[groups];
    std::uint16_t codes[groups][codes_of_a_group];
};

struct OddCodes {
    float top;
    Lanes nearest(Lanes v) const {
        return 2.0f * round_lanes(0.5f * v - 0.5f, Lanes{}, splat(0.5f * (top - 1.0f))) + 1.0f;
    }
};

/// x: [256], as `codes` takes it.
template <int width, typename Codes>
CodedBlock<width, Codes::count> fit_codes(const float* x, Importance w, const CodeLaw& law, Codes codes) {
    using Block = CodedBlock<width, Codes::count>;
    float scales[Block::groups];
    double curvatures[Block::groups];
    for (int s = 0; s < Block::groups; ++s) {
        const ScaleFit fit = fit_code_scale<width>(x + s * width, w.from(s * width), law, codes);
        scales[s] = fit.scale * law.parts;
        curvatures[s] = fit.curvature;
    }
    const OddCodes odd = {static_cast<float>(2 * law.top_sub + 1)};
    Block block;
    block.d =
        fit_super_scale<Block::groups>(scales, curvatures, largest_magnitude<Block::groups>(scales) / odd.top, odd);
    const double d = static_cast<double>(f16_to_f32(block.d)) / law.parts;
    CodeSums all;  // of q times odd
    for (int s = 0; s < Block::groups; ++s) {
        const float* group = x + s * width;
        const float nearest = 0.5f * scales[s] * reciprocal_or_zero(f16_to_f32(block.d)) - 0.5f;
        const int middle = clamp_round(nearest, 0, law.top_sub);
        double least = HUGE_VAL;
        CodeSums kept;
        for (int sub = std::max(middle - 1, 0); sub <= std::min(middle + 1, law.top_sub); ++sub) {
            std::uint16_t chosen[Codes::count];
            const double scale = d * (2 * sub + 1);
            const CodeSums sums =
                codes.choose(group, w.from(s * width), reciprocal_or_zero(static_cast<float>(scale)), chosen);
            if (sub > std::max(middle - 1, 0) && !(sums.error(scale) < least)) continue;
            least = sums.error(scale);
            kept = sums;
            block.sub[s] = static_cast<std::uint8_t>(sub);
            std::copy_n(chosen, Codes::count, block.codes[s]);
        }
        const double times = 2 * block.sub[s] + 1;
        all.xq += times * kept.xq;
        all.qq += times * times * kept.qq;
    }
    if (all.xq > 0.0 && all.qq > 0.0) block.d = f32_to_f16(static_cast<float>(all.xq / all.qq * law.parts));
    return block;
}

}  // namespace puna::quant
