// The vector primitives of AVX2 with FMA and F16C: sixteen lanes are two registers of eight.
//
// For the shells of this folder only; everything has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/avx2/columns.h"

namespace puna::kernels {
namespace {

struct Avx2 {
    // --- sixteen floats, sixteen int32, and quads: sixteen rows of four bytes
    // -----------------------------------------
    struct F {
        __m256 low, high;
    };
    struct I {
        __m256i low, high;
    };
    using Q = I;

    static constexpr int float_tile_rows = 2;
    static constexpr int float_stream_rows = 4;  // at a time, where each weight is used once
    static constexpr int float_tile_columns = 3;
    static constexpr int integer_tile_columns = 3;

    // --- floats
    // -------------------------------------------------------------------------------------------------------
    static F set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
    static F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
    static void store(float* p, F a) {
        _mm256_storeu_ps(p, a.low);
        _mm256_storeu_ps(p + 8, a.high);
    }
    static F from_f16(const std::uint16_t* p) {
        return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
                _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
    }
    static F from_bf16(const std::uint16_t* p) {
        const auto widen = [](const std::uint16_t* half) {
            const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(half)));
            return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
        };
        return {widen(p), widen(p + 8)};
    }
    static F add(F a, F b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
    static F sub(F a, F b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
    static F mul(F a, F b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
    static F div(F a, F b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
    static F fma(F a, F b, F c) {
        return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
    }
    /// a > b ? a : b
    static F max(F a, F b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
    static F min(F a, F b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
    static F abs(F a) {
        const __m256 sign = _mm256_set1_ps(-0.0F);
        return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
    }
    static F round(F a) {
        constexpr int nearest_even = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        return {_mm256_round_ps(a.low, nearest_even), _mm256_round_ps(a.high, nearest_even)};
    }
    /// Lanes where x < y become `below`, others stay `a`.
    static F replace_below(F x, F y, F below, F a) {
        return {_mm256_blendv_ps(a.low, below.low, _mm256_cmp_ps(x.low, y.low, _CMP_LT_OQ)),
                _mm256_blendv_ps(a.high, below.high, _mm256_cmp_ps(x.high, y.high, _CMP_LT_OQ))};
    }
    /// Lanes from `count` on become `other`.
    static F replace_from(int count, F other, F a) {
        const __m256i n = _mm256_set1_epi32(count);
        const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        const __m256 low = _mm256_castsi256_ps(_mm256_cmpgt_epi32(n, lane));
        const __m256 high = _mm256_castsi256_ps(_mm256_cmpgt_epi32(n, _mm256_add_epi32(lane, _mm256_set1_epi32(8))));
        return {_mm256_blendv_ps(other.low, a.low, low), _mm256_blendv_ps(other.high, a.high, high)};
    }
    static bool all_finite(F a) {
        const __m256 infinity = _mm256_set1_ps(__builtin_inff());
        const F magnitude = abs(a);
        const __m256 ok = _mm256_and_ps(_mm256_cmp_ps(magnitude.low, infinity, _CMP_LT_OQ),
                                        _mm256_cmp_ps(magnitude.high, infinity, _CMP_LT_OQ));
        return _mm256_movemask_ps(ok) == 0xff;
    }
    /// Lanes add as (i, i + 8), (i, i + 4), (i, i + 2), (i, i + 1).
    static float reduce_add(F a) {
        const __m256 eight = _mm256_add_ps(a.low, a.high);
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
    }
    static float reduce_max(F a) {
        const __m256 eight = _mm256_max_ps(a.low, a.high);
        const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
    }

    // --- integers
    // -----------------------------------------------------------------------------------------------------
    static I to_int(F a) { return {_mm256_cvtps_epi32(a.low), _mm256_cvtps_epi32(a.high)}; }
    static F to_float(I a) { return {_mm256_cvtepi32_ps(a.low), _mm256_cvtepi32_ps(a.high)}; }
    static void store_int(std::int32_t* p, I a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.low);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 8), a.high);
    }
    static I set_int(std::int32_t x) { return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)}; }
    static I add_int(I a, I b) { return {_mm256_add_epi32(a.low, b.low), _mm256_add_epi32(a.high, b.high)}; }
    static I max_int(I a, I b) { return {_mm256_max_epi32(a.low, b.low), _mm256_max_epi32(a.high, b.high)}; }
    static F float_from_bits(I a) { return {_mm256_castsi256_ps(a.low), _mm256_castsi256_ps(a.high)}; }
    static I bits_of(F a) { return {_mm256_castps_si256(a.low), _mm256_castps_si256(a.high)}; }

    // --- quads
    // --------------------------------------------------------------------------------------------------------
    static Q load_quad(const std::byte* p) {
        return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)),
                _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p + 32))};
    }
    static void store_quad(std::byte* p, Q a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.low);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p + 32), a.high);
    }
    static Q bytes(std::uint8_t x) {
        return {_mm256_set1_epi8(static_cast<char>(x)), _mm256_set1_epi8(static_cast<char>(x))};
    }
    static Q both(Q a, Q b) { return {_mm256_and_si256(a.low, b.low), _mm256_and_si256(a.high, b.high)}; }
    static Q either(Q a, Q b) { return {_mm256_or_si256(a.low, b.low), _mm256_or_si256(a.high, b.high)}; }
    static Q exclusive(Q a, Q b) { return {_mm256_xor_si256(a.low, b.low), _mm256_xor_si256(a.high, b.high)}; }
    static Q shift_right(Q a, int n) { return {_mm256_srli_epi32(a.low, n), _mm256_srli_epi32(a.high, n)}; }
    static Q shift_left(Q a, int n) { return {_mm256_slli_epi32(a.low, n), _mm256_slli_epi32(a.high, n)}; }
    static Q multiply_low(Q a, std::uint32_t x) {
        const __m256i factor = _mm256_set1_epi32(static_cast<int>(x));
        return {_mm256_mullo_epi32(a.low, factor), _mm256_mullo_epi32(a.high, factor)};
    }
    /// Each byte, 0 to 15, becomes table[byte].
    static Q lookup(Q a, const std::uint8_t* table) {
        const __m256i t = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table)));
        return {_mm256_shuffle_epi8(t, a.low), _mm256_shuffle_epi8(t, a.high)};
    }
    /// Sixteen bytes of each of sixteen rows, `stride` apart, as four quads in order of bytes.
    static void columns(const std::byte* base, std::size_t stride, Q* out) {
        eight_columns(base, stride, &out[0].low, &out[1].low, &out[2].low, &out[3].low);
        eight_columns(base + 8 * stride, stride, &out[0].high, &out[1].high, &out[2].high, &out[3].high);
    }
    /// Four bytes of each row.
    static Q column(const std::byte* base, std::size_t stride) {
        const auto eight = [stride](const std::byte* p) {
            const __m256i low = _mm256_castsi128_si256(four_dwords(p, stride));
            return _mm256_inserti128_si256(low, four_dwords(p + 4 * stride, stride), 1);
        };
        return {eight(base), eight(base + 8 * stride)};
    }
    /// An f16 of each row.
    static F f16_column(const std::byte* base, std::size_t stride) {
        return {_mm256_cvtph_ps(eight_halves(base, stride)), _mm256_cvtph_ps(eight_halves(base + 8 * stride, stride))};
    }
    /// Two f16 of each row, side by side.
    static void f16_columns(const std::byte* base, std::size_t stride, F* first, F* second) {
        const Q pairs = column(base, stride);
        const auto halves = [](__m256i dwords) {  // the low 16 bits of eight dwords, as floats
            const __m256i low = _mm256_and_si256(dwords, _mm256_set1_epi32(0xffff));
            return _mm256_cvtph_ps(_mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)));
        };
        *first = {halves(pairs.low), halves(pairs.high)};
        *second = {halves(_mm256_srli_epi32(pairs.low, 16)), halves(_mm256_srli_epi32(pairs.high, 16))};
    }
    /// Byte n, 0 to 3, of each row's quad, as an unsigned integer.
    static I byte_of(Q a, int n) {
        const __m256i mask = _mm256_set1_epi32(0xff);
        const Q shifted = shift_right(a, 8 * n);
        return {_mm256_and_si256(shifted.low, mask), _mm256_and_si256(shifted.high, mask)};
    }

    // --- integer products
    // --------------------------------------------------------------------------------------------- The byte product,
    // maddubs, adds pairs into 16 bits and saturates there: how many it may add before they are widened depends on the
    // weights' range, 4, 6 or 8 bits. Bytes of 8 bits are widened first: even and odd bytes apart, against activations
    // of 16 bits stored in that order.
    static constexpr int product_range(int bits) { return bits <= 4 ? 4 : bits <= 6 ? 6 : 8; }

    template <int Range>
    struct Int16 {
        using Sum = I;
        static constexpr float limit = 32639.0F;
        static constexpr std::size_t block_bytes = 64;

        static Sum start(std::int32_t x) { return set_int(x); }
        static void multiply(Sum& sum, Q weights, const std::byte* activations, int quad) {
            const __m256i byte_mask = _mm256_set1_epi16(0x00ff);
            const __m256i even = broadcast_quad(activations + quad * 8);
            const __m256i odd = broadcast_quad(activations + quad * 8 + 4);
            sum.low = _mm256_add_epi32(sum.low, _mm256_madd_epi16(_mm256_and_si256(weights.low, byte_mask), even));
            sum.high = _mm256_add_epi32(sum.high, _mm256_madd_epi16(_mm256_and_si256(weights.high, byte_mask), even));
            sum.low = _mm256_add_epi32(sum.low, _mm256_madd_epi16(_mm256_srli_epi16(weights.low, 8), odd));
            sum.high = _mm256_add_epi32(sum.high, _mm256_madd_epi16(_mm256_srli_epi16(weights.high, 8), odd));
        }
        static I total(Sum sum) { return sum; }
        /// Lays 32 integers out as `multiply` reads them: per quad (q0, q2), (q1, q3).
        static void pack(const std::int32_t* q, std::byte* out) {
            std::int16_t packed[32];
            for (int i = 0; i < 32; i += 4) {
                packed[i] = static_cast<std::int16_t>(q[i]);
                packed[i + 1] = static_cast<std::int16_t>(q[i + 2]);
                packed[i + 2] = static_cast<std::int16_t>(q[i + 1]);
                packed[i + 3] = static_cast<std::int16_t>(q[i + 3]);
            }
            __builtin_memcpy(out, packed, 64);
        }
    };

    /// Eight bits, stored twice: 32 bytes for maddubs, behind the 64 that weights of 8 bits need.
    template <int Range>
    struct Int8 {
        struct Sum {
            I whole;  // int32
            I pairs;  // int16, not yet widened
        };
        static constexpr float limit = 127.0F;
        static constexpr std::size_t block_bytes = 96;

        static Sum start(std::int32_t x) { return {set_int(x), set_int(0)}; }
        static void multiply(Sum& sum, Q weights, const std::byte* activations, int quad) {
            if constexpr (Range == 8) {
                Int16<8>::multiply(sum.whole, weights, activations, quad);
            } else {
                const __m256i x = broadcast_quad(activations + 64 + quad * 4);
                sum.pairs.low = _mm256_add_epi16(sum.pairs.low, _mm256_maddubs_epi16(weights.low, x));
                sum.pairs.high = _mm256_add_epi16(sum.pairs.high, _mm256_maddubs_epi16(weights.high, x));
                // 2 products x 2 quads x 63 x 127 = 32,004; of 4 bits eight quads fit: 2 x 8 x 15 x 127 = 30,480.
                if (Range == 6 && quad % 2 == 1) {
                    sum.whole = total(sum);
                    sum.pairs = set_int(0);
                }
            }
        }
        static I total(Sum sum) {
            if constexpr (Range == 8) return sum.whole;
            const __m256i ones = _mm256_set1_epi16(1);
            return add_int(sum.whole,
                           {_mm256_madd_epi16(sum.pairs.low, ones), _mm256_madd_epi16(sum.pairs.high, ones)});
        }
        static void pack(const std::int32_t* q, std::byte* out) {
            Int16<8>::pack(q, out);
            for (int i = 0; i < 32; ++i)
                out[64 + i] = static_cast<std::byte>(q[i]);
        }
    };

  private:
    static __m256i broadcast_quad(const std::byte* p) {
        std::int32_t quad;
        __builtin_memcpy(&quad, p, 4);
        return _mm256_set1_epi32(quad);
    }
    /// Transposes 8 rows of 4 dwords: out[j] holds dword j of rows 0 ... 7.
    static void eight_columns(const std::byte* base, std::size_t stride, __m256i* c0, __m256i* c1, __m256i* c2,
                              __m256i* c3) {
        const auto pair = [base, stride](std::size_t row) {
            const auto load16 = [&](std::size_t r) {
                return _mm_loadu_si128(reinterpret_cast<const __m128i*>(base + r * stride));
            };
            return _mm256_inserti128_si256(_mm256_castsi128_si256(load16(row)), load16(row + 4), 1);
        };
        const __m256i r0 = pair(0), r1 = pair(1), r2 = pair(2), r3 = pair(3);
        const __m256i ab_low = _mm256_unpacklo_epi32(r0, r1);
        const __m256i ab_high = _mm256_unpackhi_epi32(r0, r1);
        const __m256i cd_low = _mm256_unpacklo_epi32(r2, r3);
        const __m256i cd_high = _mm256_unpackhi_epi32(r2, r3);
        *c0 = _mm256_unpacklo_epi64(ab_low, cd_low);
        *c1 = _mm256_unpackhi_epi64(ab_low, cd_low);
        *c2 = _mm256_unpacklo_epi64(ab_high, cd_high);
        *c3 = _mm256_unpackhi_epi64(ab_high, cd_high);
    }
};

}  // namespace
}  // namespace puna::kernels
