// The vector primitives of AVX-512 with VNNI: sixteen lanes are one register.
//
// For the shells of this folder only; everything has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/algorithms/panel_quads.h"
#include "kernels/avx2/columns.h"
#include "kernels/avx2/planes.h"

namespace puna::kernels {
namespace {

struct Avx512 {
    using F = __m512;
    using I = __m512i;
    using Q = __m512i;

    using FloatTile = Avx512;
    static constexpr int float_lanes = 16;
    static constexpr int float_tile_rows = 4;
    static constexpr int float_tile_columns = 6;
    static constexpr std::int64_t float_part_columns = 2048;
    static constexpr int attention_rows = 8;  // of queries, that share one reading of K and V
    /// Whether f16 becomes float on ports that products do not need.
    static constexpr bool converts_beside_products = true;  // on Zen; for Intel see amx/
    static constexpr int integer_tile_columns = 6;
    static constexpr int integer_tile_columns_of_16 = 6;

    // Few rows of activations: sixteen rows of weights at a time, as always. Panels hold all of K, and more rows begin
    // with as many while one is decoded.
    using Few = Avx512;
    static constexpr int most_few = 4;
    static constexpr int rows_while_decoding = most_few;
    static constexpr std::int64_t rows = 16;
    static constexpr std::int64_t panel_tiles = 4;
    static std::int64_t panel_columns() { return INT64_MAX; }
    static constexpr std::size_t most_panel_quad_bytes = algorithms::quad_bytes;

    // --- floats
    // -------------------------------------------------------------------------------------------------------
    static F set(float x) { return _mm512_set1_ps(x); }
    static F load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, F a) { _mm512_storeu_ps(p, a); }
    static F from_f16(const std::uint16_t* p) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static F from_bf16(const std::uint16_t* p) {
        const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
        return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
    }
    static F add(F a, F b) { return _mm512_add_ps(a, b); }
    static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
    static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
    static F div(F a, F b) { return _mm512_div_ps(a, b); }
    static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
    /// a > b ? a : b
    static F max(F a, F b) { return _mm512_max_ps(a, b); }
    static F min(F a, F b) { return _mm512_min_ps(a, b); }
    static F abs(F a) { return _mm512_abs_ps(a); }
    static F round(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
    /// Lanes where x < y become `below`, others stay `a`.
    static F replace_below(F x, F y, F below, F a) {
        return _mm512_mask_mov_ps(a, _mm512_cmp_ps_mask(x, y, _CMP_LT_OQ), below);
    }
    /// Lanes from `count` on become `other`.
    static F replace_from(int count, F other, F a) {
        const auto keep = static_cast<__mmask16>(count >= 16 ? 0xffffu : (1u << (count < 0 ? 0 : count)) - 1u);
        return _mm512_mask_mov_ps(other, keep, a);
    }
    static bool all_finite(F a) {
        return _mm512_cmp_ps_mask(abs(a), _mm512_set1_ps(__builtin_inff()), _CMP_LT_OQ) == 0xffff;
    }
    /// Lanes add as (i, i + 8), (i, i + 4), (i, i + 2), (i, i + 1).
    static float reduce_add(F a) {
        const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
    }
    static float reduce_max(F a) { return _mm512_reduce_max_ps(a); }

    // --- integers
    // -----------------------------------------------------------------------------------------------------
    static I to_int(F a) { return _mm512_cvtps_epi32(a); }
    static F to_float(I a) { return _mm512_cvtepi32_ps(a); }
    static void store_int(std::int32_t* p, I a) { _mm512_storeu_si512(p, a); }
    static I set_int(std::int32_t x) { return _mm512_set1_epi32(x); }
    static I add_int(I a, I b) { return _mm512_add_epi32(a, b); }
    static I max_int(I a, I b) { return _mm512_max_epi32(a, b); }
    static std::int32_t reduce_add_int(I a) { return _mm512_reduce_add_epi32(a); }
    static F float_from_bits(I a) { return _mm512_castsi512_ps(a); }
    static I bits_of(F a) { return _mm512_castps_si512(a); }

    // --- quads
    // --------------------------------------------------------------------------------------------------------
    static Q load_quad(const std::byte* p) { return _mm512_loadu_si512(p); }
    static void store_quad(std::byte* p, Q a) { _mm512_storeu_si512(p, a); }
    static Q bytes(std::uint8_t x) { return _mm512_set1_epi8(static_cast<char>(x)); }
    static Q both(Q a, Q b) { return _mm512_and_si512(a, b); }
    static Q either(Q a, Q b) { return _mm512_or_si512(a, b); }
    static Q exclusive(Q a, Q b) { return _mm512_xor_si512(a, b); }
    static Q shift_right(Q a, int n) { return _mm512_srli_epi32(a, static_cast<unsigned>(n)); }
    static Q shift_left(Q a, int n) { return _mm512_slli_epi32(a, static_cast<unsigned>(n)); }
    static Q multiply_low(Q a, std::uint32_t x) {
        return _mm512_mullo_epi32(a, _mm512_set1_epi32(static_cast<int>(x)));
    }
    static Q add_bytes(Q a, Q b) { return _mm512_add_epi8(a, b); }
    static Q sub_bytes(Q a, Q b) { return _mm512_sub_epi8(a, b); }
    static Q max_bytes(Q a, Q b) { return _mm512_max_epu8(a, b); }  // unsigned
    /// All bits of a byte that is equal, else none.
    static Q equal_bytes(Q a, Q b) { return _mm512_movm_epi8(_mm512_cmpeq_epi8_mask(a, b)); }
    /// Byte n, 0 to 3, of each row's quad, four times.
    static Q repeated_byte(Q a, int n) {
        const __m512i first = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x04040404, 0x08080808, 0x0c0c0c0c));
        return _mm512_shuffle_epi8(a, _mm512_add_epi8(first, bytes(static_cast<std::uint8_t>(n))));
    }
    /// Each byte, 0 to 15, becomes table[byte].
    static Q lookup(Q a, const std::uint8_t* table) {
        return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(table))), a);
    }
    /// Sixteen bytes of each of sixteen rows, `stride` apart, as four quads in order of bytes.
    static void columns(const std::byte* base, std::size_t stride, Q* out) {
        const Rows<16> rows(base, stride);
        columns_by([&rows](std::size_t row) __attribute__((always_inline)) { return sixteen_bytes(rows.at(row)); },
                   out);
    }
    /// The same of what `sixteen(row)` is, a join.
    template <typename Sixteen>
    [[gnu::always_inline]] static void columns_by(const Sixteen& sixteen, Q* out) {
        const auto four_rows = [&](std::size_t row) __attribute__((always_inline)) {
            return fours(sixteen(row), sixteen(row + 4), sixteen(row + 8), sixteen(row + 12));
        };
        const __m512i r0 = four_rows(0), r1 = four_rows(1), r2 = four_rows(2), r3 = four_rows(3);
        const __m512i ab_low = _mm512_unpacklo_epi32(r0, r1);
        const __m512i ab_high = _mm512_unpackhi_epi32(r0, r1);
        const __m512i cd_low = _mm512_unpacklo_epi32(r2, r3);
        const __m512i cd_high = _mm512_unpackhi_epi32(r2, r3);
        out[0] = _mm512_unpacklo_epi64(ab_low, cd_low);
        out[1] = _mm512_unpackhi_epi64(ab_low, cd_low);
        out[2] = _mm512_unpacklo_epi64(ab_high, cd_high);
        out[3] = _mm512_unpackhi_epi64(ab_high, cd_high);
    }
    /// Sixteen bytes from two pieces of eight or four of four.
    template <typename... Pieces>
    [[gnu::always_inline]] static __m128i join(const Pieces&... pieces) {
        return joined(pieces...);
    }
    /// Magnitudes under Bias as q + Bias: a set bit of `minus` is a minus, the lowest the first byte's.
    template <int Bias>
    [[gnu::always_inline]] static __m128i signed_bytes(__m128i magnitudes, std::uint16_t minus) {
        const __m128i bias = _mm_set1_epi8(Bias);
        return _mm_mask_sub_epi8(_mm_or_si128(magnitudes, bias), minus, bias, magnitudes);
    }
    /// The low bits of x, spread over the set bits of `mask`.
    [[gnu::always_inline]] static std::uint64_t spread(std::uint64_t x, std::uint64_t mask) {
        return _pdep_u64(x, mask);
    }
    /// Four bytes of each row.
    static Q column(const std::byte* base, std::size_t stride) {
        const Rows<16> rows(base, stride);
        return fours(four_dwords(rows, 0), four_dwords(rows, 4), four_dwords(rows, 8), four_dwords(rows, 12));
    }
    /// An f16 of each row.
    static F f16_column(const std::byte* base, std::size_t stride) {
        const Rows<16> rows(base, stride);
        return _mm512_cvtph_ps(eights(eight_halves(rows, 0), eight_halves(rows, 8)));
    }
    /// Two f16 of each row, side by side.
    static void f16_columns(const std::byte* base, std::size_t stride, F* first, F* second) {
        const __m512i pairs = column(base, stride);
        *first = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(pairs));
        *second = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(pairs, 16)));
    }
    /// Byte n, 0 to 3, of each row's quad, as an unsigned integer.
    static I byte_of(Q a, int n) { return _mm512_and_si512(shift_right(a, 8 * n), _mm512_set1_epi32(0xff)); }

    // --- integer products
    // --------------------------------------------------------------------------------------------- dpbusd multiplies
    // any bytes: weights of all ranges are alike.
    static constexpr int product_range(int) { return 8; }

    /// Sixteen bits: two planes of int8, 256 x high + low; the byte product runs once on each.
    template <int>
    struct Int16 {
        using Panel = algorithms::ByteQuads<Avx512>;
        struct Sum {
            __m512i low, high;
        };
        static constexpr float limit = 32639.0F;
        static constexpr std::size_t block_bytes = 64;  // 32 low bytes (signed), 32 high bytes

        static Sum start(std::int32_t x) { return {_mm512_set1_epi32(x), _mm512_setzero_si512()}; }
        static void multiply(Sum& sum, Q weights, const std::byte* activations, int quad) {
            add_products(sum.low, weights, activations + quad * 4);
            add_products(sum.high, weights, activations + 32 + quad * 4);
        }
        static I total(Sum sum) { return _mm512_add_epi32(sum.low, _mm512_slli_epi32(sum.high, 8)); }
        static void pack(const std::int32_t* q, std::byte* out) {
            const __m256i first = words(q);
            const __m256i second = words(q + 16);
            store_plane(out, low_plane(first, second));
            store_plane(out + 32, high_plane(first, second));
        }
    };

    /// Eight bits: one plane.
    template <int>
    struct Int8 {
        using Panel = algorithms::ByteQuads<Avx512>;
        using Sum = __m512i;
        static constexpr float limit = 127.0F;
        static constexpr std::size_t block_bytes = 32;

        static Sum start(std::int32_t x) { return _mm512_set1_epi32(x); }
        static void multiply(Sum& sum, Q weights, const std::byte* activations, int quad) {
            add_products(sum, weights, activations + quad * 4);
        }
        static I total(Sum sum) { return sum; }
        static void pack(const std::int32_t* q, std::byte* out) {
            store_plane(out, low_plane(words(q), words(q + 16)));
        }
    };

  private:
    static void store_plane(std::byte* p, __m256i a) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a); }
    /// By halves: an insertion into 32 bytes costs half of one into 64.
    [[gnu::always_inline]] static __m512i fours(__m128i a, __m128i b, __m128i c, __m128i d) {
        return _mm512_inserti64x4(_mm512_castsi256_si512(eights(a, b)), eights(c, d), 1);
    }
    /// Each row's four weights times the same four activations. GCC 12 makes the broadcast of the intrinsics an
    /// instruction of its own, which few rows of activations have no time for.
    [[gnu::always_inline]] static void add_products(__m512i& sum, __m512i weights, const std::byte* activations) {
        struct Quad {
            std::byte bytes[4];
        };
        __asm__("vpdpbusd %2%{1to16%}, %1, %0"
                : "+v"(sum)
                : "v"(weights), "m"(*reinterpret_cast<const Quad*>(activations)));
    }
};

}  // namespace
}  // namespace puna::kernels
