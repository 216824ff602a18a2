// The vector primitives of Advanced SIMD as every AArch64 CPU has it: sixteen lanes are four registers of four.
//
// For the shells of this folder only; everything has internal linkage.
#pragma once

#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "kernels/algorithms/panel_quads.h"

namespace puna::kernels {
namespace {

struct Neon {
    // --- sixteen floats, sixteen int32, and quads: sixteen rows of four bytes ---------------------------------------
    struct F {
        float32x4_t at[4];
    };
    struct I {
        int32x4_t at[4];
    };
    using Q = I;

    using FloatTile = Neon;
    static constexpr int float_lanes = 16;
    static constexpr int float_tile_rows = 2;
    static constexpr int float_tile_columns = 3;
    static constexpr std::int64_t float_part_columns = 512;
    static constexpr int attention_rows = 4;  // of queries, that share one reading of K and V
    /// Whether f16 becomes float on ports that products do not need.
    static constexpr bool converts_beside_products = false;
    static constexpr int integer_tile_columns = 4;
    static constexpr int integer_tile_columns_of_16 = 4;

    // Few rows of activations: sixteen rows of weights at a time, as always. Panels hold all of K.
    using Few = Neon;
    static constexpr int most_few = 2;
    static constexpr int rows_while_decoding = 0;
    static constexpr std::int64_t rows = 16;
    static constexpr std::int64_t panel_tiles = 4;
    static std::int64_t panel_columns() { return INT64_MAX; }
    static constexpr std::size_t most_panel_quad_bytes = algorithms::quad_bytes;

    // --- floats -----------------------------------------------------------------------------------------------------
    static F set(float x) {
        const float32x4_t all = vdupq_n_f32(x);
        return {{all, all, all, all}};
    }
    static F load(const float* p) { return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}}; }
    static void store(float* p, F a) {
        for (int i = 0; i < 4; ++i)
            vst1q_f32(p + 4 * i, a.at[i]);
    }
    static F from_f16(const std::uint16_t* p) {
        return each<F>([p](int i) { return widen(vld1_u16(p + 4 * i)); });
    }
    static F from_bf16(const std::uint16_t* p) {
        return each<F>([p](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)); });
    }
    static F add(F a, F b) {
        return each<F>([&](int i) { return vaddq_f32(a.at[i], b.at[i]); });
    }
    static F sub(F a, F b) {
        return each<F>([&](int i) { return vsubq_f32(a.at[i], b.at[i]); });
    }
    static F mul(F a, F b) {
        return each<F>([&](int i) { return vmulq_f32(a.at[i], b.at[i]); });
    }
    static F div(F a, F b) {
        return each<F>([&](int i) { return vdivq_f32(a.at[i], b.at[i]); });
    }
    static F fma(F a, F b, F c) {
        return each<F>([&](int i) { return vfmaq_f32(c.at[i], a.at[i], b.at[i]); });
    }
    /// a > b ? a : b; the instructions of that name treat NaN and zeros otherwise.
    static F max(F a, F b) {
        return each<F>([&](int i) { return larger(a.at[i], b.at[i]); });
    }
    static F min(F a, F b) {
        return each<F>([&](int i) { return vbslq_f32(vcltq_f32(a.at[i], b.at[i]), a.at[i], b.at[i]); });
    }
    static F abs(F a) {
        return each<F>([&](int i) { return vabsq_f32(a.at[i]); });
    }
    static F round(F a) {
        return each<F>([&](int i) { return vrndnq_f32(a.at[i]); });
    }
    /// Lanes where x < y become `below`, others stay `a`.
    static F replace_below(F x, F y, F below, F a) {
        return each<F>([&](int i) { return vbslq_f32(vcltq_f32(x.at[i], y.at[i]), below.at[i], a.at[i]); });
    }
    /// Lanes from `count` on become `other`.
    static F replace_from(int count, F other, F a) {
        const int32x4_t lane = {0, 1, 2, 3};
        return each<F>(
            [&](int i) { return vbslq_f32(vcltq_s32(lane, vdupq_n_s32(count - 4 * i)), a.at[i], other.at[i]); });
    }
    static bool all_finite(F a) {
        const float32x4_t infinity = vdupq_n_f32(__builtin_inff());
        uint32x4_t ok = vcaltq_f32(a.at[0], infinity);
        for (int i = 1; i < 4; ++i)
            ok = vandq_u32(ok, vcaltq_f32(a.at[i], infinity));
        return vminvq_u32(ok) != 0;
    }
    /// Lanes add as (i, i + 8), (i, i + 4), (i, i + 2), (i, i + 1).
    static float reduce_add(F a) {
        const float32x4_t four = vaddq_f32(vaddq_f32(a.at[0], a.at[2]), vaddq_f32(a.at[1], a.at[3]));
        const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
        return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
    }
    static float reduce_max(F a) {
        const float32x4_t four = larger(larger(a.at[0], a.at[2]), larger(a.at[1], a.at[3]));
        const float32x4_t two = larger(four, vextq_f32(four, four, 2));
        const float first = vgetq_lane_f32(two, 0);
        const float second = vgetq_lane_f32(two, 1);
        return first > second ? first : second;
    }

    // --- integers ---------------------------------------------------------------------------------------------------
    static I to_int(F a) {
        return each<I>([&](int i) { return vcvtnq_s32_f32(a.at[i]); });
    }
    static F to_float(I a) {
        return each<F>([&](int i) { return vcvtq_f32_s32(a.at[i]); });
    }
    static void store_int(std::int32_t* p, I a) {
        for (int i = 0; i < 4; ++i)
            vst1q_s32(p + 4 * i, a.at[i]);
    }
    static I set_int(std::int32_t x) {
        const int32x4_t all = vdupq_n_s32(x);
        return {{all, all, all, all}};
    }
    static I add_int(I a, I b) {
        return each<I>([&](int i) { return vaddq_s32(a.at[i], b.at[i]); });
    }
    static I max_int(I a, I b) {
        return each<I>([&](int i) { return vmaxq_s32(a.at[i], b.at[i]); });
    }
    static std::int32_t reduce_add_int(I a) {
        return vaddvq_s32(vaddq_s32(vaddq_s32(a.at[0], a.at[1]), vaddq_s32(a.at[2], a.at[3])));
    }
    static F float_from_bits(I a) {
        return each<F>([&](int i) { return vreinterpretq_f32_s32(a.at[i]); });
    }
    static I bits_of(F a) {
        return each<I>([&](int i) { return vreinterpretq_s32_f32(a.at[i]); });
    }

    // --- quads ------------------------------------------------------------------------------------------------------
    static Q load_quad(const std::byte* p) {
        return each<Q>([p](int i) { return load_bytes(p + 16 * i); });
    }
    static void store_quad(std::byte* p, Q a) {
        for (int i = 0; i < 4; ++i)
            vst1q_u8(reinterpret_cast<std::uint8_t*>(p) + 16 * i, vreinterpretq_u8_s32(a.at[i]));
    }
    static Q bytes(std::uint8_t x) {
        const int32x4_t all = vreinterpretq_s32_u8(vdupq_n_u8(x));
        return {{all, all, all, all}};
    }
    static Q both(Q a, Q b) {
        return each<Q>([&](int i) { return vandq_s32(a.at[i], b.at[i]); });
    }
    static Q either(Q a, Q b) {
        return each<Q>([&](int i) { return vorrq_s32(a.at[i], b.at[i]); });
    }
    static Q exclusive(Q a, Q b) {
        return each<Q>([&](int i) { return veorq_s32(a.at[i], b.at[i]); });
    }
    static Q shift_right(Q a, int n) {
        return each<Q>(
            [&](int i) { return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(a.at[i]), vdupq_n_s32(-n))); });
    }
    static Q shift_left(Q a, int n) {
        return each<Q>([&](int i) { return vshlq_s32(a.at[i], vdupq_n_s32(n)); });
    }
    static Q multiply_low(Q a, std::uint32_t x) {
        return each<Q>(
            [&](int i) { return vreinterpretq_s32_u32(vmulq_u32(vreinterpretq_u32_s32(a.at[i]), vdupq_n_u32(x))); });
    }
    static Q add_bytes(Q a, Q b) {
        return each<Q>([&](int i) { return of_bytes(vaddq_u8(bytes_of(a.at[i]), bytes_of(b.at[i]))); });
    }
    static Q sub_bytes(Q a, Q b) {
        return each<Q>([&](int i) { return of_bytes(vsubq_u8(bytes_of(a.at[i]), bytes_of(b.at[i]))); });
    }
    static Q max_bytes(Q a, Q b) {  // unsigned
        return each<Q>([&](int i) { return of_bytes(vmaxq_u8(bytes_of(a.at[i]), bytes_of(b.at[i]))); });
    }
    /// All bits of a byte that is equal, else none.
    static Q equal_bytes(Q a, Q b) {
        return each<Q>([&](int i) { return of_bytes(vceqq_u8(bytes_of(a.at[i]), bytes_of(b.at[i]))); });
    }
    /// Byte n, 0 to 3, of each row's quad, four times.
    static Q repeated_byte(Q a, int n) {
        const uint8x16_t first = {0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12};
        const uint8x16_t places = vaddq_u8(first, vdupq_n_u8(static_cast<std::uint8_t>(n)));
        return each<Q>([&](int i) { return of_bytes(vqtbl1q_u8(bytes_of(a.at[i]), places)); });
    }
    /// Each byte, 0 to 15, becomes table[byte].
    static Q lookup(Q a, const std::uint8_t* table) {
        const uint8x16_t codes = vld1q_u8(table);
        return each<Q>([&](int i) { return vreinterpretq_s32_u8(vqtbl1q_u8(codes, vreinterpretq_u8_s32(a.at[i]))); });
    }
    /// Sixteen bytes of each of sixteen rows, `stride` apart, as four quads in order of bytes.
    static void columns(const std::byte* base, std::size_t stride, Q* out) {
        columns_by([base, stride](std::size_t row)
                       __attribute__((always_inline)) { return load_bytes(base + row * stride); },
                   out);
    }
    /// The same of what `sixteen(row)` is, a join.
    template <typename Sixteen>
    [[gnu::always_inline]] static void columns_by(const Sixteen& sixteen, Q* out) {
        for (std::size_t i = 0; i < 4; ++i) {  // four rows of four dwords, transposed
            const int32x4_t r0 = sixteen(4 * i);
            const int32x4_t r1 = sixteen(4 * i + 1);
            const int32x4_t r2 = sixteen(4 * i + 2);
            const int32x4_t r3 = sixteen(4 * i + 3);
            const int64x2_t even01 = vreinterpretq_s64_s32(vtrn1q_s32(r0, r1));  // dwords 0 and 2 of rows 0 and 1
            const int64x2_t even23 = vreinterpretq_s64_s32(vtrn1q_s32(r2, r3));
            const int64x2_t odd01 = vreinterpretq_s64_s32(vtrn2q_s32(r0, r1));
            const int64x2_t odd23 = vreinterpretq_s64_s32(vtrn2q_s32(r2, r3));
            out[0].at[i] = vreinterpretq_s32_s64(vtrn1q_s64(even01, even23));
            out[1].at[i] = vreinterpretq_s32_s64(vtrn1q_s64(odd01, odd23));
            out[2].at[i] = vreinterpretq_s32_s64(vtrn2q_s64(even01, even23));
            out[3].at[i] = vreinterpretq_s32_s64(vtrn2q_s64(odd01, odd23));
        }
    }
    /// Sixteen bytes from two pieces of eight or four of four.
    static int32x4_t join(const std::uint64_t& a, const std::uint64_t& b) {
        return vreinterpretq_s32_u64(vcombine_u64(vld1_u64(&a), vld1_u64(&b)));
    }
    static int32x4_t join(const std::uint32_t& a, const std::uint32_t& b, const std::uint32_t& c,
                          const std::uint32_t& d) {
        uint32x4_t made = vdupq_n_u32(a);
        made = vld1q_lane_u32(&b, made, 1);
        made = vld1q_lane_u32(&c, made, 2);
        return vreinterpretq_s32_u32(vld1q_lane_u32(&d, made, 3));
    }
    /// Four bytes of each row.
    static Q column(const std::byte* base, std::size_t stride) {
        return each<Q>([&](int i) {
            const std::byte* p = base + static_cast<std::size_t>(4 * i) * stride;
            int32x4_t rows = vdupq_n_s32(value_at<std::int32_t>(p));
            rows = vsetq_lane_s32(value_at<std::int32_t>(p + stride), rows, 1);
            rows = vsetq_lane_s32(value_at<std::int32_t>(p + 2 * stride), rows, 2);
            return vsetq_lane_s32(value_at<std::int32_t>(p + 3 * stride), rows, 3);
        });
    }
    /// An f16 of each row.
    static F f16_column(const std::byte* base, std::size_t stride) {
        return each<F>([&](int i) {
            const std::byte* p = base + static_cast<std::size_t>(4 * i) * stride;
            uint16x4_t rows = vdup_n_u16(value_at<std::uint16_t>(p));
            rows = vset_lane_u16(value_at<std::uint16_t>(p + stride), rows, 1);
            rows = vset_lane_u16(value_at<std::uint16_t>(p + 2 * stride), rows, 2);
            return widen(vset_lane_u16(value_at<std::uint16_t>(p + 3 * stride), rows, 3));
        });
    }
    /// Two f16 of each row, side by side.
    static void f16_columns(const std::byte* base, std::size_t stride, F* first, F* second) {
        const Q pairs = column(base, stride);
        for (int i = 0; i < 4; ++i) {
            const uint32x4_t dwords = vreinterpretq_u32_s32(pairs.at[i]);
            first->at[i] = widen(vmovn_u32(dwords));
            second->at[i] = widen(vshrn_n_u32(dwords, 16));
        }
    }
    /// Byte n, 0 to 3, of each row's quad, as an unsigned integer.
    static I byte_of(Q a, int n) { return both(shift_right(a, 8 * n), set_int(0xff)); }

    // --- integer products -------------------------------------------------------------------------------------------
    // Signed bytes multiply into 16 bits, so weights of up to 6 bits do as they are. Those of 8 are unsigned, and are
    // widened first.
    static constexpr int product_range(int bits) { return bits <= 4 ? 4 : bits <= 6 ? 6 : 8; }

    /// Weights are widened and put in order of their place in the quad, which all rows of activations share; then each
    /// activation multiplies the sixteen rows from its lane.
    template <int Range>
    struct Int16 {
        using Panel = algorithms::ByteQuads<Neon>;
        using Sum = I;
        static constexpr float limit = 32639.0F;
        static constexpr std::size_t block_bytes = 64;

        static Sum start(std::int32_t x) { return set_int(x); }
        static void multiply(Sum& sum, Q weights, const std::byte* activations, int quad) {
            const int16x4_t x =
                vreinterpret_s16_u8(vld1_u8(reinterpret_cast<const std::uint8_t*>(activations) + quad * 8));
            for (int i = 0; i < 4; i += 2) {  // eight rows
                const uint16x8_t low = vreinterpretq_u16_s32(weights.at[i]);
                const uint16x8_t high = vreinterpretq_u16_s32(weights.at[i + 1]);
                const int16x8_t low_even = vreinterpretq_s16_u16(vandq_u16(low, vdupq_n_u16(0x00ff)));
                const int16x8_t high_even = vreinterpretq_s16_u16(vandq_u16(high, vdupq_n_u16(0x00ff)));
                const int16x8_t low_odd = vreinterpretq_s16_u16(vshrq_n_u16(low, 8));
                const int16x8_t high_odd = vreinterpretq_s16_u16(vshrq_n_u16(high, 8));
                add_products<0>(sum, i, vuzp1q_s16(low_even, high_even), x);
                add_products<1>(sum, i, vuzp1q_s16(low_odd, high_odd), x);
                add_products<2>(sum, i, vuzp2q_s16(low_even, high_even), x);
                add_products<3>(sum, i, vuzp2q_s16(low_odd, high_odd), x);
            }
        }
        static I total(Sum sum) { return sum; }
        static void pack(const std::int32_t* q, std::byte* out) {
            std::int16_t packed[32];
            for (int i = 0; i < 32; ++i)
                packed[i] = static_cast<std::int16_t>(q[i]);
            __builtin_memcpy(out, packed, sizeof(packed));
        }

      private:
        template <int Lane>
        static void add_products(Sum& sum, int i, int16x8_t rows, int16x4_t x) {
            sum.at[i] = vmlal_lane_s16(sum.at[i], vget_low_s16(rows), x, Lane);
            sum.at[i + 1] = vmlal_high_lane_s16(sum.at[i + 1], rows, x, Lane);
        }
    };

    /// Eight bits, stored twice: 32 bytes for products of bytes, behind the 64 that weights of 8 bits need.
    template <int Range>
    struct Int8 {
        using Panel = algorithms::ByteQuads<Neon>;
        struct Sum {
            I whole;               // int32
            int16x8_t rows[4][2];  // of each four rows, the products of the first and the last two; not yet widened
        };
        static constexpr float limit = 127.0F;
        static constexpr std::size_t block_bytes = 96;

        static Sum start(std::int32_t x) {
            Sum sum{set_int(x), {}};
            clear(sum);
            return sum;
        }
        static void multiply(Sum& sum, Q weights, const std::byte* activations, int quad) {
            if constexpr (Range == 8) {
                Int16<8>::multiply(sum.whole, weights, activations, quad);
            } else {
                const int8x16_t x =
                    vreinterpretq_s8_s32(vdupq_n_s32(value_at<std::int32_t>(activations + 64 + quad * 4)));
                for (int i = 0; i < 4; ++i) {
                    const int8x16_t w = vreinterpretq_s8_s32(weights.at[i]);
                    sum.rows[i][0] = vmlal_s8(sum.rows[i][0], vget_low_s8(w), vget_low_s8(x));
                    sum.rows[i][1] = vmlal_high_s8(sum.rows[i][1], w, x);
                }
                // 4 products x 63 x 127 = 32,004; of 4 bits all eight quads fit: 8 x 15 x 127 = 15,240.
                if (Range == 6 && quad % 4 == 3) {
                    sum.whole = total(sum);
                    clear(sum);
                }
            }
        }
        static I total(Sum sum) {
            if constexpr (Range == 8) return sum.whole;
            return each<I>([&](int i) {
                return vaddq_s32(sum.whole.at[i], vpaddq_s32(vpaddlq_s16(sum.rows[i][0]), vpaddlq_s16(sum.rows[i][1])));
            });
        }
        static void pack(const std::int32_t* q, std::byte* out) {
            Int16<8>::pack(q, out);
            for (int i = 0; i < 32; ++i)
                out[64 + i] = static_cast<std::byte>(q[i]);
        }

      private:
        static void clear(Sum& sum) {
            for (auto& four : sum.rows)
                four[0] = four[1] = vdupq_n_s16(0);
        }
    };

  private:
    /// The registers of a V, `make(i)` each.
    template <typename V, typename Make>
    [[gnu::always_inline]] static V each(const Make& make) {
        return {{make(0), make(1), make(2), make(3)}};
    }
    template <typename T>
    static T value_at(const std::byte* p) {
        T value;
        __builtin_memcpy(&value, p, sizeof(T));
        return value;
    }
    static uint8x16_t bytes_of(int32x4_t a) { return vreinterpretq_u8_s32(a); }
    static int32x4_t of_bytes(uint8x16_t a) { return vreinterpretq_s32_u8(a); }
    static int32x4_t load_bytes(const std::byte* p) {
        return vreinterpretq_s32_u8(vld1q_u8(reinterpret_cast<const std::uint8_t*>(p)));
    }
    static float32x4_t widen(uint16x4_t halves) { return vcvt_f32_f16(vreinterpret_f16_u16(halves)); }
    static float32x4_t larger(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
};

}  // namespace
}  // namespace puna::kernels
