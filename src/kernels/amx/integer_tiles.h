// Quantized weights times many rows of integer activations by AMX tiles (the laws int/1 and int8/1).
//
// A law block of the panels that the vector sets use, quads of sixteen rows of weights, is the right operand of
// TDPBSSD as it lies, and sixteen prepared rows of activations are the left one: one product for each plane of int8.
// The sums of a law block are exact; they leave the tiles and meet the scales in vectors, in ascending K. While one law
// block's do, the tiles multiply the next one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "kernels/algorithms/integer_matmul.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/lanes.h"
#include "kernels/kernel_table.h"

namespace puna::kernels {
namespace {

using algorithms::BlockScale;

/// How many planes of int8 an activation is, as the avx512 set prepares it: [32 low bytes][32 high bytes] a block.
template <int Planes>
using IntegerProduct = std::conditional_t<Planes == 2, Avx512::Int16<8>, Avx512::Int8<8>>;

/// Tiles 0 to 3: sums [rows of activations][16 rows of weights] of int32, two planes of two law blocks; 4 and 5:
/// activations [rows][Width]; 6: weights [Width / 4][16 rows of 4].
template <int Width>
TileConfiguration integer_configuration(std::int64_t activation_rows) {
    TileConfiguration made(tile_side);
    for (int i = 0; i < 7; ++i) {
        made.row_bytes[i] = i == 4 || i == 5 ? Width : 64;
        made.rows[i] = static_cast<std::uint8_t>(i == 6 ? Width / 4 : activation_rows);
    }
    return made;
}

/// Multiplies one law block into the pair of tiles `Pair`.
template <int Planes, int Pair>
PUNA_INLINE void multiply_block(const std::byte* quads, const std::byte* activations, long row_bytes) {
    order_memory();
    _tile_loadd(6, quads, 64);
    _tile_loadd(4, activations, row_bytes);
    if constexpr (Planes == 2) _tile_loadd(5, activations + 32, row_bytes);
    if constexpr (Pair == 0) {
        _tile_zero(0);
        _tile_dpbssd(0, 4, 6);
        if constexpr (Planes == 2) {
            _tile_zero(1);
            _tile_dpbssd(1, 5, 6);
        }
    } else {
        _tile_zero(2);
        _tile_dpbssd(2, 4, 6);
        if constexpr (Planes == 2) {
            _tile_zero(3);
            _tile_dpbssd(3, 5, 6);
        }
    }
}

/// Sums of a law block, as they leave the tiles: [plane][row of activations][16 rows of weights].
template <int Planes>
struct alignas(64) BlockSums {
    std::int32_t at[Planes][tile_side][tile_side];
};

template <int Planes, int Pair>
PUNA_INLINE void store_sums(BlockSums<Planes>& sums) {
    if constexpr (Pair == 0) {
        _tile_stored(0, sums.at[0], 64);
        if constexpr (Planes == 2) _tile_stored(1, sums.at[1], 64);
    } else {
        _tile_stored(2, sums.at[0], 64);
        if constexpr (Planes == 2) _tile_stored(3, sums.at[1], 64);
    }
    order_memory();
}

/// Sixteen rows of activations over a part of K, law blocks [begin, end) of weights of a type: what goes with their
/// integers, turned so that the rows of a block stand together. Rows that are missing have zeros.
template <int Planes, typename Type>
struct ActivationPart {
    static constexpr std::int64_t columns = 512;
    static constexpr std::int64_t law_blocks = columns / Type::width;
    static constexpr std::int64_t halves = 32 / Type::width;  // law blocks in a block of activations
    std::int64_t first_row;
    std::int64_t begin;
    std::int64_t end;
    float scales[columns / 32][tile_side] = {};
    float totals[law_blocks][tile_side] = {};  // of the integers of each law block; for weights with mins

    ActivationPart(const ActivationMatrix& x, std::int64_t first, std::int64_t law_block)
        : first_row(first), begin(law_block), end(least(law_block + law_blocks, x.columns / Type::width)) {
        for (std::int64_t m = 0; m < least(x.rows - first, tile_side); ++m) {
            const algorithms::PreparedRow<IntegerProduct<Planes>> row(
                x.data + static_cast<std::size_t>(first + m) * x.row_bytes, x.columns);
            for (std::int64_t b = begin; b < end; ++b) {
                const BlockScale& s = row.scales[b / halves];
                scales[(b - begin) / halves][m] = s.scale;
                if constexpr (Type::has_min) {
                    const std::int32_t total = halves == 1 ? s.sums[0] + s.sums[1] : s.sums[b % halves];
                    totals[b - begin][m] = static_cast<float>(total);
                }
            }
        }
    }
};

/// The sums of sixteen rows of activations with sixteen rows of weights, in registers: so an index is a constant,
/// always. GCC keeps in memory what is indexed by a variable, if only until it unrolls.
struct RowSums {
    __m512 of[tile_side];
};

/// Calls `body` with the constants 0 to 15.
template <typename Body, std::size_t... M>
PUNA_INLINE void for_each_row(const Body& body, std::index_sequence<M...> = {}) {
    if constexpr (sizeof...(M) == 0) {
        for_each_row(body, std::make_index_sequence<tile_side>{});
    } else {
        (body(std::integral_constant<std::size_t, M>{}), ...);
    }
}

/// Adds a law block's integer sums, with their scales, to `to`. floats: what follows the block's weights in the panel.
template <int Planes, typename Type>
PUNA_INLINE void add_block(const BlockSums<Planes>& block, const float* floats, const float* scales,
                           const float* totals, RowSums& to) {
    const __m512 scale = _mm512_load_ps(floats);
    const __m512 negative_min = Type::has_min ? _mm512_load_ps(floats + 16) : _mm512_setzero_ps();
    for_each_row([&](auto m) PUNA_INLINE_LAMBDA {
        __m512i sum = _mm512_load_si512(block.at[0][m]);
        if constexpr (Planes == 2) {
            sum = _mm512_add_epi32(sum, _mm512_slli_epi32(_mm512_load_si512(block.at[1][m]), 8));
        }
        const __m512 da = _mm512_set1_ps(scales[m]);
        to.of[m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), _mm512_mul_ps(scale, da), to.of[m]);
        if constexpr (Type::has_min) {
            to.of[m] = _mm512_fmadd_ps(_mm512_set1_ps(totals[m]), _mm512_mul_ps(negative_min, da), to.of[m]);
        }
    });
}

/// A part of up to sixteen rows of activations times one decoded tile of weights; sums [16][16] of floats are carried
/// from part to part.
template <int Planes, typename Type>
void multiply_integer_tile(const std::byte* panel, const ActivationMatrix& x, const ActivationPart<Planes, Type>& part,
                           float* carry) {
    using Product = IntegerProduct<Planes>;
    constexpr int width = Type::width;
    constexpr std::size_t block_bytes = algorithms::panel_block_bytes<width, Type::has_min>;
    constexpr std::int64_t halves = ActivationPart<Planes, Type>::halves;
    const std::byte* integers = x.data + static_cast<std::size_t>(part.first_row) * x.row_bytes;
    const auto row_bytes = static_cast<long>(x.row_bytes);
    const std::int64_t begin = part.begin;
    const std::int64_t end = part.end;
    BlockSums<Planes> left[2];  // what left the tiles
    RowSums sums;
    if (begin == 0) {
        for_each_row([&](auto m) PUNA_INLINE_LAMBDA { sums.of[m] = _mm512_setzero_ps(); });
    } else {
        for_each_row([&](auto m) PUNA_INLINE_LAMBDA { sums.of[m] = _mm512_load_ps(carry + m * tile_side); });
    }

    const auto weights_at = [&](std::int64_t b)
                                PUNA_INLINE_LAMBDA { return panel + static_cast<std::size_t>(b) * block_bytes; };
    const auto activations_at = [&](std::int64_t b) PUNA_INLINE_LAMBDA {
        return integers + static_cast<std::size_t>(b / halves) * Product::block_bytes +
               static_cast<std::size_t>(b % halves) * width;
    };
    const auto floats_at = [&](std::int64_t b) PUNA_INLINE_LAMBDA {
        return reinterpret_cast<const float*>(weights_at(b) + width / 4 * algorithms::quad_bytes);
    };

    // Three stages: the tiles multiply law block b + 1, the sums of b leave them, those of b - 1 meet their scales.
    multiply_block<Planes, 0>(weights_at(begin), activations_at(begin), row_bytes);
    const auto step = [&]<int Pair>(std::int64_t b, RowSums& to) PUNA_INLINE_LAMBDA {
        if (b + 1 < end) multiply_block<Planes, 1 - Pair>(weights_at(b + 1), activations_at(b + 1), row_bytes);
        if (b < end) store_sums<Planes, Pair>(left[Pair]);
        if (b > begin) {
            add_block<Planes, Type>(left[1 - Pair], floats_at(b - 1), part.scales[(b - 1 - begin) / halves],
                                    part.totals[b - 1 - begin], to);
        }
    };
    for (std::int64_t b = begin; b <= end; b += 2) {
        step.template operator()<0>(b, sums);
        if (b + 1 <= end) step.template operator()<1>(b + 1, sums);
    }
    for_each_row([&](auto m) PUNA_INLINE_LAMBDA { _mm512_store_ps(carry + m * tile_side, sums.of[m]); });
}

/// Panels of weights times all rows of x.
template <int Planes, typename Type>
void multiply_integer_panels(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end,
                             const ActivationMatrix& x, float* y, std::int64_t y_stride, std::byte* scratch) {
    constexpr std::int64_t panel_rows = Avx512::panel_tiles * tile_side;
    using Part = ActivationPart<Planes, Type>;
    const std::int64_t law_blocks = w.columns / Type::width;
    const std::size_t bytes =  // of a tile in the panel
        static_cast<std::size_t>(law_blocks) * algorithms::panel_block_bytes<Type::width, Type::has_min>;
    std::byte* spare = scratch + algorithms::panel_bytes<Avx512>(w.columns);
    const __m512i bias = _mm512_set1_epi8(static_cast<char>(Type::bias));
    const std::int64_t whole = x.rows / tile_side * tile_side;
    alignas(64) float carry[Avx512::panel_tiles][tile_side * tile_side];
    for (std::int64_t panel = row_begin; panel < row_end; panel += panel_rows) {
        const std::int64_t tiles = (least(row_end - panel, panel_rows) + tile_side - 1) / tile_side;
        const auto decoded = [&](std::int64_t tile) { return scratch + static_cast<std::size_t>(tile) * bytes; };
        for (std::int64_t tile = 0; tile < tiles; ++tile) {
            const std::int64_t row = panel + tile * tile_side;
            const algorithms::Ahead ahead = {w.data + static_cast<std::size_t>(row + tile_side) * w.row_bytes,
                                             algorithms::fetched_share<Avx512, Type>};
            algorithms::decode_tile<Avx512, Type, algorithms::quad_bytes>(
                algorithms::tile_at(w, row, row_end, tile_side, spare), w.columns, ahead, decoded(tile),
                [bias](std::byte* out, __m512i quad)
                    PUNA_INLINE_LAMBDA { Avx512::store_quad(out, _mm512_sub_epi8(quad, bias)); });
        }
        const auto pass = [&](std::int64_t from, std::int64_t to) {
            if (from == to) return;
            const Tiles configured(integer_configuration<Type::width>(least(to - from, tile_side)));
            for (std::int64_t first = from; first < to; first += tile_side) {
                // A part of the activations stays in the first-level cache for all tiles of the panel.
                for (std::int64_t b = 0; b < law_blocks; b += Part::law_blocks) {
                    const Part part(x, first, b);
                    for (std::int64_t tile = 0; tile < tiles; ++tile) {
                        multiply_integer_tile<Planes, Type>(decoded(tile), x, part, carry[tile]);
                    }
                }
                for (std::int64_t tile = 0; tile < tiles; ++tile) {
                    const std::int64_t row = panel + tile * tile_side;
                    for (std::int64_t m = 0; m < least(to - first, tile_side); ++m) {
                        algorithms::store_rows<Avx512>(y + (first + m) * y_stride + row,
                                                       _mm512_load_ps(carry[tile] + m * tile_side), row_end - row);
                    }
                }
            }
        };
        pass(0, whole);
        pass(whole, x.rows);
    }
}

}  // namespace
}  // namespace puna::kernels
