// Choosing a scale for a group of weights, w = scale * q: least squares over a few candidates. `Weights` is Even,
// Importance or Magnitude (law.h): what each element's squared error counts. `Codes` gives the numbers that q may be:
// its `nearest(v)` is the nearest of them to each of four.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "quant/law.h"

namespace puna::quant {

/// The integers in [low, high].
struct IntegerCodes {
    float low;
    float high;
    Lanes nearest(Lanes v) const { return round_lanes(v, splat(low), splat(high)); }
};

/// Candidates divide the natural scale by these. A slightly smaller scale clips the extremes and serves the bulk
/// better, a larger one does the reverse.
constexpr std::array scale_divisors = {1.0f,          1.0f / 0.8f,  1.0f / 0.85f,  1.0f / 0.9f,
                                       1.0f / 0.925f, 1.0f / 0.95f, 1.0f / 0.975f, 1.0f / 1.025f,
                                       1.0f / 1.05f,  1.0f / 1.1f,  1.0f / 1.15f,  1.0f / 1.2f};
/// Where some elements count little, clipping them costs little.
constexpr std::array far_divisors = {1.0f / 0.5f, 1.0f / 0.55f, 1.0f / 0.6f,   1.0f / 0.65f,
                                     1.0f / 0.7f, 1.0f / 0.75f, 1.0f / 0.825f, 1.0f / 0.875f};
/// Rounds in which codes are chosen for a scale and the scale for the codes.
constexpr int refinements = 4;

struct ScaleFit {
    float scale;       // 0 if all of x is 0
    double curvature;  // sum of w * q^2: how fast the error grows away from the scale
    double gain;       // what the scale takes off the error, from that of zeros
};

/// Takes the sums of w * x * q and of w * q^2 for some codes: the best scale for these is xq / qq. Whether it is
/// better.
inline bool improve(ScaleFit& best, double xq, double qq) {
    if (!(qq > 0.0 && xq * xq > best.gain * qq)) return false;
    best = {static_cast<float>(xq / qq), qq, xq * xq / qq};
    return true;
}

/// The candidates 1 / (inverse * divisor), four side by side. x: [width].
template <int width, std::size_t candidates, typename Weights, typename Codes>
void try_scales(const float* x, Weights w, float inverse, const std::array<float, candidates>& divisors, Codes codes,
                ScaleFit& best) {
    constexpr std::size_t fours = candidates / 4;
    static_assert(candidates % 4 == 0);
    Lanes inverses[fours];
    Lanes xq[fours] = {};
    Lanes qq[fours] = {};
    for (std::size_t c = 0; c < fours; ++c)
        inverses[c] = load_lanes(divisors.data() + 4 * c) * inverse;
    for (int i = 0; i < width; ++i) {
        const Lanes value = splat(x[i]);
        for (std::size_t c = 0; c < fours; ++c) {
            const Lanes q = codes.nearest(value * inverses[c]);
            const Lanes counted = w.times(q, i);
            xq[c] += value * counted;
            qq[c] += q * counted;
        }
    }
    for (std::size_t c = 0; c < candidates; ++c)
        improve(best, xq[c / 4][c % 4], qq[c / 4][c % 4]);
}

/// The candidate that `best` is. Whether other codes are nearest now, and better. x: [width].
template <int width, typename Weights, typename Codes>
bool refine_scale(const float* x, Weights w, Codes codes, ScaleFit& best) {
    const Lanes inverse = splat(reciprocal_or_zero(best.scale));
    Lanes xq = {};
    Lanes qq = {};
    for (int i = 0; i < width; i += 4) {
        const Lanes value = load_lanes(x + i);
        const Lanes q = codes.nearest(value * inverse);
        const Lanes counted = w.times_lanes(q, i);
        xq += value * counted;
        qq += q * counted;
    }
    return improve(best, fold(xq), fold(qq));
}

/// The scale for which the sum of w * (x - scale * q)^2 is least among the candidates. `extreme` is the q of the
/// largest magnitude, which the element of the largest magnitude is laid on. x: [width].
template <int width, typename Weights, typename Codes>
ScaleFit fit_scale(const float* x, Weights w, int extreme, Codes codes) {
    const float natural = largest_magnitude<width>(x) / static_cast<float>(extreme);
    const float inverse = reciprocal_or_zero(natural);
    ScaleFit best = {natural, 0.0, 0.0};
    try_scales<width>(x, w, inverse, scale_divisors, codes, best);
    if constexpr (Weights::clips) {
        try_scales<width>(x, w, inverse, far_divisors, codes, best);
        try_scales<width>(x, w, -inverse, scale_divisors, codes, best);  // the largest may count for little
        try_scales<width>(x, w, -inverse, far_divisors, codes, best);
        for (int i = 0; i < refinements && refine_scale<width>(x, w, codes, best); ++i) {
        }
    }
    return best;
}

/// The f16 d for which the sum of curvature[s] * (scale[s] - d * sub[s])^2 is least among candidates around `natural`,
/// sub[s] being the nearest that `codes` has.
template <int subs, typename Codes>
std::uint16_t fit_super_scale(const float* scales, const double* curvatures, float natural, Codes codes) {
    constexpr int reach = 20;
    constexpr float step = 0.005f;
    constexpr int candidates = 2 * reach + 4;  // four side by side
    std::uint16_t halves[candidates];
    std::uint16_t best = f32_to_f16(natural);
    float least = HUGE_VALF;
    static_assert(reach % 4 == 0);
    for (int n = 0; n < candidates; n += 4) {
        const int c = (reach + n) % candidates;  // `natural` first: it stays where none is better
        Lanes d;
        Lanes inverse;
        for (int j = 0; j < 4; ++j) {
            halves[c + j] = f32_to_f16(natural * (1.0f + step * static_cast<float>(c + j - reach)));
            d[j] = f16_to_f32(halves[c + j]);
            inverse[j] = reciprocal_or_zero(d[j]);
        }
        Lanes error = {};
        for (int s = 0; s < subs; ++s) {
            const Lanes off = splat(scales[s]) - d * codes.nearest(splat(scales[s]) * inverse);
            error += splat(static_cast<float>(curvatures[s])) * off * off;
        }
        for (int j = 0; j < 4; ++j) {
            if (!(error[j] < least)) continue;
            least = error[j];
            best = halves[c + j];
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
template <int subs, typename Weights, typename Codes>
double error_under(const TwoLevelScales<subs>& scales, const float* values, Weights w, Codes codes) {
    constexpr int width = 256 / subs;
    double error = 0.0;
    for (int s = 0; s < subs; ++s) {
        const Lanes scale = splat(scales.scale(s));
        const Lanes inverse = splat(reciprocal_or_zero(scales.scale(s)));
        Lanes sum = {};
        for (int e = s * width; e < (s + 1) * width; e += 4) {
            const Lanes value = load_lanes(values + e);
            const Lanes off = value - scale * codes.nearest(value * inverse);
            sum += w.times_lanes(off, e) * off;
        }
        error += fold(sum);
    }
    return error;
}

/// Scales for 256 values in `subs` groups. The group scale of the largest magnitude becomes `sub_low`, the others
/// follow in proportion, within [sub_low, -sub_low - 1]; where elements count differently, another proportion may suit
/// all groups better.
template <int subs, typename Weights, typename Codes>
TwoLevelScales<subs> fit_scales(const float* values, Weights w, int sub_low, int extreme, Codes codes) {
    constexpr int width = 256 / subs;
    float scales[subs];
    double curvatures[subs];
    for (int s = 0; s < subs; ++s) {
        const ScaleFit fit = fit_scale<width>(values + s * width, w.from(s * width), extreme, codes);
        scales[s] = fit.scale;
        curvatures[s] = fit.curvature;
    }
    const float natural = largest_magnitude<subs>(scales) / static_cast<float>(sub_low);
    const auto plain = round_scales<subs>(scales, f32_to_f16(natural), sub_low);
    if constexpr (Weights::even) {
        return plain;
    } else {
        const IntegerCodes integers = {static_cast<float>(sub_low), static_cast<float>(-sub_low - 1)};
        const std::uint16_t d = fit_super_scale<subs>(scales, curvatures, natural, integers);
        const auto fitted = round_scales<subs>(scales, d, sub_low);
        if constexpr (!Weights::clips) return fitted;  // the curvatures tell the error well enough
        return error_under(fitted, values, w, codes) < error_under(plain, values, w, codes) ? fitted : plain;
    }
}

}  // namespace puna::quant
