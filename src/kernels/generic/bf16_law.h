// The scalar definition of the laws of bf16 (docs/numerics.md).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "kernels/generic/float_law.h"
#include "quant/half.h"

namespace puna::kernels::generic {

/// Denormals are zeros of the same sign, as the bf16 instructions take and give them whatever a thread's mode.
inline float flush(float x) {
    const auto bits = std::bit_cast<std::uint32_t>(x);
    return (bits & 0x7f800000u) == 0 ? std::bit_cast<float>(bits & 0x80000000u) : x;
}

/// The nearest bf16, ties to even, as a float.
inline float round_to_bf16(float x) {
    return quant::bf16_to_f32(quant::f32_to_bf16(flush(x)));
}

inline float flushed_fma(float a, float b, float c) {
    return flush(std::fma(flush(a), flush(b), c));
}

/// AMX's TDPBF16PS over a row: per 32 of K, chains over the even and the odd k from zero, then their sum, then added.
inline float dot_tiles(const float* a, const float* b, std::int64_t n) {
    float sum = 0.0F;
    for (std::int64_t block = 0; block < n; block += 32) {
        float chain[2] = {0.0F, 0.0F};
        for (std::int64_t k = block; k < block + 32 && k < n; ++k)
            chain[k % 2] = flushed_fma(a[k], b[k], chain[k % 2]);
        sum = flush(sum + flush(chain[0] + chain[1]));
    }
    return sum;
}

/// AVX512-BF16's VDPBF16PS over a row that zeros fill up to a multiple of 32: of each 32 of K lane j takes the pair
/// (2j, 2j + 1), the odd one first. The lanes add as those of float32.
inline float dot_pairs(const float* a, const float* b, std::int64_t n) {
    float lane[lanes] = {};
    const auto take = [&](std::int64_t k, float sum) {
        return k < n ? flushed_fma(a[k], b[k], sum) : flushed_fma(0.0F, 0.0F, sum);
    };
    for (std::int64_t block = 0; block < n; block += 2 * lanes) {
        for (std::int64_t j = 0; j < lanes; ++j)
            lane[j] = take(block + 2 * j, take(block + 2 * j + 1, lane[j]));
    }
    return reduce_lanes(lane);
}

}  // namespace puna::kernels::generic
