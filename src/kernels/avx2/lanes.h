// The vector primitives of AVX2 with FMA and F16C: sixteen lanes are two registers of eight.
//
// For the shells of this folder only; everything has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernels/algorithms/integer_law.h"
#include "kernels/algorithms/panel_cache.h"
#include "kernels/algorithms/panel_quads.h"
#include "kernels/avx2/eight.h"

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

    // Tiles of float products: eight of the sixteen lanes at a time, so that twelve sums and what they take stay in
    // registers, and loads are fewer than products.
    using FloatTile = Eight;
    static constexpr int float_lanes = 16;
    static constexpr int float_tile_rows = 4;
    static constexpr int float_tile_columns = 3;
    static constexpr std::int64_t float_part_columns = 1024;
    static constexpr int attention_rows = 4;  // of queries, that share one reading of K and V
    /// Whether f16 becomes float on ports that products do not need.
    static constexpr bool converts_beside_products = true;  // on Zen
    static constexpr int integer_tile_columns = 4;
    static constexpr int integer_tile_columns_of_16 = 3;  // law blocks of 16: floats are at hand twice as often

    // Few rows of activations: eight rows of weights at a time, so that all stays in sixteen registers. From three on,
    // panels: one tile of sixteen rows, which the second-level cache hands on fast enough if the rows of activations
    // that it meets are long.
    using Few = Eight;
    using One = Across;
    static constexpr int most_few = 2;
    static constexpr int rows_while_decoding = 0;
    static constexpr std::int64_t rows = 16;
    static constexpr std::int64_t panel_tiles = 1;
    static constexpr std::size_t most_panel_quad_bytes = 2 * algorithms::quad_bytes;
    static std::int64_t panel_columns() {
        constexpr std::size_t most_column_bytes = algorithms::panel_block_bytes<16, true, most_panel_quad_bytes> / 16;
        return static_cast<std::int64_t>(algorithms::panel_cache_bytes() / most_column_bytes / 256) * 256;
    }

    // --- floats
    // -------------------------------------------------------------------------------------------------------
    static F set(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
    static F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
    static void store(float* p, F a) {
        _mm256_storeu_ps(p, a.low);
        _mm256_storeu_ps(p + 8, a.high);
    }
    static F from_f16(const std::uint16_t* p) { return {Eight::from_f16(p), Eight::from_f16(p + 8)}; }
    static F from_bf16(const std::uint16_t* p) { return {Eight::from_bf16(p), Eight::from_bf16(p + 8)}; }
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
    static std::int32_t reduce_add_int(I a) {
        const __m256i eight = _mm256_add_epi32(a.low, a.high);
        const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
        const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
        return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
    }
    static F float_from_bits(I a) { return {_mm256_castsi256_ps(a.low), _mm256_castsi256_ps(a.high)}; }
    static I bits_of(F a) { return {_mm256_castps_si256(a.low), _mm256_castps_si256(a.high)}; }

    // --- quads
    // --------------------------------------------------------------------------------------------------------
    static Q load_quad(const std::byte* p) { return {Eight::load_quad(p), Eight::load_quad(p + 32)}; }
    static void store_quad(std::byte* p, Q a) {
        Eight::store_quad(p, a.low);
        Eight::store_quad(p + 32, a.high);
    }
    static Q bytes(std::uint8_t x) { return {Eight::bytes(x), Eight::bytes(x)}; }
    static Q both(Q a, Q b) { return {Eight::both(a.low, b.low), Eight::both(a.high, b.high)}; }
    static Q either(Q a, Q b) { return {Eight::either(a.low, b.low), Eight::either(a.high, b.high)}; }
    static Q exclusive(Q a, Q b) { return {Eight::exclusive(a.low, b.low), Eight::exclusive(a.high, b.high)}; }
    static Q shift_right(Q a, int n) { return {Eight::shift_right(a.low, n), Eight::shift_right(a.high, n)}; }
    static Q shift_left(Q a, int n) { return {Eight::shift_left(a.low, n), Eight::shift_left(a.high, n)}; }
    static Q multiply_low(Q a, std::uint32_t x) {
        return {Eight::multiply_low(a.low, x), Eight::multiply_low(a.high, x)};
    }
    static Q add_bytes(Q a, Q b) { return {Eight::add_bytes(a.low, b.low), Eight::add_bytes(a.high, b.high)}; }
    static Q sub_bytes(Q a, Q b) { return {Eight::sub_bytes(a.low, b.low), Eight::sub_bytes(a.high, b.high)}; }
    static Q max_bytes(Q a, Q b) { return {Eight::max_bytes(a.low, b.low), Eight::max_bytes(a.high, b.high)}; }
    /// All bits of a byte that is equal, else none.
    static Q equal_bytes(Q a, Q b) { return {Eight::equal_bytes(a.low, b.low), Eight::equal_bytes(a.high, b.high)}; }
    /// Byte n, 0 to 3, of each row's quad, four times.
    static Q repeated_byte(Q a, int n) { return {Eight::repeated_byte(a.low, n), Eight::repeated_byte(a.high, n)}; }
    /// Each byte, 0 to 15, becomes table[byte].
    static Q lookup(Q a, const std::uint8_t* table) {
        return {Eight::lookup(a.low, table), Eight::lookup(a.high, table)};
    }
    /// Sixteen bytes of each of sixteen rows, `stride` apart, as four quads in order of bytes.
    static void columns(const std::byte* base, std::size_t stride, Q* out) {
        __m256i half[4];
        Eight::columns(base, stride, half);
        for (int j = 0; j < 4; ++j)
            out[j].low = half[j];
        Eight::columns(base + 8 * stride, stride, half);
        for (int j = 0; j < 4; ++j)
            out[j].high = half[j];
    }
    /// The same of what `sixteen(row)` is, a join.
    template <typename Sixteen>
    [[gnu::always_inline]] static void columns_by(const Sixteen& sixteen, Q* out) {
        __m256i half[4];
        Eight::columns_by(sixteen, half);
        for (int j = 0; j < 4; ++j)
            out[j].low = half[j];
        Eight::columns_by([&](std::size_t row) __attribute__((always_inline)) { return sixteen(row + 8); }, half);
        for (int j = 0; j < 4; ++j)
            out[j].high = half[j];
    }
    /// Sixteen bytes from two pieces of eight or four of four.
    template <typename... Pieces>
    [[gnu::always_inline]] static __m128i join(const Pieces&... pieces) {
        return joined(pieces...);
    }
    /// Four bytes of each row.
    static Q column(const std::byte* base, std::size_t stride) {
        return {Eight::column(base, stride), Eight::column(base + 8 * stride, stride)};
    }
    /// An f16 of each row.
    static F f16_column(const std::byte* base, std::size_t stride) {
        return {Eight::f16_column(base, stride), Eight::f16_column(base + 8 * stride, stride)};
    }
    /// Two f16 of each row, side by side.
    static void f16_columns(const std::byte* base, std::size_t stride, F* first, F* second) {
        Eight::f16_columns(base, stride, &first->low, &second->low);
        Eight::f16_columns(base + 8 * stride, stride, &first->high, &second->high);
    }
    /// Byte n, 0 to 3, of each row's quad, as an unsigned integer.
    static I byte_of(Q a, int n) { return {Eight::byte_of(a.low, n), Eight::byte_of(a.high, n)}; }

    // --- integer products
    // ---------------------------------------------------------------------------------------------
    static constexpr int product_range(int bits) { return Eight::product_range(bits); }

    struct WideQuads;

    /// Two of Eight's products P.
    template <typename P, typename Quads>
    struct Twice {
        using Panel = Quads;
        struct Sum {
            typename P::Sum low, high;
        };
        static constexpr float limit = P::limit;
        static constexpr std::size_t block_bytes = P::block_bytes;
        static constexpr std::size_t plane_bytes = algorithms::plane_bytes<P>();

        static Sum start(std::int32_t x) { return {P::start(x), P::start(x)}; }
        template <typename Weights>
        static void multiply(Sum& sum, const Weights& weights, const std::byte* activations, int quad) {
            P::multiply(sum.low, weights.low, activations, quad);
            P::multiply(sum.high, weights.high, activations, quad);
        }
        static I total(Sum sum) { return {P::total(sum.low), P::total(sum.high)}; }
        static void pack(const std::int32_t* q, std::byte* out) { P::pack(q, out); }
        static void pack_planes(const std::int32_t* q, std::byte* out) { P::pack_planes(q, out); }
    };
    template <int Range>
    using Int16 = Twice<Eight::Int16<Range>, WideQuads>;
    template <int Range>
    using Int8 = Twice<Eight::Int8<Range>, std::conditional_t<Range == 8, WideQuads, algorithms::ByteQuads<Avx2>>>;

    /// A panel's quads for products of 16 bits: widened when they are decoded, and without bias.
    struct WideQuads {
        static constexpr std::size_t bytes = most_panel_quad_bytes;
        static constexpr bool biased = false;
        struct Weights {
            Eight::Wide low, high;
        };
        static void store(std::byte* out, Q quad, std::int32_t bias) {
            const __m256i offset = _mm256_set1_epi16(static_cast<short>(bias));
            const auto put = [&](std::byte* p, __m256i half) {
                const Eight::Wide wide = Eight::widen(half);
                Eight::store_quad(p, _mm256_sub_epi16(wide.even, offset));
                Eight::store_quad(p + 32, _mm256_sub_epi16(wide.odd, offset));
            };
            put(out, quad.low);
            put(out + 64, quad.high);
        }
        static Weights load(const std::byte* p) {
            return {{Eight::load_quad(p), Eight::load_quad(p + 32)},
                    {Eight::load_quad(p + 64), Eight::load_quad(p + 96)}};
        }
    };
};

}  // namespace
}  // namespace puna::kernels
