// The vector primitives of AVX2 that integer products are made of, one register wide: lanes are eight rows of weights.
//
// For the shells of this folder only; everything has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/avx2/columns.h"
#include "kernels/avx2/planes.h"

namespace puna::kernels {
namespace {

struct Eight {
    using F = __m256;
    using I = __m256i;
    using Q = __m256i;  // eight rows of four bytes

    static constexpr std::int64_t rows = 8;
    static constexpr int float_lanes = 8;

    // --- floats
    // -------------------------------------------------------------------------------------------------------
    static F set(float x) { return _mm256_set1_ps(x); }
    static F load(const float* p) { return _mm256_loadu_ps(p); }
    static void store(float* p, F a) { _mm256_storeu_ps(p, a); }
    static F from_f16(const std::uint16_t* p) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    static F from_bf16(const std::uint16_t* p) {
        const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
        return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
    }
    static F add(F a, F b) { return _mm256_add_ps(a, b); }
    static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
    static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
    static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
    /// Lanes where x < y become `below`, others stay `a`.
    static F replace_below(F x, F y, F below, F a) {
        return _mm256_blendv_ps(a, below, _mm256_cmp_ps(x, y, _CMP_LT_OQ));
    }

    // --- integers
    // -----------------------------------------------------------------------------------------------------
    static F to_float(I a) { return _mm256_cvtepi32_ps(a); }
    static I set_int(std::int32_t x) { return _mm256_set1_epi32(x); }
    static I add_int(I a, I b) { return _mm256_add_epi32(a, b); }
    static I max_int(I a, I b) { return _mm256_max_epi32(a, b); }
    static F float_from_bits(I a) { return _mm256_castsi256_ps(a); }

    // --- quads
    // --------------------------------------------------------------------------------------------------------
    static Q load_quad(const std::byte* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
    static void store_quad(std::byte* p, Q a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
    static Q bytes(std::uint8_t x) { return _mm256_set1_epi8(static_cast<char>(x)); }
    static Q both(Q a, Q b) { return _mm256_and_si256(a, b); }
    static Q either(Q a, Q b) { return _mm256_or_si256(a, b); }
    static Q exclusive(Q a, Q b) { return _mm256_xor_si256(a, b); }
    static Q shift_right(Q a, int n) { return _mm256_srli_epi32(a, n); }
    static Q shift_left(Q a, int n) { return _mm256_slli_epi32(a, n); }
    static Q multiply_low(Q a, std::uint32_t x) {
        return _mm256_mullo_epi32(a, _mm256_set1_epi32(static_cast<int>(x)));
    }
    static Q add_bytes(Q a, Q b) { return _mm256_add_epi8(a, b); }
    static Q sub_bytes(Q a, Q b) { return _mm256_sub_epi8(a, b); }
    static Q max_bytes(Q a, Q b) { return _mm256_max_epu8(a, b); }  // unsigned
    /// All bits of a byte that is equal, else none.
    static Q equal_bytes(Q a, Q b) { return _mm256_cmpeq_epi8(a, b); }
    /// Byte n, 0 to 3, of each row's quad, four times.
    static Q repeated_byte(Q a, int n) {
        const __m256i first = _mm256_broadcastsi128_si256(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
        return _mm256_shuffle_epi8(a, _mm256_add_epi8(first, bytes(static_cast<std::uint8_t>(n))));
    }
    /// Each byte, 0 to 15, becomes table[byte].
    static Q lookup(Q a, const std::uint8_t* table) {
        const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(table));
        return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(codes), a);
    }
    /// Sixteen bytes of each of eight rows, `stride` apart, as four quads in order of bytes.
    [[gnu::always_inline]] static void columns(const std::byte* base, std::size_t stride, Q* out) {
        const Rows<8> rows(base, stride);
        columns_by([&rows](std::size_t row) __attribute__((always_inline)) { return sixteen_bytes(rows.at(row)); },
                   out);
    }
    /// The same of what `sixteen(row)` is, a join.
    template <typename Sixteen>
    [[gnu::always_inline]] static void columns_by(const Sixteen& sixteen, Q* out) {
        const auto pair = [&](std::size_t row)
                              __attribute__((always_inline)) { return eights(sixteen(row), sixteen(row + 4)); };
        const __m256i r0 = pair(0), r1 = pair(1), r2 = pair(2), r3 = pair(3);
        const __m256i ab_low = _mm256_unpacklo_epi32(r0, r1);
        const __m256i ab_high = _mm256_unpackhi_epi32(r0, r1);
        const __m256i cd_low = _mm256_unpacklo_epi32(r2, r3);
        const __m256i cd_high = _mm256_unpackhi_epi32(r2, r3);
        out[0] = _mm256_unpacklo_epi64(ab_low, cd_low);
        out[1] = _mm256_unpackhi_epi64(ab_low, cd_low);
        out[2] = _mm256_unpacklo_epi64(ab_high, cd_high);
        out[3] = _mm256_unpackhi_epi64(ab_high, cd_high);
    }
    /// Sixteen bytes from two pieces of eight or four of four.
    template <typename... Pieces>
    [[gnu::always_inline]] static __m128i join(const Pieces&... pieces) {
        return joined(pieces...);
    }
    /// Four bytes of each row.
    [[gnu::always_inline]] static Q column(const std::byte* base, std::size_t stride) {
        const Rows<8> rows(base, stride);
        return eights(four_dwords(rows, 0), four_dwords(rows, 4));
    }
    /// An f16 of each row.
    [[gnu::always_inline]] static F f16_column(const std::byte* base, std::size_t stride) {
        return _mm256_cvtph_ps(eight_halves(Rows<8>(base, stride), 0));
    }
    /// Two f16 of each row, side by side.
    [[gnu::always_inline]] static void f16_columns(const std::byte* base, std::size_t stride, F* first, F* second) {
        // Of each four rows the first ones, then the second.
        const __m128i apart = _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
        const Rows<8> rows(base, stride);
        const __m128i low = _mm_shuffle_epi8(four_dwords(rows, 0), apart);
        const __m128i high = _mm_shuffle_epi8(four_dwords(rows, 4), apart);
        *first = _mm256_cvtph_ps(_mm_unpacklo_epi64(low, high));
        *second = _mm256_cvtph_ps(_mm_unpackhi_epi64(low, high));
    }
    /// Byte n, 0 to 3, of each row's quad, as an unsigned integer.
    static I byte_of(Q a, int n) { return both(shift_right(a, 8 * n), set_int(0xff)); }

    // --- integer products
    // ---------------------------------------------------------------------------------------------

    // The byte product, maddubs, adds pairs into 16 bits and saturates there: how many it may add before they are
    // widened depends on the weights' range, 4, 6 or 8 bits. Bytes of 8 bits are widened first: even and odd bytes
    // apart, against activations of 16 bits stored in that order.
    static constexpr int product_range(int bits) { return bits <= 4 ? 4 : bits <= 6 ? 6 : 8; }

    /// A quad widened to 16 bits.
    struct Wide {
        __m256i even, odd;  // (q0, q2) and (q1, q3) of each row
    };
    static Wide widen(Q quad) {
        return {_mm256_and_si256(quad, _mm256_set1_epi16(0x00ff)), _mm256_srli_epi16(quad, 8)};
    }

    /// Sixteen bits, stored twice: for madd, and as two planes of bytes, 256 x high + low, for `across`.
    template <int Range>
    struct Int16 {
        using Sum = I;
        static constexpr float limit = 32639.0F;
        static constexpr std::size_t block_bytes = 64;
        static constexpr std::size_t plane_bytes = 64;

        static Sum start(std::int32_t x) { return set_int(x); }
        static void multiply(Sum& sum, Wide weights, const std::byte* activations, int quad) {
            const __m256i even = broadcast_quad(activations + quad * 8);
            const __m256i odd = broadcast_quad(activations + quad * 8 + 4);
            add_product(sum, _mm256_madd_epi16(weights.even, even));
            add_product(sum, _mm256_madd_epi16(weights.odd, odd));
        }
        static void multiply(Sum& sum, Q weights, const std::byte* activations, int quad) {
            multiply(sum, widen(weights), activations, quad);
        }
        static I total(Sum sum) { return sum; }
        /// Rows that lie `Across` times one block of a prepared row. Two products of two weights of 6 bits and bytes of
        /// at most 128 fit 16 bits: 4 x 63 x 128 = 32,256.
        template <typename Row>
        [[gnu::always_inline]] static I across(const Q* quads, const Row& x, std::size_t block) {
            static_assert(Range <= 6);
            const std::byte* planes = x.planes + block * plane_bytes;
            return sums_across([quads, planes](int row) __attribute__((always_inline)) {
                const I high = products_across(quads, row, planes);
                const I low = products_across(quads, row, planes + 32);
                return add_int(_mm256_madd_epi16(high, _mm256_set1_epi16(256)),
                               _mm256_madd_epi16(low, _mm256_set1_epi16(1)));
            });
        }
        /// Lays 32 integers out as `multiply` reads them: per quad (q0, q2), (q1, q3).
        static void pack(const std::int32_t* q, std::byte* out) {
            const __m256i order =
                _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
            store_quad(out, _mm256_shuffle_epi8(words(q), order));
            store_quad(out + 32, _mm256_shuffle_epi8(words(q + 16), order));
        }
        static void pack_planes(const std::int32_t* q, std::byte* out) {
            const __m256i first = words(q);
            const __m256i second = words(q + 16);
            store_quad(out, high_plane(first, second));
            store_quad(out + 32, low_plane(first, second));
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
                sum.pairs = _mm256_add_epi16(sum.pairs, _mm256_maddubs_epi16(weights, x));
                // 2 products x 2 quads x 63 x 127 = 32,004; of 4 bits eight quads fit: 2 x 8 x 15 x 127 = 30,480.
                if (Range == 6 && quad % 2 == 1) {
                    sum.whole = total(sum);
                    sum.pairs = set_int(0);
                }
            }
        }
        /// Weights of 8 bits alone are ever wide.
        static void multiply(Sum& sum, Wide weights, const std::byte* activations, int quad) {
            Int16<8>::multiply(sum.whole, weights, activations, quad);
        }
        static I total(Sum sum) {
            if constexpr (Range == 8) return sum.whole;
            return add_int(sum.whole, _mm256_madd_epi16(sum.pairs, _mm256_set1_epi16(1)));
        }
        /// As that of Int16.
        template <typename Row>
        [[gnu::always_inline]] static I across(const Q* quads, const Row& x, std::size_t block) {
            static_assert(Range <= 6);
            const std::byte* bytes = x.integers + block * block_bytes + 64;
            return sums_across([quads, bytes](int row) __attribute__((always_inline)) {
                return _mm256_madd_epi16(products_across(quads, row, bytes), _mm256_set1_epi16(1));
            });
        }
        static void pack(const std::int32_t* q, std::byte* out) {
            Int16<8>::pack(q, out);
            store_quad(out + 64, low_plane(words(q), words(q + 16)));
        }
    };

  private:
    /// GCC reassociates sums of integers: all products first, which then wait in memory. It does not see through this.
    [[gnu::always_inline]] static void add_product(__m256i& sum, __m256i product) {
        sum = _mm256_add_epi32(sum, product);
        __asm__("" : "+x"(sum));
    }
    static __m256i broadcast_quad(const std::byte* p) {
        std::int32_t quad;
        __builtin_memcpy(&quad, p, 4);
        return _mm256_set1_epi32(quad);
    }
    /// Rows `row` and `row + 4` of `Across` times 32 bytes of activations, in pairs of 16 bits.
    [[gnu::always_inline]] static __m256i products_across(const Q* quads, int row, const std::byte* x) {
        return _mm256_add_epi16(
            _mm256_maddubs_epi16(quads[row], _mm256_broadcastsi128_si256(sixteen_bytes(x))),
            _mm256_maddubs_epi16(quads[row + 4], _mm256_broadcastsi128_si256(sixteen_bytes(x + 16))));
    }
    /// `four(row)` holds four summands of row `row`, then of row `row + 4`: their sums, eight rows.
    template <typename Four>
    [[gnu::always_inline]] static I sums_across(const Four& four) {
        const I r0 = four(0), r1 = four(1), r2 = four(2), r3 = four(3);
        const I ab = add_int(_mm256_unpacklo_epi32(r0, r1), _mm256_unpackhi_epi32(r0, r1));
        const I cd = add_int(_mm256_unpacklo_epi32(r2, r3), _mm256_unpackhi_epi32(r2, r3));
        return add_int(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    }
};

/// One row of activations: the sixteen bytes of a row stay side by side, as they lie in memory, and what has to change
/// places is sums, which are fewer. A law block's quads 0 to 3 are the first sixteen weights of rows j and j + 4, quads
/// 4 to 7 the others. For decoders that are `bytewise`.
struct Across : Eight {
    [[gnu::always_inline]] static void columns(const std::byte* base, std::size_t stride, Q* out) {
        const Rows<8> rows(base, stride);
        for (std::size_t row = 0; row < 4; ++row)
            out[row] = eights(sixteen_bytes(rows.at(row)), sixteen_bytes(rows.at(row + 4)));
    }
    static Q spread_bits(Q bits, int j) {
        const __m128i two_bytes = _mm_set_epi64x(0x0101010101010101, 0);
        const __m256i at = _mm256_add_epi8(_mm256_broadcastsi128_si256(two_bytes),
                                           bytes(static_cast<std::uint8_t>(4 * (j % 4) + 2 * (j / 4))));
        const __m256i one_each = _mm256_set1_epi64x(static_cast<long long>(0x8040201008040201));
        return equal_bytes(both(_mm256_shuffle_epi8(bits, at), one_each), one_each);
    }
};

}  // namespace
}  // namespace puna::kernels
