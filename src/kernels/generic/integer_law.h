// The scalar definition of the integer law (docs/numerics.md): activations as integers, 32 to a scale.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

namespace puna::kernels::generic {

inline constexpr std::int64_t activation_block = 32;
inline constexpr float int16_limit = 32639.0F;  // 127 x 256 + 127: two int8 planes hold it
inline constexpr float int8_limit = 127.0F;

/// A prepared row: blocks of 32, each with its scale.
struct IntegerBlock {
    float scale;  // da
    std::int16_t q[activation_block];
};

/// `limit`: the largest integer, M of the law. False if a value is NaN or infinite.
inline bool quantize_block(const float* x, float limit, IntegerBlock& out) {
    float amax = 0.0F;
    for (int i = 0; i < activation_block; ++i) {
        if (!std::isfinite(x[i])) return false;
        amax = std::fabs(x[i]) > amax ? std::fabs(x[i]) : amax;
    }
    out = {};
    if (amax < 0x1p-100F) return true;
    out.scale = amax / limit;
    const float inverse = limit / amax;
    for (int i = 0; i < activation_block; ++i) {
        float q = std::nearbyint(x[i] * inverse);
        q = q > limit ? limit : q;
        q = q < -limit ? -limit : q;
        out.q[i] = static_cast<std::int16_t>(q);
    }
    return true;
}

}  // namespace puna::kernels::generic
