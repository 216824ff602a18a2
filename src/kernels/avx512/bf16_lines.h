// Weights decoded to bfloat16, a row at a time: 32 consecutive weights of a row are one *line* of 64 bytes, in the
// file's own order. That is what a row of an AMX tile holds, and what a bf16 dot product reads.
//
// A value is q * dw - mw in float32 (docs/numerics.md), rounded to nearest even, denormals to zero, as the CPU's own
// conversion does. Where a law block has at most 32 codes, its values are computed once per code and then looked up:
// conversions are the dear part (two of a core's shuffles for 32 values).
//
// For the shells of AVX-512 sets only; everything has internal linkage. Needs BW, VL, DQ, BF16 and GFNI.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/algorithms/inline.h"
#include "kernels/algorithms/tile_decode.h"
#include "quant/half.h"
#include "quant/tensor_type.h"

namespace puna::kernels {
namespace {

inline constexpr std::int64_t line_elements = 32;
inline constexpr std::size_t line_bytes = 64;
inline constexpr std::int64_t chunk_lines = 8;  // that are decoded together: a block of 256

constexpr std::int64_t lines_for(std::int64_t columns) {
    return (columns + line_elements - 1) / line_elements;
}

/// float of every f16, by its bits: a table in the second-level cache is cheaper than a conversion per block.
alignas(64) float half_values[1 << 16];

// The sixteen codes of a block times each f16 scale, in bfloat16: [scale][code].
alignas(64) std::uint16_t q4_0_values[1 << 16][16];
alignas(64) std::uint16_t iq4_nl_values[1 << 16][16];
alignas(64) std::uint16_t mxfp4_values[1 << 8][16];

alignas(64) constexpr float consecutive_codes[32] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                                     16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
/// The sixteen codes of a codebook of the tile decoders, which holds them plus `bias`.
PUNA_INLINE __m512 codes_of(const std::uint8_t (&codebook)[16], int bias) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codebook));
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_cvtepu8_epi32(bytes), _mm512_set1_epi32(bias)));
}

/// Fills the tables; once, before any line is decoded.
inline void fill_line_tables() {
    for (std::uint32_t bits = 0; bits < (1U << 16); ++bits)
        half_values[bits] = quant::f16_to_f32(static_cast<std::uint16_t>(bits));
    const auto fill = [](std::uint16_t* values, __m512 codes, float scale) {
        _mm256_store_si256(reinterpret_cast<__m256i*>(values),
                           reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_mul_ps(codes, _mm512_set1_ps(scale)))));
    };
    const __m512 q4_0_codes = _mm512_sub_ps(_mm512_load_ps(consecutive_codes), _mm512_set1_ps(8.0F));
    for (std::uint32_t bits = 0; bits < (1U << 16); ++bits) {
        fill(q4_0_values[bits], q4_0_codes, half_values[bits]);
        fill(iq4_nl_values[bits], codes_of(algorithms::iq4_codes, 128), half_values[bits]);
    }
    for (std::uint32_t bits = 0; bits < (1U << 8); ++bits)
        fill(mxfp4_values[bits], codes_of(algorithms::e2m1_codes, 16),
             quant::e8m0_half_to_f32(static_cast<std::uint8_t>(bits)));
}

PUNA_INLINE __m512 broadcast(float x) {
    return _mm512_set1_ps(x);
}
PUNA_INLINE __m512i words(int x) {
    return _mm512_set1_epi16(static_cast<short>(x));
}
PUNA_INLINE std::uint16_t load_half_bits(const std::byte* p) {
    std::uint16_t bits;
    __builtin_memcpy(&bits, p, 2);
    return bits;
}
PUNA_INLINE float load_half(const std::byte* p) {
    return half_values[load_half_bits(p)];
}
PUNA_INLINE __m128i load16(const std::byte* p) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
PUNA_INLINE __m256i load32(const std::byte* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
/// Two vectors of floats as 32 bfloat16: `low` first.
PUNA_INLINE __m512i to_bf16(__m512 low, __m512 high) {
    return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}
/// Word i becomes word (index i modulo 32) of the table.
PUNA_INLINE __m512i lookup(__m512i indices, __m512i table) {
    return _mm512_permutexvar_epi16(indices, table);
}
PUNA_INLINE void store_line(std::byte* out, __m512i line) {
    _mm512_store_si512(out, line);
}

/// bits ? a : b, bit by bit.
PUNA_INLINE __m512i choose(__m512i bits, __m512i a, __m512i b) {
    return _mm512_ternarylogic_epi64(bits, a, b, 0xca);
}

/// Sixteen bytes of nibbles as 32 words, the low nibbles first, each word's low byte nibble + First (0 or 16).
template <int First>
PUNA_INLINE __m512i nibble_words(const std::byte* p) {
    // Each byte twice, the sixteen bytes twice over; then matrices over GF(2) that keep the low nibble, or bring down
    // the high one.
    const __m512i twice = _mm512_set4_epi32(0x07070606, 0x05050404, 0x03030202, 0x01010000);
    const __m512i upper = _mm512_set4_epi32(0x0f0f0e0e, 0x0d0d0c0c, 0x0b0b0a0a, 0x09090808);
    const __m512i pairs = _mm512_mask_blend_epi64(0xcc, twice, upper);
    constexpr long long low = 0x0102040800000000;
    constexpr long long high = 0x1020408000000000;
    const __m512i matrix = _mm512_set_epi64(high, high, high, high, low, low, low, low);
    return _mm512_gf2p8affine_epi64_epi8(_mm512_shuffle_epi8(_mm512_broadcast_i32x4(load16(p)), pairs), matrix, First);
}

// --- types in blocks of 32: two blocks at a time, which share a conversion
// ------------------------------------------------

template <std::size_t BlockBytes>
struct Lines32 {
    static constexpr std::int64_t lines = 1;
    static constexpr std::size_t block_bytes = BlockBytes;
};

/// Types whose blocks hold an f16 (or 8-bit) scale and nibbles: values by scale, from a table of tables.
PUNA_INLINE void tabled_line(const std::uint16_t* values, const std::byte* nibbles, std::byte* out) {
    const __m512i table = _mm512_broadcast_i64x4(_mm256_load_si256(reinterpret_cast<const __m256i*>(values)));
    store_line(out, lookup(nibble_words<0>(nibbles), table));
}

struct Q4_0Lines : Lines32<18> {
    PUNA_INLINE static void decode(const std::byte* a, const std::byte* b, std::byte* out_a, std::byte* out_b) {
        tabled_line(q4_0_values[load_half_bits(a)], a + 2, out_a);
        tabled_line(q4_0_values[load_half_bits(b)], b + 2, out_b);
    }
};

struct IQ4_NLLines : Lines32<18> {
    PUNA_INLINE static void decode(const std::byte* a, const std::byte* b, std::byte* out_a, std::byte* out_b) {
        tabled_line(iq4_nl_values[load_half_bits(a)], a + 2, out_a);
        tabled_line(iq4_nl_values[load_half_bits(b)], b + 2, out_b);
    }
};

struct MXFP4Lines : Lines32<17> {
    PUNA_INLINE static void decode(const std::byte* a, const std::byte* b, std::byte* out_a, std::byte* out_b) {
        tabled_line(mxfp4_values[static_cast<std::uint8_t>(*a)], a + 1, out_a);
        tabled_line(mxfp4_values[static_cast<std::uint8_t>(*b)], b + 1, out_b);
    }
};

struct Q4_1Lines : Lines32<20> {
    PUNA_INLINE static void decode(const std::byte* a, const std::byte* b, std::byte* out_a, std::byte* out_b) {
        const __m512 codes = _mm512_load_ps(consecutive_codes);
        const auto values = [&](const std::byte* p) {
            return _mm512_fmadd_ps(codes, broadcast(load_half(p)), broadcast(load_half(p + 2)));
        };
        const __m512i table = to_bf16(values(a), values(b));
        store_line(out_a, lookup(nibble_words<0>(a + 4), table));
        store_line(out_b, lookup(nibble_words<16>(b + 4), table));
    }
};

/// Nibbles, and a fifth bit of each weight in the 32 bits at `high`.
PUNA_INLINE __m512i five_bit_words(const std::byte* high, const std::byte* nibbles) {
    __mmask32 bits;
    __builtin_memcpy(&bits, high, 4);
    const __m512i low = nibble_words<0>(nibbles);
    return _mm512_mask_add_epi16(low, bits, low, words(16));
}

struct Q5_0Lines : Lines32<22> {
    PUNA_INLINE static void decode_one(const std::byte* p, std::byte* out) {
        const __m512 scale = broadcast(load_half(p));
        const __m512 low = _mm512_sub_ps(_mm512_load_ps(consecutive_codes), broadcast(16.0F));
        const __m512i table =
            to_bf16(_mm512_mul_ps(low, scale), _mm512_mul_ps(_mm512_load_ps(consecutive_codes), scale));
        store_line(out, lookup(five_bit_words(p + 2, p + 6), table));
    }
    PUNA_INLINE static void decode(const std::byte* a, const std::byte* b, std::byte* out_a, std::byte* out_b) {
        decode_one(a, out_a);
        decode_one(b, out_b);
    }
};

struct Q5_1Lines : Lines32<24> {
    PUNA_INLINE static void decode_one(const std::byte* p, std::byte* out) {
        const __m512 scale = broadcast(load_half(p));
        const __m512 min = broadcast(load_half(p + 2));
        const __m512i table = to_bf16(_mm512_fmadd_ps(_mm512_load_ps(consecutive_codes), scale, min),
                                      _mm512_fmadd_ps(_mm512_load_ps(consecutive_codes + 16), scale, min));
        store_line(out, lookup(five_bit_words(p + 4, p + 8), table));
    }
    PUNA_INLINE static void decode(const std::byte* a, const std::byte* b, std::byte* out_a, std::byte* out_b) {
        decode_one(a, out_a);
        decode_one(b, out_b);
    }
};

/// Sixteen int8 times a scale.
PUNA_INLINE __m512 scaled_bytes(__m128i bytes, __m512 scale) {
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)), scale);
}

struct Q8_0Lines : Lines32<34> {
    PUNA_INLINE static void decode_one(const std::byte* p, std::byte* out) {
        const __m512 scale = broadcast(load_half(p));
        store_line(out, to_bf16(scaled_bytes(load16(p + 2), scale), scaled_bytes(load16(p + 18), scale)));
    }
    PUNA_INLINE static void decode(const std::byte* a, const std::byte* b, std::byte* out_a, std::byte* out_b) {
        decode_one(a, out_a);
        decode_one(b, out_b);
    }
};

// --- floats: 32 at a time, of which `valid` or more are left in the row
// -------------------------------------------------

template <std::size_t BlockBytes>
struct FloatLines {
    static constexpr std::int64_t lines = 0;
    static constexpr std::size_t block_bytes = BlockBytes;

    PUNA_INLINE static __mmask32 mask(std::int64_t valid) {
        return valid >= line_elements ? 0xffffffffU : (1U << valid) - 1U;
    }
};

/// 32 floats, of which `valid` or more are left, as a line.
PUNA_INLINE __m512i line_of(const void* floats, std::int64_t valid) {
    const auto* p = static_cast<const std::byte*>(floats);
    const __mmask32 keep = FloatLines<128>::mask(valid);
    return to_bf16(_mm512_maskz_loadu_ps(static_cast<__mmask16>(keep), p),
                   _mm512_maskz_loadu_ps(static_cast<__mmask16>(keep >> 16), p + 64));
}

/// Whether none of a line's values is a NaN or an infinity.
PUNA_INLINE bool all_finite(__m512i line) {
    const __m512i exponent = words(0x7f80);
    return _mm512_cmpeq_epi16_mask(_mm512_and_si512(line, exponent), exponent) == 0;
}

struct F32Lines : FloatLines<128> {
    PUNA_INLINE static void decode(const std::byte* p, std::int64_t valid, std::byte* out) {
        store_line(out, line_of(p, valid));
    }
};

struct F16Lines : FloatLines<64> {
    PUNA_INLINE static void decode(const std::byte* p, std::int64_t valid, std::byte* out) {
        const __m512i halves = _mm512_maskz_loadu_epi16(mask(valid), p);
        store_line(out, to_bf16(_mm512_cvtph_ps(_mm512_castsi512_si256(halves)),
                                _mm512_cvtph_ps(_mm512_extracti64x4_epi64(halves, 1))));
    }
};

struct BF16Lines : FloatLines<64> {
    PUNA_INLINE static void decode(const std::byte* p, std::int64_t valid, std::byte* out) {
        store_line(out, _mm512_maskz_loadu_epi16(mask(valid), p));
    }
};

// --- super-blocks of 256: eight lines, `stride` bytes apart
// ------------------------------------------------------------------

template <std::size_t BlockBytes>
struct Lines256 {
    static constexpr std::int64_t lines = 8;
    static constexpr std::size_t block_bytes = BlockBytes;
};

PUNA_INLINE std::uint32_t load_u32(const std::byte* p) {
    std::uint32_t x;
    __builtin_memcpy(&x, p, 4);
    return x;
}

/// Q4_K and Q5_K, from the start of the block: out[2 i] = d * scale i, out[2 i + 1] = dmin * min i.
PUNA_INLINE void scales_and_mins(const std::byte* block, float* out) {
    const std::uint32_t s0 = load_u32(block + 4);
    const std::uint32_t s1 = load_u32(block + 8);
    const std::uint32_t s2 = load_u32(block + 12);
    const auto pair = [](std::uint32_t low, std::uint32_t high) {
        return static_cast<long long>(low | static_cast<std::uint64_t>(high) << 32);
    };
    const long long scales = pair(s0 & 0x3f3f3f3fu, (s2 & 0x0f0f0f0fu) | ((s0 >> 2) & 0x30303030u));
    const long long mins = pair(s1 & 0x3f3f3f3fu, ((s2 >> 4) & 0x0f0f0f0fu) | ((s1 >> 2) & 0x30303030u));
    const __m512i both = _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(_mm_cvtsi64_si128(scales), _mm_cvtsi64_si128(mins)));
    const __m512 d = _mm512_cvtph_ps(_mm256_set1_epi32(static_cast<int>(load_u32(block))));  // d, dmin, d, dmin, ...
    _mm512_store_ps(out, _mm512_mul_ps(_mm512_cvtepi32_ps(both), d));
}

struct Q4_KLines : Lines256<144> {
    PUNA_INLINE static void decode(const std::byte* block, std::byte* out, std::size_t stride) {
        alignas(64) float scales[16];
        scales_and_mins(block, scales);
        const __m512 codes = _mm512_load_ps(consecutive_codes);
        for (int pair = 0; pair < 4; ++pair) {
            const float* s = scales + 4 * pair;
            const __m512i table = to_bf16(_mm512_fmsub_ps(codes, broadcast(s[0]), broadcast(s[1])),
                                          _mm512_fmsub_ps(codes, broadcast(s[2]), broadcast(s[3])));
            const __m512i bytes = _mm512_cvtepu8_epi16(load32(block + 16 + 32 * pair));
            const __m512i low = _mm512_and_si512(bytes, words(15));
            const __m512i high = _mm512_or_si512(_mm512_srli_epi16(bytes, 4), words(16));
            store_line(out, lookup(low, table));
            store_line(out + stride, lookup(high, table));
            out += 2 * stride;
        }
    }
};

struct Q5_KLines : Lines256<176> {
    PUNA_INLINE static void decode(const std::byte* block, std::byte* out, std::size_t stride) {
        alignas(64) float scales[16];
        scales_and_mins(block, scales);
        const __m512i fifth = _mm512_cvtepu8_epi16(load32(block + 16));  // bit i: of weight k of law block i
        const auto line = [&](__m512i nibbles, int i) PUNA_INLINE_LAMBDA {
            const __m512 scale = broadcast(scales[2 * i]);
            const __m512 min = broadcast(scales[2 * i + 1]);
            const __m512i table = to_bf16(_mm512_fmsub_ps(_mm512_load_ps(consecutive_codes), scale, min),
                                          _mm512_fmsub_ps(_mm512_load_ps(consecutive_codes + 16), scale, min));
            const auto up = static_cast<unsigned>(i < 4 ? 4 - i : 0);
            const auto down = static_cast<unsigned>(i < 4 ? 0 : i - 4);
            const __m512i bit = _mm512_srli_epi16(_mm512_slli_epi16(fifth, up), down);
            store_line(out + static_cast<std::size_t>(i) * stride, lookup(choose(words(16), bit, nibbles), table));
        };
#pragma GCC unroll 4
        for (int pair = 0; pair < 4; ++pair) {
            const __m512i bytes = _mm512_cvtepu8_epi16(load32(block + 48 + 32 * pair));
            line(bytes, 2 * pair);
            line(_mm512_srli_epi16(bytes, 4), 2 * pair + 1);
        }
    }
};

/// Law blocks of 16 from 64 bytes that hold q: one line for each 32, by the scales of its halves.
PUNA_INLINE void scaled_lines(__m512i q, const float* scales, std::byte* out, std::size_t stride) {
    const __m256i halves[2] = {_mm512_castsi512_si256(q), _mm512_extracti64x4_epi64(q, 1)};
    for (int i = 0; i < 2; ++i) {
        store_line(out + static_cast<std::size_t>(i) * stride,
                   to_bf16(scaled_bytes(_mm256_castsi256_si128(halves[i]), broadcast(scales[2 * i])),
                           scaled_bytes(_mm256_extracti128_si256(halves[i], 1), broadcast(scales[2 * i + 1]))));
    }
}

struct Q6_KLines : Lines256<210> {
    PUNA_INLINE static void decode(const std::byte* block, std::byte* out, std::size_t stride) {
        alignas(64) float scales[16];
        _mm512_store_ps(scales, scaled_bytes(load16(block + 192), broadcast(load_half(block + 208))));
        for (int half = 0; half < 2; ++half) {  // 128 weights: 64 bytes of nibbles, 32 bytes of their upper two bits
            const __m512i nibbles = _mm512_loadu_si512(block + 64 * half);
            const __m512i twice = _mm512_broadcast_i64x4(load32(block + 128 + 32 * half));
            // Bits 4 and 5: of weights 0 to 63, then of 64 to 127.
            const __m512i shifts = _mm512_set_epi64(2, 2, 2, 2, 4, 4, 4, 4);
            const __m512i first = _mm512_sllv_epi64(twice, shifts);
            const __m512i second = _mm512_srlv_epi64(twice, _mm512_set_epi64(2, 2, 2, 2, 0, 0, 0, 0));
            const __m512i six_bits = _mm512_set1_epi8(0x3f);
            const __m512i upper = _mm512_set1_epi8(0x30);
            const __m512i bias = _mm512_set1_epi8(32);
            const auto centred = [&](__m512i high, __m512i low) PUNA_INLINE_LAMBDA {
                return _mm512_sub_epi8(_mm512_and_si512(choose(upper, high, low), six_bits), bias);
            };
            scaled_lines(centred(first, nibbles), scales + 8 * half, out, stride);
            scaled_lines(centred(second, _mm512_srli_epi16(nibbles, 4)), scales + 8 * half + 4, out + 2 * stride,
                         stride);
            out += 4 * stride;
        }
    }
};

struct Q3_KLines : Lines256<110> {
    PUNA_INLINE static void decode(const std::byte* block, std::byte* out, std::size_t stride) {
        const std::uint32_t s0 = load_u32(block + 96);
        const std::uint32_t s1 = load_u32(block + 100);
        const std::uint32_t s2 = load_u32(block + 104);
        constexpr std::uint32_t low = 0x0f0f0f0fu;
        constexpr std::uint32_t high = 0x30303030u;
        const __m128i packed = _mm_set_epi32(
            static_cast<int>(((s1 >> 4) & low) | ((s2 >> 2) & high)), static_cast<int>(((s0 >> 4) & low) | (s2 & high)),
            static_cast<int>((s1 & low) | ((s2 << 2) & high)), static_cast<int>((s0 & low) | ((s2 << 4) & high)));
        const __m512 scales = scaled_bytes(_mm_sub_epi8(packed, _mm_set1_epi8(32)), broadcast(load_half(block + 108)));
        // Eight codes for each half of a line, two lines to a table.
        const __m512 codes = _mm512_setr_ps(-4, -3, -2, -1, 0, 1, 2, 3, -4, -3, -2, -1, 0, 1, 2, 3);
        const __m512i halves = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
        const __m512i offsets = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(8), 1);
        const __m512i third = _mm512_cvtepu8_epi16(load32(block));  // bit i: bit 2 of line i
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
            const __m512i two_bits = _mm512_cvtepu8_epi16(load32(block + 32 + 32 * half));
#pragma GCC unroll 2
            for (int pair = 0; pair < 2; ++pair) {
                const int first = 4 * half + 2 * pair;
                const auto values = [&](int line) PUNA_INLINE_LAMBDA {
                    const __m512i index = _mm512_add_epi32(halves, _mm512_set1_epi32(2 * line));
                    return _mm512_mul_ps(codes, _mm512_permutexvar_ps(index, scales));
                };
                const __m512i table = to_bf16(values(first), values(first + 1));
#pragma GCC unroll 2
                for (int i = 0; i < 2; ++i) {
                    const int line = first + i;
                    const __m512i low_bits = _mm512_srli_epi16(two_bits, static_cast<unsigned>(2 * (line % 4)));
                    const __m512i bit =
                        _mm512_srli_epi16(_mm512_slli_epi16(third, static_cast<unsigned>(line < 2 ? 2 - line : 0)),
                                          static_cast<unsigned>(line < 2 ? 0 : line - 2));
                    const __m512i code = choose(words(4), bit, low_bits);
                    const __m512i place = _mm512_or_si512(offsets, words(16 * i));
                    store_line(out + static_cast<std::size_t>(line) * stride,
                               lookup(choose(words(7), code, place), table));
                }
            }
        }
    }
};

struct Q2_KLines : Lines256<84> {
    PUNA_INLINE static void decode(const std::byte* block, std::byte* out, std::size_t stride) {
        const __m128i packed = load16(block);  // a nibble of scale, a nibble of min for each 16 weights
        const __m128i nibble = _mm_set1_epi8(15);
        const __m512 scales = scaled_bytes(_mm_and_si128(packed, nibble), broadcast(load_half(block + 80)));
        const __m512 mins =
            scaled_bytes(_mm_and_si128(_mm_srli_epi16(packed, 4), nibble), broadcast(load_half(block + 82)));
        const __m512 codes = _mm512_setr_ps(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
        const __m512i quarters = _mm512_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3);
        const __m512i offsets = _mm512_inserti64x4(_mm512_setzero_si512(), _mm256_set1_epi16(4), 1);
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
            // Four codes for each half of a line: the table holds four lines.
            const auto values = [&](int first) PUNA_INLINE_LAMBDA {
                const __m512i index = _mm512_add_epi32(quarters, _mm512_set1_epi32(first));
                return _mm512_fmsub_ps(codes, _mm512_permutexvar_ps(index, scales), _mm512_permutexvar_ps(index, mins));
            };
            const __m512i table = to_bf16(values(8 * half), values(8 * half + 4));
            const __m512i bytes = _mm512_cvtepu8_epi16(load32(block + 16 + 32 * half));
#pragma GCC unroll 4
            for (int line = 0; line < 4; ++line) {
                const __m512i code = _mm512_srli_epi16(bytes, static_cast<unsigned>(2 * line));
                const __m512i place = _mm512_or_si512(offsets, words(8 * line));
                store_line(out, lookup(choose(words(3), code, place), table));
                out += stride;
            }
        }
    }
};

struct IQ4_XSLines : Lines256<136> {
    PUNA_INLINE static void decode(const std::byte* block, std::byte* out, std::size_t stride) {
        const float d = load_half(block);
        const std::uint32_t high = load_half_bits(block + 2);
        const std::uint32_t low = load_u32(block + 4);
        const __m512 codes = codes_of(algorithms::iq4_codes, 128);
        const auto scale = [&](int i) PUNA_INLINE_LAMBDA {
            const std::uint32_t six = ((low >> (4 * i)) & 15u) | (((high >> (2 * i)) & 3u) << 4);
            return broadcast(d * static_cast<float>(static_cast<std::int32_t>(six) - 32));
        };
#pragma GCC unroll 4
        for (int pair = 0; pair < 4; ++pair) {
            const __m512i table =
                to_bf16(_mm512_mul_ps(codes, scale(2 * pair)), _mm512_mul_ps(codes, scale(2 * pair + 1)));
            const std::byte* nibbles = block + 8 + 32 * pair;
            store_line(out, lookup(nibble_words<0>(nibbles), table));
            store_line(out + stride, lookup(nibble_words<16>(nibbles + 16), table));
            out += 2 * stride;
        }
    }
};

// --- types whose law is read by quant's scalar code: seldom used with bf16
// --------------------------------------------------

/// Line `line` of `block`.
PUNA_INLINE void law_line(const quant::TypeInfo& type, const std::byte* block, std::size_t line, std::byte* out) {
    const bool halves = type.law_width == 16;  // two law blocks to a line
    quant::LawBlock first;
    type.law_block(block, halves ? 2 * line : line, &first);
    const auto sixteen = [](const std::int8_t* q, float scale) {
        return scaled_bytes(load16(reinterpret_cast<const std::byte*>(q)), broadcast(scale));
    };
    const __m512 low = sixteen(first.q, first.scale);
    if (!halves) return store_line(out, to_bf16(low, sixteen(first.q + 16, first.scale)));
    quant::LawBlock second;
    type.law_block(block, 2 * line + 1, &second);
    store_line(out, to_bf16(low, sixteen(second.q, second.scale)));
}

template <quant::TensorType Type, std::size_t BlockBytes>
struct LawLines : Lines256<BlockBytes> {
    PUNA_INLINE static void decode(const std::byte* block, std::byte* out, std::size_t stride) {
        const quant::TypeInfo& type = quant::type_info(Type);
        for (std::size_t line = 0; line < 8; ++line)
            law_line(type, block, line, out + line * stride);
    }
};

using IQ1_SLines = LawLines<quant::TensorType::IQ1_S, 50>;
using IQ1_MLines = LawLines<quant::TensorType::IQ1_M, 56>;
using IQ2_XXSLines = LawLines<quant::TensorType::IQ2_XXS, 66>;
using IQ2_XSLines = LawLines<quant::TensorType::IQ2_XS, 74>;
using IQ2_SLines = LawLines<quant::TensorType::IQ2_S, 82>;
using IQ3_XXSLines = LawLines<quant::TensorType::IQ3_XXS, 98>;
using IQ3_SLines = LawLines<quant::TensorType::IQ3_S, 110>;
using TQ1_0Lines = LawLines<quant::TensorType::TQ1_0, 54>;
using TQ2_0Lines = LawLines<quant::TensorType::TQ2_0, 66>;

/// Two lines are one block of 36 bytes; lines come in such pairs.
struct NVFP4Lines : Lines32<18> {
    PUNA_INLINE static void decode(const std::byte* block, const std::byte*, std::byte* out_a, std::byte* out_b) {
        const quant::TypeInfo& type = quant::type_info(quant::TensorType::NVFP4);
        law_line(type, block, 0, out_a);
        law_line(type, block, 1, out_b);
    }
};

// --- rows
// -----------------------------------------------------------------------------------------------------------------

/// Lines [first, first + count) of one row of `columns` weights, `stride` bytes apart; `first` is a multiple of 8, and
/// count is at most 8.
template <typename T>
PUNA_INLINE void decode_lines(const std::byte* row, std::int64_t columns, std::int64_t first, std::int64_t count,
                              std::byte* out, std::size_t stride) {
    if constexpr (T::lines == 8) {
        T::decode(row + static_cast<std::size_t>(first / 8) * T::block_bytes, out, stride);
        return;
    }
    const std::byte* block = row + static_cast<std::size_t>(first) * T::block_bytes;
    const auto at = [&](int i) { return block + static_cast<std::size_t>(i) * T::block_bytes; };
    const auto to = [&](int i) { return out + static_cast<std::size_t>(i) * stride; };
    if constexpr (T::lines == 1) {
        if (count == chunk_lines) {
#pragma GCC unroll 4
            for (int i = 0; i < chunk_lines; i += 2)
                T::decode(at(i), at(i + 1), to(i), to(i + 1));
            return;
        }
        for (int i = 0; i < count; i += 2) {
            const int next = i + 1 < count ? i + 1 : i;  // the one block that is left is decoded twice
            T::decode(at(i), at(next), to(i), to(next));
        }
    } else if constexpr (T::lines == 0) {
        if ((first + count) * line_elements <= columns && count == chunk_lines) {
#pragma GCC unroll 8
            for (int i = 0; i < chunk_lines; ++i)
                T::decode(at(i), line_elements, to(i));
            return;
        }
        for (int i = 0; i < count; ++i)
            T::decode(at(i), columns - (first + i) * line_elements, to(i));
    }
}

/// Calls `make` with the decoder of a type, and gives what it gives; null for a type without one.
template <typename Make>
auto with_lines(quant::TensorType type, const Make& make) -> decltype(make(F32Lines{})) {
    using quant::TensorType;
    switch (type) {
        case TensorType::F32: return make(F32Lines{});
        case TensorType::F16: return make(F16Lines{});
        case TensorType::BF16: return make(BF16Lines{});
        case TensorType::Q4_0: return make(Q4_0Lines{});
        case TensorType::Q4_1: return make(Q4_1Lines{});
        case TensorType::Q5_0: return make(Q5_0Lines{});
        case TensorType::Q5_1: return make(Q5_1Lines{});
        case TensorType::Q8_0: return make(Q8_0Lines{});
        case TensorType::Q2_K: return make(Q2_KLines{});
        case TensorType::Q3_K: return make(Q3_KLines{});
        case TensorType::Q4_K: return make(Q4_KLines{});
        case TensorType::Q5_K: return make(Q5_KLines{});
        case TensorType::Q6_K: return make(Q6_KLines{});
        case TensorType::IQ1_S: return make(IQ1_SLines{});
        case TensorType::IQ1_M: return make(IQ1_MLines{});
        case TensorType::IQ2_XXS: return make(IQ2_XXSLines{});
        case TensorType::IQ2_XS: return make(IQ2_XSLines{});
        case TensorType::IQ2_S: return make(IQ2_SLines{});
        case TensorType::IQ3_XXS: return make(IQ3_XXSLines{});
        case TensorType::IQ3_S: return make(IQ3_SLines{});
        case TensorType::IQ4_NL: return make(IQ4_NLLines{});
        case TensorType::IQ4_XS: return make(IQ4_XSLines{});
        case TensorType::TQ1_0: return make(TQ1_0Lines{});
        case TensorType::TQ2_0: return make(TQ2_0Lines{});
        case TensorType::MXFP4: return make(MXFP4Lines{});
        case TensorType::NVFP4: return make(NVFP4Lines{});
        default: return nullptr;
    }
}

}  // namespace
}  // namespace puna::kernels
