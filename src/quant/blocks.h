// The blocks of the quantized types, byte for byte as GGUF files hold them.
//
// Bytes alone, so `alignof` is 1 and a block may lie at any address: files of the older formats align nothing. Halves
// are read through half.h. The layouts are those of the GGUF specification and its reference reader, the `gguf`
// package. This header is safe in translation units of an instruction set (no symbol is emitted).
#pragma once

#include <cstdint>

namespace puna::quant {

/// Elements of a block of the "K" types, of IQ1 to IQ3 and of TQ, also called a super-block.
constexpr int super_block = 256;
/// Of the older ones.
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

/// w = e8m0_half(e) * e2m1_values[q]. Nibbles as in Q4_0.
struct BlockMXFP4 {
    std::uint8_t e;  // E8M0
    std::uint8_t qs[16];
};

/// w = ue4m3_half(d[s]) * e2m1_values[q], 16 elements to a sub-block s: its first eight are the low nibbles of
/// qs[8 s ...], the others the high ones.
struct BlockNVFP4 {
    std::uint8_t d[4];  // UE4M3
    std::uint8_t qs[32];
};

/// w = d * (t - 1). A byte is ceil(256 * n / 243), n being five digits t to the base 3, the first the highest. Element
/// 32 i + c (i < 5) is digit i of qs[c], element 160 + 16 i + c digit i of qs[32 + c], element 240 + 4 i + c (i < 4)
/// digit i of qs[48 + c].
struct BlockTQ1_0 {
    std::uint8_t qs[52];
    std::uint8_t d[2];  // f16
};

/// w = d * (q - 1). Element 128 h + 32 i + c is bits 2 i and 2 i + 1 of qs[32 h + c].
struct BlockTQ2_0 {
    std::uint8_t qs[64];
    std::uint8_t d[2];  // f16
};

// IQ1, IQ2 and IQ3 (codebooks.h). Codes are counted within a block: k for eight (or, of IQ3, four) elements. Of
// sub-block s of 32 elements:

/// w = d * (2 sc + 1) / 8 * (8 (point - 1) + 1 or - 1). `qh`, 16 bits for each sub-block: three high bits of each of
/// its four codes, sc in bits 12 to 14, bit 15 set for - 1.
struct BlockIQ1_S {
    std::uint8_t d[2];  // f16
    std::uint8_t qs[32];
    std::uint8_t qh[16];
};

/// As IQ1_S, with sc for 16 elements and a sign for each code: nibble k of `qh` is three high bits of code k, and the
/// sign. `scales`: four times 16 bits, each four sc of three bits, and a nibble of d above them (the first the lowest).
struct BlockIQ1_M {
    std::uint8_t qs[32];
    std::uint8_t qh[16];
    std::uint8_t scales[8];
};

/// w = d * (2 sc + 1) / 8 * +-point. Eight bytes for each sub-block: four codes; then, 32 bits, seven signs
/// (even_signs) for each, and sc in the highest four.
struct BlockIQ2_XXS {
    std::uint8_t d[2];  // f16
    std::uint8_t qs[64];
};

/// w = d * (2 sc + 1) / 8 * +-point. 16 bits for each code: nine of its own, seven signs (even_signs). Byte s of
/// `scales`: sc of the first 16 elements in the low nibble, of the others in the high one.
struct BlockIQ2_XS {
    std::uint8_t d[2];  // f16
    std::uint8_t qs[64];
    std::uint8_t scales[8];
};

/// As IQ2_XS, with two high bits of code k in bits 2 (k mod 4) and up of qh[k / 4], and eight signs in signs[k].
struct BlockIQ2_S {
    std::uint8_t d[2];  // f16
    std::uint8_t qs[32];
    std::uint8_t signs[32];
    std::uint8_t qh[8];
    std::uint8_t scales[8];
};

/// w = d * (2 sc + 1) / 4 * +-point. `signs`, 32 bits for each sub-block: as in IQ2_XXS.
struct BlockIQ3_XXS {
    std::uint8_t d[2];  // f16
    std::uint8_t qs[64];
    std::uint8_t signs[32];
};

/// w = d * (2 sc + 1) * +-point. The ninth bit of code k is bit k mod 8 of qh[k / 8]; four bytes of signs and a nibble
/// of sc for each sub-block.
struct BlockIQ3_S {
    std::uint8_t d[2];  // f16
    std::uint8_t qs[64];
    std::uint8_t qh[8];
    std::uint8_t signs[32];
    std::uint8_t scales[4];
};

/// The non-linear code book of IQ4_NL and IQ4_XS.
constexpr std::int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// E2M1 values, doubled; of MXFP4 and NVFP4.
constexpr std::int8_t e2m1_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

template <typename Block, int bytes>
constexpr bool laid_out_as_in_the_file = sizeof(Block) == bytes && alignof(Block) == 1;
static_assert(laid_out_as_in_the_file<BlockQ4_0, 18> && laid_out_as_in_the_file<BlockQ4_1, 20>);
static_assert(laid_out_as_in_the_file<BlockQ5_0, 22> && laid_out_as_in_the_file<BlockQ5_1, 24>);
static_assert(laid_out_as_in_the_file<BlockQ8_0, 34> && laid_out_as_in_the_file<BlockQ2_K, 84>);
static_assert(laid_out_as_in_the_file<BlockQ3_K, 110> && laid_out_as_in_the_file<BlockQ4_K, 144>);
static_assert(laid_out_as_in_the_file<BlockQ5_K, 176> && laid_out_as_in_the_file<BlockQ6_K, 210>);
static_assert(laid_out_as_in_the_file<BlockIQ4_NL, 18> && laid_out_as_in_the_file<BlockIQ4_XS, 136>);
static_assert(laid_out_as_in_the_file<BlockMXFP4, 17> && laid_out_as_in_the_file<BlockNVFP4, 36>);
static_assert(laid_out_as_in_the_file<BlockTQ1_0, 54> && laid_out_as_in_the_file<BlockTQ2_0, 66>);
static_assert(laid_out_as_in_the_file<BlockIQ1_S, 50> && laid_out_as_in_the_file<BlockIQ1_M, 56>);
static_assert(laid_out_as_in_the_file<BlockIQ2_XXS, 66> && laid_out_as_in_the_file<BlockIQ2_XS, 74>);
static_assert(laid_out_as_in_the_file<BlockIQ2_S, 82> && laid_out_as_in_the_file<BlockIQ3_XXS, 98>);
static_assert(laid_out_as_in_the_file<BlockIQ3_S, 110>);

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
