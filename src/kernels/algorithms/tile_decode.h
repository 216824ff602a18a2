// Weights of sixteen rows, decoded to quads: vectors in which each row holds four consecutive weights as unsigned
// bytes.
//
// A decoder is one type's block layout. Its `step` reads `elements` weights of each row and hands them on in ascending
// K, one law block at a time: `sink(quads, scale, negative_min)`, quads [width / 4] holding q + bias, scale and
// negative_min (-mw) one float per row. Lanes are rows, so no sum is ever taken across lanes.
// The layouts are those of the GGUF specification; quant/ has them as structs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/algorithms/inline.h"
#include "kernels/kernel_table.h"
#include "quant/tensor_type.h"

namespace puna::kernels::algorithms {

inline constexpr std::int64_t tile_rows = 16;

/// The rows of a tile at one block: `base` is that of the first row, rows lie `stride` bytes apart.
struct TileBlock {
    const std::byte* base;
    std::size_t stride;

    TileBlock at(std::size_t bytes) const { return {base + bytes, stride}; }
};

/// What the products know of a type.
template <std::int64_t Elements, std::size_t BlockBytes, int Width, int Bits, int Bias, bool HasMin>
struct BlockLayout {
    static constexpr std::int64_t elements = Elements;
    static constexpr std::size_t block_bytes = BlockBytes;
    static constexpr int width = Width;
    static constexpr int bits = Bits;  // of q + bias
    static constexpr int bias = Bias;
    static constexpr bool has_min = HasMin;
    /// Law blocks of 32 with weights of up to 6 bits, each made of bytes in one place of its row's sixteen (and spread
    /// bits) alone: lanes may leave those side by side.
    static constexpr bool bytewise = false;
};

template <typename L>
PUNA_INLINE typename L::Q bits_of_bytes(typename L::Q q, int shift, std::uint8_t mask) {
    return L::both(L::shift_right(q, shift), L::bytes(mask));
}

/// The low (`high` = 0) or high (1) nibbles of 16 bytes a row: 4 quads.
template <typename L>
PUNA_INLINE void nibbles(const typename L::Q* packed, int high, typename L::Q* out) {
    for (int j = 0; j < 4; ++j)
        out[j] = bits_of_bytes<L>(packed[j], 4 * high, 0x0f);
}

// --- blocks of 32 with f16 scales: Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, IQ4_NL; MXFP4 and NVFP4
// --------------------------------------

/// 32 nibbles: low ones are weights 0 to 15, high ones 16 to 31.
template <typename L>
PUNA_INLINE void unpack_nibbles(TileBlock qs, typename L::Q* quads) {
    typename L::Q packed[4];
    L::columns(qs.base, qs.stride, packed);
    nibbles<L>(packed, 0, quads);
    nibbles<L>(packed, 1, quads + 4);
}

/// All bits of each byte of quad j whose weight's bit, of a row's 32, is set.
template <typename L>
PUNA_INLINE typename L::Q spread_bits(typename L::Q bits, int j) {
    if constexpr (requires { L::spread_bits(bits, j); }) {
        return L::spread_bits(bits, j);
    } else {
        const auto one_each = L::set_int(static_cast<std::int32_t>(j % 2 == 0 ? 0x08040201u : 0x80402010u));
        return L::equal_bytes(L::both(L::repeated_byte(bits, j / 2), one_each), one_each);
    }
}

/// Bit k of a row's 32 is bit 4 of weight k.
template <typename L>
PUNA_INLINE void add_fifth_bits(TileBlock qh, typename L::Q* quads) {
    const auto bits = L::column(qh.base, qh.stride);
    for (int j = 0; j < 8; ++j)
        quads[j] = L::either(quads[j], L::both(spread_bits<L>(bits, j), L::bytes(0x10)));
}

template <std::size_t BlockBytes, int Bits, int Bias, bool HasMin>
using Block32 = BlockLayout<32, BlockBytes, 32, Bits, Bias, HasMin>;

struct Q4_0 : Block32<18, 4, 8, false> {
    static constexpr bool bytewise = true;

    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        typename L::Q quads[8];
        unpack_nibbles<L>(block.at(2), quads);
        sink(quads, L::f16_column(block.base, block.stride), L::set(0.0F));
    }
};

struct Q4_1 : Block32<20, 4, 0, true> {
    static constexpr bool bytewise = true;

    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        typename L::Q quads[8];
        unpack_nibbles<L>(block.at(4), quads);
        typename L::F scale;
        typename L::F min;
        L::f16_columns(block.base, block.stride, &scale, &min);
        sink(quads, scale, min);
    }
};

struct Q5_0 : Block32<22, 5, 16, false> {
    static constexpr bool bytewise = true;

    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        typename L::Q quads[8];
        unpack_nibbles<L>(block.at(6), quads);
        add_fifth_bits<L>(block.at(2), quads);
        sink(quads, L::f16_column(block.base, block.stride), L::set(0.0F));
    }
};

struct Q5_1 : Block32<24, 5, 0, true> {
    static constexpr bool bytewise = true;

    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        typename L::Q quads[8];
        unpack_nibbles<L>(block.at(8), quads);
        add_fifth_bits<L>(block.at(4), quads);
        typename L::F scale;
        typename L::F min;
        L::f16_columns(block.base, block.stride, &scale, &min);
        sink(quads, scale, min);
    }
};

struct Q8_0 : Block32<34, 8, 128, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        typename L::Q quads[8];
        L::columns(block.base + 2, block.stride, quads);
        L::columns(block.base + 18, block.stride, quads + 4);
        for (auto& quad : quads)
            quad = L::exclusive(quad, L::bytes(0x80));  // q + 128
        sink(quads, L::f16_column(block.base, block.stride), L::set(0.0F));
    }
};

// A codebook, plus 128.
inline constexpr std::uint8_t iq4_codes[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

// Twice E2M1, plus 16.
inline constexpr std::uint8_t e2m1_codes[16] = {16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4};

struct IQ4_NL : Block32<18, 8, 128, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        typename L::Q quads[8];
        unpack_nibbles<L>(block.at(2), quads);
        for (auto& quad : quads)
            quad = L::lookup(quad, iq4_codes);
        sink(quads, L::f16_column(block.base, block.stride), L::set(0.0F));
    }
};

struct MXFP4 : Block32<17, 5, 16, false> {
    static constexpr bool bytewise = true;

    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        typename L::Q quads[8];
        unpack_nibbles<L>(block.at(1), quads);
        for (auto& quad : quads)
            quad = L::lookup(quad, e2m1_codes);
        // Half of 2^(e - 127): the exponent less one, which for 0 and 1 is a denormal.
        const auto e = L::byte_of(L::column(block.base, block.stride), 0);
        const auto normal =
            L::float_from_bits(L::shift_left(L::add_int(L::max_int(e, L::set_int(2)), L::set_int(-1)), 23));
        const auto small = L::float_from_bits(L::shift_left(L::add_int(e, L::set_int(1)), 21));
        sink(quads, L::replace_below(L::to_float(e), L::set(2.0F), small, normal), L::set(0.0F));
    }
};

/// Four scales, then for each 16 weights 8 bytes of nibbles, the low ones first.
struct NVFP4 : BlockLayout<64, 36, 16, 5, 16, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        const auto scales = L::column(block.base, block.stride);
#pragma GCC unroll 2
        for (int pair = 0; pair < 2; ++pair) {
            typename L::Q packed[4];
            L::columns(block.base + 4 + 16 * pair, block.stride, packed);
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half) {
                typename L::Q quads[4];
                for (int j = 0; j < 4; ++j) {
                    const auto nibble = bits_of_bytes<L>(packed[2 * half + j % 2], j / 2 * 4, 0x0f);
                    quads[j] = L::lookup(nibble, e2m1_codes);
                }
                sink(quads, half_of_ue4m3<L>(L::byte_of(scales, 2 * pair + half)), L::set(0.0F));
            }
        }
    }

  private:
    /// quant::ue4m3_half_to_f32 of each row's byte.
    template <typename L>
    PUNA_INLINE static typename L::F half_of_ue4m3(typename L::I byte) {
        const auto magnitude = L::both(byte, L::set_int(0x7f));
        const auto normal = L::float_from_bits(L::add_int(L::shift_left(magnitude, 20), L::set_int(119 << 23)));
        const auto count = L::to_float(magnitude);
        const auto value = L::replace_below(count, L::set(8.0F), L::mul(count, L::set(0x1p-10F)), normal);
        // 127 is zero, with the sign bit set it is not.
        const auto whole = L::to_float(byte);
        const auto no_127 = L::replace_below(whole, L::set(128.0F), L::set(0.0F), value);
        return L::replace_below(whole, L::set(127.0F), value, no_127);
    }
};

// --- super-blocks of 256: the k-quants, IQ4_XS and the ternary types
// -----------------------------------------------------------------------

template <std::size_t BlockBytes, int Width, int Bits, int Bias, bool HasMin>
using Block256 = BlockLayout<256, BlockBytes, Width, Bits, Bias, HasMin>;

/// Byte n of a row's sub-scales (four to a quad), as a float.
template <typename L>
PUNA_INLINE typename L::F sub_scale(const typename L::Q* scales, int n) {
    return L::to_float(L::byte_of(scales[n / 4], n % 4));
}

template <typename L>
PUNA_INLINE typename L::F negated(typename L::F x) {
    return L::sub(L::set(-0.0F), x);
}

/// Q4_K and Q5_K: eight 6-bit scales and mins a row in twelve bytes.
template <typename L>
PUNA_INLINE void unpack_scales_and_mins(TileBlock packed, typename L::Q* scales, typename L::Q* mins) {
    const auto s0 = L::column(packed.base, packed.stride);
    const auto s1 = L::column(packed.base + 4, packed.stride);
    const auto s2 = L::column(packed.base + 8, packed.stride);
    scales[0] = bits_of_bytes<L>(s0, 0, 0x3f);
    mins[0] = bits_of_bytes<L>(s1, 0, 0x3f);
    scales[1] = L::either(bits_of_bytes<L>(s2, 0, 0x0f), bits_of_bytes<L>(s0, 2, 0x30));
    mins[1] = L::either(bits_of_bytes<L>(s2, 4, 0x0f), bits_of_bytes<L>(s1, 2, 0x30));
}

/// Eight law blocks of 32 from 128 bytes of nibbles: 32 bytes hold two, low nibbles first. `finish(quads, i)` completes
/// law block i.
template <typename L, typename Sink, typename Finish>
PUNA_INLINE void nibble_pairs_with_mins(TileBlock block, std::size_t nibbles_at, const Sink& sink,
                                        const Finish& finish) {
    typename L::Q scales[2];
    typename L::Q mins[2];
    unpack_scales_and_mins<L>(block.at(4), scales, mins);
    typename L::F d;
    typename L::F dmin;
    L::f16_columns(block.base, block.stride, &d, &dmin);
    const auto negative_dmin = negated<L>(dmin);
#pragma GCC unroll 4
    for (int pair = 0; pair < 4; ++pair) {
        typename L::Q packed[8];
        const TileBlock qs = block.at(nibbles_at + static_cast<std::size_t>(pair) * 32);
        L::columns(qs.base, qs.stride, packed);
        L::columns(qs.base + 16, qs.stride, packed + 4);
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
            const int i = 2 * pair + half;
            typename L::Q quads[8];
            nibbles<L>(packed, half, quads);
            nibbles<L>(packed + 4, half, quads + 4);
            finish(quads, i);
            sink(quads, L::mul(d, sub_scale<L>(scales, i)), L::mul(negative_dmin, sub_scale<L>(mins, i)));
        }
    }
}

struct Q4_K : Block256<144, 32, 4, 0, true> {
    static constexpr bool bytewise = true;

    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        nibble_pairs_with_mins<L>(block, 16, sink, [](typename L::Q*, int) PUNA_INLINE_LAMBDA {});
    }
};

struct Q5_K : Block256<176, 32, 5, 0, true> {
    static constexpr bool bytewise = true;

    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        typename L::Q fifth[8];  // bit i of byte k is bit 4 of weight k of law block i
        L::columns(block.base + 16, block.stride, fifth);
        L::columns(block.base + 32, block.stride, fifth + 4);
        nibble_pairs_with_mins<L>(block, 48, sink, [&](typename L::Q* quads, int i) PUNA_INLINE_LAMBDA {
            for (int j = 0; j < 8; ++j) {
                quads[j] = L::either(quads[j], L::shift_left(bits_of_bytes<L>(fifth[j], i, 0x01), 4));
            }
        });
    }
};

/// Law blocks of 16, the two-bit types: 32 bytes hold 128 weights, two bits each, 32 weights to a shift.
/// `emit(quads, i, shift)` completes and hands on law block i.
template <typename L, typename Emit>
PUNA_INLINE void two_bit_blocks(TileBlock qs, const Emit& emit) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
        typename L::Q packed[8];
        L::columns(qs.base + half * 32, qs.stride, packed);
        L::columns(qs.base + half * 32 + 16, qs.stride, packed + 4);
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
            typename L::Q quads[4];
            for (int j = 0; j < 4; ++j)
                quads[j] = bits_of_bytes<L>(packed[4 * (i % 2) + j], 2 * (i / 2), 0x03);
            emit(quads, 8 * half + i);
        }
    }
}

struct Q2_K : Block256<84, 16, 2, 0, true> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        typename L::Q packed[4];  // a nibble of scale, a nibble of min
        L::columns(block.base, block.stride, packed);
        typename L::Q scales[4];
        typename L::Q mins[4];
        nibbles<L>(packed, 0, scales);
        nibbles<L>(packed, 1, mins);
        typename L::F d;
        typename L::F dmin;
        L::f16_columns(block.base + 80, block.stride, &d, &dmin);
        const auto negative_dmin = negated<L>(dmin);
        two_bit_blocks<L>(block.at(16), [&](const typename L::Q* quads, int i) PUNA_INLINE_LAMBDA {
            sink(quads, L::mul(d, sub_scale<L>(scales, i)), L::mul(negative_dmin, sub_scale<L>(mins, i)));
        });
    }
};

struct Q3_K : Block256<110, 16, 3, 4, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        const auto s0 = L::column(block.base + 96, block.stride);
        const auto s1 = L::column(block.base + 100, block.stride);
        const auto s2 = L::column(block.base + 104, block.stride);  // two upper bits of each scale
        typename L::Q scales[4];
        for (int group = 0; group < 4; ++group) {
            const auto low = bits_of_bytes<L>(group % 2 == 0 ? s0 : s1, 4 * (group / 2), 0x0f);
            scales[group] = L::either(low, L::shift_left(bits_of_bytes<L>(s2, 2 * group, 0x03), 4));
        }
        typename L::Q third[8];  // bit n of byte k: bit 2 of weight k of the n-th group of 32
        L::columns(block.base, block.stride, third);
        L::columns(block.base + 16, block.stride, third + 4);
        const auto d = L::f16_column(block.base + 108, block.stride);
        two_bit_blocks<L>(block.at(32), [&](typename L::Q* quads, int i) PUNA_INLINE_LAMBDA {
            for (int j = 0; j < 4; ++j) {
                const auto bit = bits_of_bytes<L>(third[4 * (i % 2) + j], i / 2, 0x01);
                quads[j] = L::either(quads[j], L::shift_left(bit, 2));
            }
            sink(quads, L::mul(d, L::sub(sub_scale<L>(scales, i), L::set(32.0F))), L::set(0.0F));
        });
    }
};

struct Q6_K : Block256<210, 16, 6, 32, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        typename L::Q scales[4];
        L::columns(block.base + 192, block.stride, scales);
        for (auto& scale : scales)
            scale = L::exclusive(scale, L::bytes(0x80));  // signed bytes, plus 128
        const auto d = L::f16_column(block.base + 208, block.stride);
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
            typename L::Q low[16];  // 64 bytes a row: nibbles of 128 weights
            typename L::Q high[8];  // 32 bytes a row: two bits of 128 weights
            for (int j = 0; j < 4; ++j)
                L::columns(block.base + half * 64 + j * 16, block.stride, low + 4 * j);
            for (int j = 0; j < 2; ++j)
                L::columns(block.base + 128 + half * 32 + j * 16, block.stride, high + 4 * j);
#pragma GCC unroll 8
            for (int i = 0; i < 8; ++i) {  // law blocks: weights 16 i ... 16 i + 15 of this half
                typename L::Q quads[4];
                for (int j = 0; j < 4; ++j) {
                    const auto nibble = bits_of_bytes<L>(low[4 * (i % 4) + j], i < 4 ? 0 : 4, 0x0f);
                    const auto upper = bits_of_bytes<L>(high[4 * (i % 2) + j], 2 * (i / 2), 0x03);
                    quads[j] = L::either(nibble, L::shift_left(upper, 4));
                }
                const auto scale = L::sub(sub_scale<L>(scales, 8 * half + i), L::set(128.0F));
                sink(quads, L::mul(d, scale), L::set(0.0F));
            }
        }
    }
};

struct IQ4_XS : Block256<136, 32, 8, 128, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        const auto d_and_high = L::column(block.base, block.stride);  // f16 scale, then 8 x 2 upper bits of sub-scales
        const auto low = L::column(block.base + 4, block.stride);     // 8 nibbles
        const auto d = L::f16_column(block.base, block.stride);
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
            typename L::Q quads[8];
            unpack_nibbles<L>(block.at(8 + static_cast<std::size_t>(i) * 16), quads);
            for (auto& quad : quads)
                quad = L::lookup(quad, iq4_codes);
            const auto nibble = L::both(L::shift_right(low, 4 * i), L::set_int(0x0f));
            const auto upper = L::both(L::shift_right(d_and_high, 16 + 2 * i), L::set_int(0x03));
            const auto scale = L::to_float(L::either(nibble, L::shift_left(upper, 4)));
            sink(quads, L::mul(d, L::sub(scale, L::set(32.0F))), L::set(0.0F));
        }
    }
};

struct TQ2_0 : Block256<66, 32, 2, 1, false> {
    static constexpr bool bytewise = true;

    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        const auto d = L::f16_column(block.base + 64, block.stride);
#pragma GCC unroll 2
        for (int half = 0; half < 2; ++half) {
            typename L::Q packed[8];
            L::columns(block.base + half * 32, block.stride, packed);
            L::columns(block.base + half * 32 + 16, block.stride, packed + 4);
#pragma GCC unroll 4
            for (int i = 0; i < 4; ++i) {
                typename L::Q quads[8];
                for (int j = 0; j < 8; ++j)
                    quads[j] = bits_of_bytes<L>(packed[j], 2 * i, 0x03);
                sink(quads, d, L::set(0.0F));
            }
        }
    }
};

/// The highest digit, 0 to 2, of bytes that are fractions of 256 in the base 3; it is taken off them.
template <typename L>
PUNA_INLINE typename L::Q next_digit(typename L::Q& fractions) {
    const auto x = fractions;
    const auto one = L::equal_bytes(L::max_bytes(x, L::bytes(86)), x);  // from 256 / 3 on, all bits
    const auto two = L::equal_bytes(L::max_bytes(x, L::bytes(171)), x);
    fractions = L::add_bytes(x, L::add_bytes(x, x));  // times 3, without what passes 256
    return L::sub_bytes(L::sub_bytes(L::bytes(0), one), two);
}

struct TQ1_0 : Block256<54, 32, 2, 1, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        const auto d = L::f16_column(block.base + 52, block.stride);
        typename L::Q quads[8];
        typename L::Q fractions[8];
        const auto next = [&](int count, typename L::Q* out) PUNA_INLINE_LAMBDA {
            for (int j = 0; j < count; ++j)
                out[j] = next_digit<L>(fractions[j]);
        };
        L::columns(block.base, block.stride, fractions);  // 32 bytes hold the first 160 weights
        L::columns(block.base + 16, block.stride, fractions + 4);
        for (int digit = 0; digit < 5; ++digit) {
            next(8, quads);
            sink(quads, d, L::set(0.0F));
        }
        L::columns(block.base + 32, block.stride, fractions);  // 16 bytes the next 80
        for (int pair = 0; pair < 2; ++pair) {
            next(4, quads);
            next(4, quads + 4);
            sink(quads, d, L::set(0.0F));
        }
        next(4, quads);
        auto last = L::column(block.base + 48, block.stride);  // and four bytes the last 16
        for (int digit = 0; digit < 4; ++digit)
            quads[4 + digit] = next_digit<L>(last);
        sink(quads, d, L::set(0.0F));
    }
};

}  // namespace puna::kernels::algorithms
