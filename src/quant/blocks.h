// The blocks of the quantized types, byte for byte as GGUF files hold them.
//
// Bytes alone, so `alignof` is 1 and a block may lie at any address: files of the older formats align nothing. Halves
// are read through half.h. The layouts are those of the GGUF specification and its reference reader, the `gguf`
// package. This header is safe in translation units of an instruction set (no symbol is emitted).
#pragma once

#include <cstdint>

namespace puna::quant {

/// Elements of a block of the "K" types, also called a super-block.
constexpr int super_block = 256;
/// Of all others.
constexpr int small_block = 32;

/// w = d * (q - 8). Byte i holds element i in its low nibble, element i + 16 in its high nibble.
struct BlockQ4_0 {
    std::uint8_t d[2];  // f16
    std::uint8_t qs[16];
};

/// w = d * q + m. Nibbles as in Q4_0.
struct BlockQ4_1 {
    std::uint8_t d[2];  // f16
    std::uint8_t m[2];  // f16
    std::uint8_t qs[16];
};

/// w = d * (q - 16). Low 4 bits as in Q4_0; bit i of `qh` (little-endian) is the fifth bit of element i.
struct BlockQ5_0 {
    std::uint8_t d[2];  // f16
    std::uint8_t qh[4];
    std::uint8_t qs[16];
};

/// w = d * q + m. Bits as in Q5_0.
struct BlockQ5_1 {
    std::uint8_t d[2];  // f16
    std::uint8_t m[2];  // f16
    std::uint8_t qh[4];
    std::uint8_t qs[16];
};

/// w = d * q.
struct BlockQ8_0 {
    std::uint8_t d[2];  // f16
    std::int8_t qs[32];
};

/// w = d * sc * q - dmin * m, 16 elements to a sub-block; `scales`: sc in the low nibble, m in the high one.
/// Element 128 h + 32 i + c is bits 2 i and 2 i + 1 of qs[32 h + c].
struct BlockQ2_K {
    std::uint8_t scales[16];
    std::uint8_t qs[64];
    std::uint8_t d[2];     // f16
    std::uint8_t dmin[2];  // f16
};

/// w = d * (sc - 32) * (q - 4), 16 elements to a sub-block. The two low bits of q as in Q2_K; the third of element
/// 128 h + 32 i + c is bit 4 h + i of hmask[c]. `scales`: see `q3_k_scale`.
struct BlockQ3_K {
    std::uint8_t hmask[32];
    std::uint8_t qs[64];
    std::uint8_t scales[12];
    std::uint8_t d[2];  // f16
};

/// w = d * sc * q - dmin * m, 32 elements to a sub-block. `scales`: see `k_scale` and `k_min`.
/// Element 64 g + c (c < 32) is the low nibble of qs[32 g + c], element 64 g + 32 + c the high one.
struct BlockQ4_K {
    std::uint8_t d[2];     // f16
    std::uint8_t dmin[2];  // f16
    std::uint8_t scales[12];
    std::uint8_t qs[128];
};

/// As Q4_K, and the fifth bit of element 32 s + c is bit s of qh[c].
struct BlockQ5_K {
    std::uint8_t d[2];     // f16
    std::uint8_t dmin[2];  // f16
    std::uint8_t scales[12];
    std::uint8_t qh[32];
    std::uint8_t qs[128];
};

/// w = d * sc * (q - 32), 16 elements to a sub-block. Of element 128 h + 32 i + c, the low 4 bits are in
/// ql[64 h + 32 (i mod 2) + c], the low nibble for i < 2, and the two high bits are bits 2 i and 2 i + 1 of qh[32 h +
/// c].
struct BlockQ6_K {
    std::uint8_t ql[128];
    std::uint8_t qh[64];
    std::int8_t scales[16];
    std::uint8_t d[2];  // f16
};

/// w = d * iq4_values[q]. Nibbles as in Q4_0.
struct BlockIQ4_NL {
    std::uint8_t d[2];  // f16
    std::uint8_t qs[16];
};

/// w = d * (sc - 32) * iq4_values[q], 32 elements to a sub-block s: its nibbles lie in qs[16 s ...] as in Q4_0; sc has
/// its low 4 bits in nibble s of `scales_l` and its two high bits at bit 2 s of `scales_h`.
struct BlockIQ4_XS {
    std::uint8_t d[2];  // f16
    std::uint8_t scales_h[2];
    std::uint8_t scales_l[4];
    std::uint8_t qs[128];
};

/// w = e8m0_half(e) * mxfp4_values[q]. Nibbles as in Q4_0.
struct BlockMXFP4 {
    std::uint8_t e;  // E8M0
    std::uint8_t qs[16];
};

/// The non-linear code book of IQ4_NL and IQ4_XS.
constexpr std::int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// E2M1 values, doubled.
constexpr std::int8_t mxfp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

template <typename Block, int bytes>
constexpr bool laid_out_as_in_the_file = sizeof(Block) == bytes && alignof(Block) == 1;
static_assert(laid_out_as_in_the_file<BlockQ4_0, 18> && laid_out_as_in_the_file<BlockQ4_1, 20>);
static_assert(laid_out_as_in_the_file<BlockQ5_0, 22> && laid_out_as_in_the_file<BlockQ5_1, 24>);
static_assert(laid_out_as_in_the_file<BlockQ8_0, 34> && laid_out_as_in_the_file<BlockQ2_K, 84>);
static_assert(laid_out_as_in_the_file<BlockQ3_K, 110> && laid_out_as_in_the_file<BlockQ4_K, 144>);
static_assert(laid_out_as_in_the_file<BlockQ5_K, 176> && laid_out_as_in_the_file<BlockQ6_K, 210>);
static_assert(laid_out_as_in_the_file<BlockIQ4_NL, 18> && laid_out_as_in_the_file<BlockIQ4_XS, 136>);
static_assert(laid_out_as_in_the_file<BlockMXFP4, 17>);

/// The 6-bit scale sc of sub-block s (of 8) in the 12 bytes that Q4_K and Q5_K share: for s < 4 the low bits of byte s;
/// else the low nibble of byte s + 4 and, above it, the two high bits of byte s - 4.
[[gnu::always_inline]] inline int k_scale(const std::uint8_t (&scales)[12], int s) {
    return s < 4 ? scales[s] & 63 : (scales[s + 4] & 15) | ((scales[s - 4] >> 6) << 4);
}
/// The 6-bit minimum m beside it: for s < 4 the low bits of byte s + 4; else the high nibble of byte s + 4 and the two
/// high bits of byte s.
[[gnu::always_inline]] inline int k_min(const std::uint8_t (&scales)[12], int s) {
    return s < 4 ? scales[s + 4] & 63 : (scales[s + 4] >> 4) | ((scales[s] >> 6) << 4);
}

/// The scale sc - 32 of sub-block s (of 16) of Q3_K: the low 4 bits are a nibble of byte s mod 8, the two high bits are
/// in byte 8 + s mod 4.
[[gnu::always_inline]] inline int q3_k_scale(const std::uint8_t (&scales)[12], int s) {
    const int low = (scales[s % 8] >> (4 * (s / 8))) & 15;
    const int high = (scales[8 + s % 4] >> (2 * (s / 4))) & 3;
    return (low | (high << 4)) - 32;
}

/// The scale sc - 32 of sub-block s (of 8) of IQ4_XS.
[[gnu::always_inline]] inline int iq4_xs_scale(const BlockIQ4_XS& block, int s) {
    const int low = (block.scales_l[s / 2] >> (4 * (s % 2))) & 15;
    const int high = ((block.scales_h[0] | (block.scales_h[1] << 8)) >> (2 * s)) & 3;
    return (low | (high << 4)) - 32;
}

}  // namespace puna::quant
