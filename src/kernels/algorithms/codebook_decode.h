// The decoders of IQ1, IQ2 and IQ3 (tile_decode.h): points of their code books are joined row by row and turned into
// quads; signs and scales are worked out in vectors.
//
// A decoder's `quads` makes q + bias of 32 weights; it is no part of the products' code, which would hold it many
// times.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/algorithms/inline.h"
#include "kernels/algorithms/tile_decode.h"
#include "quant/codebooks.h"

namespace puna::kernels::algorithms {

PUNA_INLINE std::uint32_t byte_at(const std::byte* p, std::size_t offset) {
    return static_cast<std::uint32_t>(p[offset]);
}
PUNA_INLINE std::uint32_t half_at(const std::byte* p, std::size_t offset) {
    std::uint16_t half;
    __builtin_memcpy(&half, p + offset, sizeof half);
    return half;
}

// Codes of 32 weights of each row of a tile, the first at `block`: `codes(row, g)` is the g-th.

struct ByteCodes {
    TileBlock block;

    PUNA_INLINE std::uint32_t operator()(std::size_t row, std::size_t g) const {
        return byte_at(block.base + row * block.stride, g);
    }
};

/// Nine bits of two bytes.
struct NineBitCodes {
    TileBlock block;

    PUNA_INLINE std::uint32_t operator()(std::size_t row, std::size_t g) const {
        return half_at(block.base + row * block.stride, 2 * g) & 511u;
    }
};

/// A byte, and above it `Bits` of the bits `high_of(row)`, `Step` for each code.
template <typename L, int Count, int Step, int Bits, typename HighOf>
struct SplitCodes {
    TileBlock block;
    HighOf high_of;

    PUNA_INLINE SplitCodes(TileBlock first, const HighOf& high) : block(first), high_of(high) {}

    PUNA_INLINE std::uint32_t operator()(std::size_t row, std::size_t g) const {
        const std::byte* at = block.base + row * block.stride;
        return byte_at(at, g) | ((high_of(at) >> (Step * g)) & ((1u << Bits) - 1u)) << 8;
    }
};

/// The same where a set can spread bits: four codes at a time.
template <typename L, int Count, int Step, int Bits, typename HighOf>
    requires requires { L::spread(std::uint64_t{}, std::uint64_t{}); }
struct SplitCodes<L, Count, Step, Bits, HighOf> {
    std::uint16_t codes[L::rows][Count];

    PUNA_INLINE SplitCodes(TileBlock block, const HighOf& high_of) {
        constexpr std::uint64_t every = 0x0001000100010001u;
        for (std::int64_t row = 0; row < L::rows; ++row) {
            const std::byte* at = block.base + static_cast<std::size_t>(row) * block.stride;
            for (std::size_t i = 0; i < Count; i += 4) {
                std::uint32_t low;
                __builtin_memcpy(&low, at + i, sizeof low);
                std::uint64_t four = L::spread(low, 0xffu * every);
                four |= L::spread(high_of(at) >> (Step * i), (((1u << Step) - 1u) << 8) * every);
                if constexpr (Bits < Step) four &= ((1u << (8 + Bits)) - 1u) * every;
                __builtin_memcpy(codes[row] + i, &four, sizeof four);
            }
        }
    }

    PUNA_INLINE std::uint32_t operator()(std::size_t row, std::size_t g) const { return codes[row][g]; }
};

template <typename L, int Count, int Step, int Bits, typename HighOf>
PUNA_INLINE SplitCodes<L, Count, Step, Bits, HighOf> split_codes(TileBlock block, const HighOf& high_of) {
    return {block, high_of};
}

/// The points of 32 weights a row. `as_stored(sixteen, row, half)` is what is made of sixteen bytes of them, the first
/// or the second half.
template <typename L, typename Book, typename Codes, typename AsStored>
PUNA_INLINE void point_quads(const Book& book, const Codes& codes, const AsStored& as_stored, typename L::Q* quads) {
    for (std::size_t half = 0; half < 2; ++half) {
        L::columns_by(
            [&](std::size_t r) PUNA_INLINE_LAMBDA {
                const auto point = [&](std::size_t g) PUNA_INLINE_LAMBDA -> const typename Book::Point& {
                    return book.at[codes(r, half * (16 / Book::weights) + g)];
                };
                if constexpr (Book::weights == 8) {
                    return as_stored(L::join(point(0), point(1)), r, half);
                } else {
                    return as_stored(L::join(point(0), point(1), point(2), point(3)), r, half);
                }
            },
            quads + 4 * half);
    }
}
template <typename L, typename Book, typename Codes>
PUNA_INLINE void point_quads(const Book& book, const Codes& codes, typename L::Q* quads) {
    point_quads<L>(
        book, codes, [](const auto& points, std::size_t, std::size_t) PUNA_INLINE_LAMBDA { return points; }, quads);
}

/// d * (2 sc + 1), of sc in the bits `mask` at `shift`.
template <typename L>
PUNA_INLINE typename L::F odd_scale(typename L::F d, typename L::Q packed, int shift, int mask) {
    const auto sc = L::both(L::shift_right(packed, shift), L::set_int(mask));
    return L::mul(d, L::to_float(L::either(L::shift_left(sc, 1), L::set_int(1))));
}

// --- IQ2 and IQ3: magnitudes and signs
// ----------------------------------------------------------------------------------

/// Four times seven signs in bytes, with the eighth that makes their number even (quant::even_signs).
template <typename L>
PUNA_INLINE typename L::Q with_even_signs(typename L::Q seven) {
    auto parity = L::exclusive(seven, L::shift_right(seven, 4));  // what comes from the next byte stays above
    parity = L::exclusive(parity, L::shift_right(parity, 2));
    parity = L::exclusive(parity, L::shift_right(parity, 1));
    return L::either(seven, L::shift_left(L::both(parity, L::bytes(1)), 7));
}

/// The 32 signs of IQ2_XXS and IQ3_XXS, whose lower 28 bits are four times seven.
template <typename L>
PUNA_INLINE typename L::Q signs_of_28(typename L::Q packed) {
    auto seven = L::both(packed, L::set_int(0x7f));
    seven = L::either(seven, L::both(L::shift_left(packed, 1), L::set_int(0x7f00)));
    seven = L::either(seven, L::both(L::shift_left(packed, 2), L::set_int(0x7f0000)));
    seven = L::either(seven, L::both(L::shift_left(packed, 3), L::set_int(0x7f000000)));
    return with_even_signs<L>(seven);
}

/// From magnitudes, 1 to Bias - 1, to q + Bias: bit k of a row's `signs` is a minus before weight k.
template <typename L, int Bias>
PUNA_INLINE void apply_signs(typename L::Q signs, typename L::Q* quads) {
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
        const auto bits = L::set_int(static_cast<std::int32_t>(j % 2 == 0 ? 0x08040201u : 0x80402010u));
        const auto minus = L::equal_bytes(L::both(L::repeated_byte(signs, j / 2), bits), bits);
        // The complement within 2 Bias, plus one: from Bias + q to Bias - q.
        const auto flips = L::both(minus, L::bytes(2 * Bias - 1));
        quads[j] = L::sub_bytes(L::exclusive(L::either(quads[j], L::bytes(Bias)), flips), minus);
    }
}

/// Points as magnitudes, under a row's 32 signs, plus Bias. Sets that can subtract some bytes alone do so before rows
/// are brought side by side.
template <typename L, int Bias, typename Book, typename Codes>
PUNA_INLINE void signed_quads(const Book& book, const Codes& codes, typename L::Q signs, typename L::Q* quads) {
    if constexpr (requires(decltype(L::join(book.at[0], book.at[1], book.at[2], book.at[3])) sixteen) {
                      L::template signed_bytes<Bias>(sixteen, std::uint16_t{});
                  }) {
        alignas(64) std::uint16_t halves[L::rows][2];
        L::store_quad(reinterpret_cast<std::byte*>(halves), signs);
        point_quads<L>(
            book, codes,
            [&](const auto& points, std::size_t r, std::size_t half)
                PUNA_INLINE_LAMBDA { return L::template signed_bytes<Bias>(points, halves[r][half]); },
            quads);
    } else {
        point_quads<L>(book, codes, quads);
        apply_signs<L, Bias>(signs, quads);
    }
}

/// Points of codes of a byte, plus 64, under the signs of 28 bits.
template <typename L, const auto& Points>
[[gnu::noinline]] void quads_of_bytes(TileBlock codes, typename L::Q signs, typename L::Q* out) {
    signed_quads<L, 64>(Points, ByteCodes{codes}, signs_of_28<L>(signs), out);
}

/// IQ2_XXS and IQ3_XXS: sub-blocks of 32 have codes of a byte, eight bytes from one's to the next one's, and a dword of
/// signs and scale, the first at `signs_at`.
template <typename L, const auto& Points, typename Sink>
PUNA_INLINE void codes_and_dwords(TileBlock block, std::size_t signs_at, std::size_t signs_step, float unit,
                                  const Sink& sink) {
    const auto d = L::mul(L::f16_column(block.base, block.stride), L::set(unit));
    for (std::size_t sub = 0; sub < 8; ++sub) {
        const auto signs = L::column(block.base + signs_at + signs_step * sub, block.stride);
        typename L::Q made[8];
        quads_of_bytes<L, Points>(block.at(2 + 8 * sub), signs, made);
        sink(made, odd_scale<L>(d, signs, 28, 15), L::set(0.0F));
    }
}

struct IQ2_XXS : Block256<66, 32, 7, 64, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        codes_and_dwords<L, quant::iq2_xxs_points>(block, 6, 8, 0.125F, sink);
    }
};

struct IQ3_XXS : Block256<98, 32, 7, 64, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        codes_and_dwords<L, quant::iq3_xxs_points>(block, 66, 4, 0.25F, sink);
    }
};

/// Sub-blocks of 32 whose halves have their scales in a byte of the eight at `scales_at`, a nibble each.
template <typename L, typename Type, typename Sink>
PUNA_INLINE void halves_under_nibbles(TileBlock block, std::size_t scales_at, const Sink& sink) {
    const auto d = L::mul(L::f16_column(block.base, block.stride), L::set(0.125F));
    for (std::size_t four = 0; four < 8; four += 4) {
        const auto scales = L::column(block.base + scales_at + four, block.stride);
        for (std::size_t i = 0; i < 4; ++i) {
            typename L::Q made[8];
            Type::template quads<L>(block, four + i, made);
            const int at = static_cast<int>(8 * i);
            sink(made, odd_scale<L>(d, scales, at, 15), L::set(0.0F));
            sink(made + 4, odd_scale<L>(d, scales, at + 4, 15), L::set(0.0F));
        }
    }
}

struct IQ2_XS : Block256<74, 16, 7, 64, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        halves_under_nibbles<L, IQ2_XS>(block, 66, sink);
    }

    template <typename L>
    [[gnu::noinline]] static void quads(TileBlock block, std::size_t sub, typename L::Q* out) {
        const TileBlock codes_and_signs = block.at(2 + 8 * sub);  // nine bits, and seven above them
        const auto first = L::column(codes_and_signs.base, block.stride);
        const auto second = L::column(codes_and_signs.base + 4, block.stride);
        const auto low = L::either(L::both(L::shift_right(first, 9), L::set_int(0x7f)),
                                   L::both(L::shift_right(first, 17), L::set_int(0x7f00)));
        const auto high = L::either(L::both(L::shift_left(second, 7), L::set_int(0x7f0000)),
                                    L::both(L::shift_right(second, 1), L::set_int(0x7f000000)));
        signed_quads<L, bias>(quant::iq2_xs_points, NineBitCodes{codes_and_signs},
                              with_even_signs<L>(L::either(low, high)), out);
    }
};

struct IQ2_S : Block256<82, 16, 7, 64, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        halves_under_nibbles<L, IQ2_S>(block, 74, sink);
    }

    template <typename L>
    [[gnu::noinline]] static void quads(TileBlock block, std::size_t sub, typename L::Q* out) {
        const auto codes = split_codes<L, 4, 2, 2>(block.at(2 + 4 * sub),
                                                   [sub](const std::byte* row)
                                                       PUNA_INLINE_LAMBDA { return byte_at(row, 64 - 3 * sub); });
        signed_quads<L, bias>(quant::iq2_s_points, codes, L::column(block.base + 34 + 4 * sub, block.stride), out);
    }
};

struct IQ3_S : Block256<110, 32, 5, 16, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        const auto d = L::f16_column(block.base, block.stride);
        const auto scales = L::column(block.base + 106, block.stride);  // a nibble each
        for (std::size_t sub = 0; sub < 8; ++sub) {
            typename L::Q made[8];
            quads<L>(block, sub, made);
            sink(made, odd_scale<L>(d, scales, static_cast<int>(4 * sub), 15), L::set(0.0F));
        }
    }

  private:
    template <typename L>
    [[gnu::noinline]] static void quads(TileBlock block, std::size_t sub, typename L::Q* out) {
        const auto codes = split_codes<L, 8, 1, 1>(block.at(2 + 8 * sub),
                                                   [sub](const std::byte* row)
                                                       PUNA_INLINE_LAMBDA { return byte_at(row, 64 - 7 * sub); });
        signed_quads<L, bias>(quant::iq3_s_points, codes, L::column(block.base + 74 + 4 * sub, block.stride), out);
    }
};

// --- IQ1: eight times -1, 0 or 1, and one more or less
// ------------------------------------------------------------------

/// What is added to eight times a point (whose values are stored plus one) for q + 16: 9 in each byte, or 7 where bit
/// `at` is set.
template <typename L>
PUNA_INLINE typename L::Q shifts_of(typename L::Q bits, int at) {
    const auto down = L::both(L::shift_right(bits, at), L::set_int(1));
    return L::add_int(L::bytes(9), L::multiply_low(down, 0u - 0x02020202u));
}
template <typename L>
PUNA_INLINE typename L::Q shifted(typename L::Q point, typename L::Q shift) {
    return L::add_int(L::shift_left(point, 3), shift);
}

struct IQ1_S : Block256<50, 32, 5, 16, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        const auto d = L::mul(L::f16_column(block.base, block.stride), L::set(0.125F));
        for (std::size_t pair = 0; pair < 4; ++pair) {
            const auto high = L::column(block.base + 34 + 4 * pair, block.stride);  // 16 bits for each of two
            for (std::size_t i = 0; i < 2; ++i) {
                const int at = static_cast<int>(16 * i);
                typename L::Q made[8];
                quads<L>(block, 2 * pair + i, shifts_of<L>(high, at + 15), made);
                sink(made, odd_scale<L>(d, high, at + 12, 7), L::set(0.0F));
            }
        }
    }

  private:
    template <typename L>
    [[gnu::noinline]] static void quads(TileBlock block, std::size_t sub, typename L::Q shift, typename L::Q* out) {
        const auto codes = split_codes<L, 4, 3, 3>(block.at(2 + 4 * sub),
                                                   [sub](const std::byte* row)
                                                       PUNA_INLINE_LAMBDA { return half_at(row, 32 - 2 * sub); });
        point_quads<L>(quant::iq1_points, codes, out);
        for (int j = 0; j < 8; ++j)
            out[j] = shifted<L>(out[j], shift);
    }
};

struct IQ1_M : Block256<56, 16, 5, 16, false> {
    template <typename L, typename Sink>
    PUNA_INLINE static void step(TileBlock block, const Sink& sink) {
        const auto d = L::mul(gathered_scale<L>(block.at(48)), L::set(0.125F));
        for (std::size_t pair = 0; pair < 4; ++pair) {
            const auto high = L::column(block.base + 32 + 4 * pair, block.stride);  // a nibble for each of eight codes
            const auto scales = L::column(block.base + 48 + pair / 2 * 4, block.stride);
            for (std::size_t i = 0; i < 2; ++i) {
                typename L::Q made[8];
                quads<L>(block, 2 * pair + i, L::shift_right(high, static_cast<int>(16 * i)), made);
                const int at = static_cast<int>(16 * (pair % 2) + 6 * i);
                sink(made, odd_scale<L>(d, scales, at, 7), L::set(0.0F));
                sink(made + 4, odd_scale<L>(d, scales, at + 3, 7), L::set(0.0F));
            }
        }
    }

  private:
    /// `high`: bit 4 g + 3 says where code g is shifted to.
    template <typename L>
    [[gnu::noinline]] static void quads(TileBlock block, std::size_t sub, typename L::Q high, typename L::Q* out) {
        const auto codes = split_codes<L, 4, 4, 3>(  // above three bits, the shift
            block.at(4 * sub), [sub](const std::byte* row) PUNA_INLINE_LAMBDA { return half_at(row, 32 - 2 * sub); });
        point_quads<L>(quant::iq1_points, codes, out);
        for (int g = 0; g < 4; ++g) {
            const auto shift = shifts_of<L>(high, 4 * g + 3);
            out[2 * g] = shifted<L>(out[2 * g], shift);
            out[2 * g + 1] = shifted<L>(out[2 * g + 1], shift);
        }
    }

    /// The f16 whose nibbles are the upper ends of four times 16 bits.
    template <typename L>
    PUNA_INLINE static typename L::F gathered_scale(TileBlock scales) {
        const auto first = L::column(scales.base, scales.stride);
        const auto second = L::column(scales.base + 4, scales.stride);
        const auto halves = L::either(L::either(L::both(L::shift_right(first, 12), L::set_int(0x000f)),
                                                L::both(L::shift_right(first, 24), L::set_int(0x00f0))),
                                      L::either(L::both(L::shift_right(second, 4), L::set_int(0x0f00)),
                                                L::both(L::shift_right(second, 16), L::set_int(0xf000))));
        alignas(64) std::byte rows[4 * L::rows];
        L::store_quad(rows, halves);
        return L::f16_column(rows, 4);
    }
};

}  // namespace puna::kernels::algorithms
