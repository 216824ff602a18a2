// The scalar definition of the float32 law (docs/numerics.md): what every kernel set must compute, bit for bit.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace puna::kernels::generic {

inline constexpr int lanes = 16;

/// Lanes add as (i, i + 8), (i, i + 4), (i, i + 2), (i, i + 1).
inline float reduce_lanes(float (&lane)[lanes]) {
    for (int half = lanes / 2; half >= 1; half /= 2) {
        for (int i = 0; i < half; ++i)
            lane[i] = lane[i] + lane[i + half];
    }
    return lane[0];
}

/// Lane j adds its products k = j mod 16 in ascending order by FMA; a row ends as if zeros filled its last 16.
inline float dot(const float* a, std::ptrdiff_t a_stride, const float* b, std::int64_t n) {
    float lane[lanes] = {};
    for (std::int64_t k = 0; k < (n + lanes - 1) / lanes * lanes; ++k) {
        const float left = k < n ? a[k * a_stride] : 0.0F;
        const float right = k < n ? b[k] : 0.0F;
        lane[k % lanes] = std::fma(left, right, lane[k % lanes]);
    }
    return reduce_lanes(lane);
}

/// e^x with a relative error under 2 ulp; 0 under -87, e^88 over 88. Range reduction after Cody and Waite, Taylor
/// coefficients to the 7th power on [-ln 2 / 2, ln 2 / 2].
inline float exponential(float x) {
    if (x < -87.0F) return 0.0F;
    x = x < 88.0F ? x : 88.0F;
    const float n = std::nearbyint(x * 1.44269504F);
    float r = std::fma(n, -0.693359375F, x);
    r = std::fma(n, 2.12194440e-4F, r);
    float p = 1.0F / 5040.0F;
    p = std::fma(p, r, 1.0F / 720.0F);
    p = std::fma(p, r, 1.0F / 120.0F);
    p = std::fma(p, r, 1.0F / 24.0F);
    p = std::fma(p, r, 1.0F / 6.0F);
    p = std::fma(p, r, 0.5F);
    p = std::fma(p, r, 1.0F);
    p = std::fma(p, r, 1.0F);
    // p is in (0.7, 1.5) and the result is a normal number: n can be added to its exponent.
    const auto shifted =
        std::bit_cast<std::uint32_t>(p) + (static_cast<std::uint32_t>(static_cast<std::int32_t>(n)) << 23);
    return std::bit_cast<float>(shifted);
}

inline float silu(float x) {
    return x / (1.0F + exponential(-x));
}

}  // namespace puna::kernels::generic
