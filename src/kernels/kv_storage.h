// How keys and values are stored: f32; f16, rounded to nearest even; or q8_0, eight bits for each of 32 values that
// follow each other along a head, and a scale.
//
// The scale of q8_0 is a float32 of 17 significant bits: times 127 it is exact, so that values that were stored, read
// and stored again are the same bits (sessions rely on it). A block costs 36 bytes where GGML's, with an f16 scale,
// costs 34; that scale would round, and vanish below 2^-24.
//
// Everything is inlined by force: see quant/half.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernel_table.h"

namespace puna::kernels {

inline constexpr std::int64_t kv_scaled_values = 32;  // of q8_0, that share a scale

/// Bytes of `values` keys or values; under q8_0 a multiple of 32.
[[gnu::always_inline]] inline std::uint64_t kv_bytes(KvType type, std::uint64_t values) {
    switch (type) {
        case KvType::f32: return values * 4;
        case KvType::f16: return values * 2;
        case KvType::q8_0: return values + values / kv_scaled_values * sizeof(float);
    }
    return 0;
}

/// Bytes of K, or of V, of one head in a block.
[[gnu::always_inline]] inline std::size_t kv_half_bytes(const KvShape& shape) {
    return static_cast<std::size_t>(
        kv_bytes(shape.type, static_cast<std::uint64_t>(shape.head_dim * kv_block_positions)));
}

/// Stores 32 values as integers of -127 ... 127 (`step` apart), and returns their scale: NaN if one of
/// the values is not finite.
[[gnu::always_inline]] inline float quantize_kv(const float* x, std::int8_t* q, std::int64_t step) {
    float largest = 0.0F;
    bool finite = true;
    for (std::int64_t i = 0; i < kv_scaled_values; ++i) {
        const float magnitude = __builtin_fabsf(x[i]);
        finite = finite && magnitude < __builtin_inff();
        largest = magnitude > largest ? magnitude : largest;
    }
    // To nearest among the floats whose last seven bits are zero.
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, largest / 127.0F) + 64;
    const float scale = largest < 0x1p-100F ? 0.0F : __builtin_bit_cast(float, bits & ~std::uint32_t{127});
    for (std::int64_t i = 0; i < kv_scaled_values; ++i)
        q[i * step] = static_cast<std::int8_t>(finite && scale > 0.0F ? __builtin_rintf(x[i] / scale) : 0.0F);
    return finite ? scale : __builtin_nanf("");
}

}  // namespace puna::kernels
