// Products of quantized weights with integer activations, a tile of L::rows rows of weights at a time.
//
// Few rows of activations: weights are decoded and used at once; the time is that of reading them. More rows: a panel
// of tiles is decoded once into cache, all of K or a part of it, and used for all rows, so the inner kernels number
// widths x offsets x ranges, not types.
#pragma once

#include "kernels/algorithms/fetch.h"
#include "kernels/algorithms/integer_law.h"
#include "kernels/algorithms/panel_quads.h"
#include "kernels/algorithms/tile_decode.h"
#include "kernels/kernel_table.h"

namespace puna::kernels::algorithms {

/// Columns of a panel, of a matrix's `columns`.
template <typename L>
std::int64_t panel_part(std::int64_t columns) {
    return columns < L::panel_columns() ? columns : L::panel_columns();
}

/// Enough for any type: law blocks of 16 without, of 32 with mins.
template <typename L>
std::size_t panel_bytes(std::int64_t columns) {
    return static_cast<std::size_t>(L::panel_tiles * panel_part<L>(columns) / 16) *
           panel_block_bytes<16, true, L::most_panel_quad_bytes>;
}

/// Rows beyond the matrix's end are copies of nothing: a last, partial tile of `count` rows is moved to `spare` and
/// read from there.
static inline TileBlock tile_at(const WeightMatrix& w, std::int64_t row, std::int64_t row_end, std::int64_t count,
                                std::byte* spare) {
    const std::byte* base = w.data + static_cast<std::size_t>(row) * w.row_bytes;
    if (row_end - row >= count) return {base, w.row_bytes};
    const auto used = static_cast<std::size_t>(row_end - row) * w.row_bytes;
    __builtin_memcpy(spare, base, used);
    __builtin_memset(spare + used, 0, static_cast<std::size_t>(count) * w.row_bytes - used);
    return {spare, w.row_bytes};
}

/// Stores a tile's results; the last tile may be partial.
template <typename L>
void store_rows(float* y, typename L::F values, std::int64_t rows) {
    if (rows >= L::rows) {
        L::store(y, values);
    } else {
        store_partial<L>(y, values, rows);
    }
}

/// What `store_rows` stored.
template <typename L>
typename L::F load_rows(const float* y, std::int64_t rows) {
    return rows >= L::rows ? L::load(y) : load_partial<L>(y, rows);
}

/// What a tile of L::rows rows fetches of the next one with each law block.
template <typename L, typename Type>
inline constexpr std::size_t fetched_share =
    static_cast<std::size_t>(L::rows * Type::width) * Type::block_bytes / Type::elements;

/// The first-level cache has room for two tiles of this size: for one and the next.
inline constexpr std::size_t near_tile_bytes = std::size_t{24} << 10;

/// acc[m] += a tile's law block, as its decoder hands it on: number `law_block` along K.
template <typename L, typename P, typename Type, int M>
PUNA_INLINE void accumulate_decoded(typename L::F (&acc)[M], const typename L::Q* quads, typename L::F scale,
                                    typename L::F negative_min, const ActivationRows<P, M>& x, std::int64_t law_block) {
    constexpr int per_block = activation_block / Type::width;
    accumulate_block<L, P, Type::width, Type::has_min, M>(
        acc, [quads](int j) PUNA_INLINE_LAMBDA { return quads[j]; }, scale, negative_min, Type::bias, x,
        law_block / per_block, static_cast<int>(law_block % per_block));
}

/// Up to M rows of activations, all of x: weights are decoded and used at once. `AcrossLanes`: L is a set's One.
template <typename L, typename P, typename Type, int M, bool AcrossLanes = false>
void multiply_few(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                  float* y, std::int64_t y_stride, std::byte* spare) {
    const ActivationRows<P, M> rows(x, 0);
    const PreparedRow<P> first(x.data, x.columns);
    const std::int64_t steps = w.columns / Type::elements;
    // The hardware's prefetchers do not follow sixteen short streams. The next tile's rows lie end to end, so this tile
    // fetches them in a straight line, a share with each law block.
    constexpr std::size_t share = fetched_share<L, Type>;
    const std::size_t tile_bytes = static_cast<std::size_t>(L::rows) * w.row_bytes;
    const bool near = tile_bytes <= near_tile_bytes;
    fetch(w.data + static_cast<std::size_t>(row_begin) * w.row_bytes, tile_bytes, near);
    for (std::int64_t row = row_begin; row < row_end; row += L::rows) {
        TileBlock block = tile_at(w, row, row_end, L::rows, spare);
        const std::byte* ahead = block.base + tile_bytes;
        typename L::F acc[M];
        for (int m = 0; m < M; ++m)
            acc[m] = L::set(0.0F);
        std::int64_t law_block = 0;
        for (std::int64_t s = 0; s < steps; ++s) {
            Type::template step<L>(block, [&](const typename L::Q* quads, typename L::F scale,
                                              typename L::F negative_min) PUNA_INLINE_LAMBDA {
                fetch(ahead, share, near);
                ahead += share;
                if constexpr (AcrossLanes) {
                    accumulate_across<L, P, Type::has_min>(acc[0], quads, scale, negative_min, Type::bias, first,
                                                           law_block);
                } else {
                    accumulate_decoded<L, P, Type>(acc, quads, scale, negative_min, rows, law_block);
                }
                ++law_block;
            });
            block = block.at(Type::block_bytes);
        }
#pragma GCC unroll 8  // a loop's sums would wait in memory
        for (int m = 0; m < M; ++m) {
            if (m < x.rows) store_rows<L>(y + m * y_stride + row, acc[m], row_end - row);
        }
    }
}

/// Weights that are needed soon: a share of them is fetched with each law block. Null: nothing is.
struct Ahead {
    const std::byte* at = nullptr;
    std::size_t share = 0;

    PUNA_INLINE void fetch_share() {
        if (at == nullptr) return;
        fetch(at, share, false);
        at += share;
    }
};

/// Where a tile's law blocks are kept as they are decoded; `store` writes a quad (q + bias) as the products read it.
template <typename L, typename Type, std::size_t QuadBytes, typename Store>
struct PanelWriter {
    std::byte* out;
    const Store& store;

    PUNA_INLINE void put(const typename L::Q* quads, typename L::F scale, typename L::F negative_min) {
        for (int j = 0; j < Type::width / 4; ++j)
            store(out + static_cast<std::size_t>(j) * QuadBytes, quads[j]);
        out += Type::width / 4 * QuadBytes;
        L::store(reinterpret_cast<float*>(out), scale);
        out += row_vector_bytes;
        if constexpr (Type::has_min) {
            L::store(reinterpret_cast<float*>(out), negative_min);
            out += row_vector_bytes;
        }
    }
};

/// Decodes `columns` weights of each row of a tile into a panel.
template <typename L, typename Type, std::size_t QuadBytes, typename Store>
[[gnu::flatten]] void decode_tile(TileBlock block, std::int64_t columns, Ahead ahead, std::byte* out,
                                  const Store& store) {
    PanelWriter<L, Type, QuadBytes, Store> panel{out, store};
    for (std::int64_t k = 0; k < columns; k += Type::elements) {
        Type::template step<L>(
            block, [&](const typename L::Q* quads, typename L::F scale, typename L::F negative_min) PUNA_INLINE_LAMBDA {
                ahead.fetch_share();
                panel.put(quads, scale, negative_min);
            });
        block = block.at(Type::block_bytes);
    }
}

/// The same of a tile's whole rows, which are multiplied with the first M rows of activations meanwhile. Decoding is
/// stores and shuffles for the most part, and products leave the ports for those idle: on Zen 4 a line is stored every
/// 3.5 cycles, so that a law block of 32, nine lines, takes 33 by itself.
template <typename L, typename P, typename Type, int M, typename Store>
[[gnu::flatten]] void decode_and_multiply(TileBlock block, std::byte* out, const Store& store,
                                          const ActivationMatrix& x, float* y, std::int64_t y_stride,
                                          std::int64_t rows) {
    const std::size_t tile_bytes = static_cast<std::size_t>(L::rows) * block.stride;
    const std::byte* ahead = block.base + tile_bytes;  // the panel's next tile
    const bool near = tile_bytes <= near_tile_bytes;
    PanelWriter<L, Type, P::Panel::bytes, Store> panel{out, store};
    const ActivationRows<P, M> activations(x, 0);
    typename L::F acc[M];
    for (int m = 0; m < M; ++m)
        acc[m] = L::set(0.0F);
    std::int64_t law_block = 0;
    for (std::int64_t k = 0; k < x.columns; k += Type::elements) {
        Type::template step<L>(
            block, [&](const typename L::Q* quads, typename L::F scale, typename L::F negative_min) PUNA_INLINE_LAMBDA {
                fetch(ahead, fetched_share<L, Type>, near);
                ahead += fetched_share<L, Type>;
                panel.put(quads, scale, negative_min);
                accumulate_decoded<L, P, Type>(acc, quads, scale, negative_min, activations, law_block);
                ++law_block;
            });
        block = block.at(Type::block_bytes);
    }
#pragma GCC unroll 8
    for (int m = 0; m < M; ++m)
        store_rows<L>(y + m * y_stride, acc[m], rows);
}

/// Blocks of 32 columns, [begin, end): what of K a panel holds.
struct BlockRange {
    std::int64_t begin;
    std::int64_t end;
};

/// A decoded tile times M rows of activations. What the blocks before `blocks` gave is in y.
template <typename L, typename P, int Width, bool HasMin, int M>
void multiply_tile(const std::byte* panel, std::int32_t bias, BlockRange blocks, const ActivationMatrix& x,
                   std::int64_t first, float* y, std::int64_t y_stride, std::int64_t rows, Ahead ahead) {
    using Panel = typename P::Panel;
    const ActivationRows<P, M> activations(x, first);
    typename L::F acc[M];
    for (int m = 0; m < M; ++m)
        acc[m] = blocks.begin == 0 ? L::set(0.0F) : load_rows<L>(y + m * y_stride, rows);
    for (std::int64_t b = blocks.begin; b < blocks.end; ++b) {
        // The next rows: a part of a row is too short a stream for the hardware to follow.
        const std::size_t next = M * x.row_bytes + static_cast<std::size_t>(b) * P::block_bytes;
        for (int m = 0; m < M; ++m)
            fetch_line(activations.integers[m] + next);
        for (int half = 0; half < 32 / Width; ++half, panel += panel_block_bytes<Width, HasMin, Panel::bytes>) {
            ahead.fetch_share();
            const auto* floats = reinterpret_cast<const float*>(panel + Width / 4 * Panel::bytes);
            accumulate_block<L, P, Width, HasMin, M>(
                acc,
                [panel](int j)
                    PUNA_INLINE_LAMBDA { return Panel::load(panel + static_cast<std::size_t>(j) * Panel::bytes); },
                L::load(floats), HasMin ? L::load(floats + lanes) : L::set(0.0F), Panel::biased ? bias : 0, activations,
                b, half);
        }
    }
    for (int m = 0; m < M; ++m)
        store_rows<L>(y + m * y_stride, acc[m], rows);
}

/// A decoded tile times `count` rows of activations, at most M.
template <typename L, typename P, int Width, bool HasMin, int M>
void multiply_up_to(std::int64_t count, const std::byte* panel, std::int32_t bias, BlockRange blocks,
                    const ActivationMatrix& x, std::int64_t first, float* y, std::int64_t y_stride, std::int64_t rows,
                    Ahead ahead) {
    if (count == M) {
        multiply_tile<L, P, Width, HasMin, M>(panel, bias, blocks, x, first, y, y_stride, rows, ahead);
    } else if constexpr (M > 1) {
        multiply_up_to<L, P, Width, HasMin, M - 1>(count, panel, bias, blocks, x, first, y, y_stride, rows, ahead);
    }
}

/// Panels of weights times all rows of x.
template <typename L, typename P, typename Type>
void multiply_many(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                   float* y, std::int64_t y_stride, std::byte* scratch, std::byte* spare) {
    using Panel = typename P::Panel;
    constexpr int most = Type::width == 16 ? L::integer_tile_columns_of_16 : L::integer_tile_columns;
    constexpr std::size_t block_bytes = panel_block_bytes<Type::width, Type::has_min, Panel::bytes>;
    // Rows of activations that are multiplied while a tile is decoded.
    constexpr int at_once = L::rows_while_decoding;
    const auto store = [](std::byte* out, typename L::Q quad)
                           PUNA_INLINE_LAMBDA { Panel::store(out, quad, Type::bias); };
    const std::int64_t part = panel_part<L>(w.columns);
    const std::size_t tile_bytes = static_cast<std::size_t>(part / Type::width) * block_bytes;
    const auto panel_at = [&](std::int64_t t) { return scratch + static_cast<std::size_t>(t) * tile_bytes; };
    const std::int64_t panel_rows = L::panel_tiles * L::rows;
    for (std::int64_t row = row_begin; row < row_end; row += panel_rows) {
        const std::int64_t rows = row_end - row < panel_rows ? row_end - row : panel_rows;
        const std::int64_t tiles = (rows + L::rows - 1) / L::rows;
        for (std::int64_t k = 0; k < w.columns; k += part) {
            const std::int64_t columns = w.columns - k < part ? w.columns - k : part;
            const BlockRange blocks = {k / activation_block, (k + columns) / activation_block};
            const auto begin = static_cast<std::size_t>(k / Type::elements) * Type::block_bytes;
            // While the first rows of activations are multiplied, memory has time for the tile that will take a tile's
            // place in the panel; decoding it is too short for that.
            const std::byte* next_panel = w.data + static_cast<std::size_t>(row + panel_rows) * w.row_bytes + begin;
            const auto next_of = [&](std::int64_t t) {
                return Ahead{next_panel + static_cast<std::size_t>(t * L::rows) * w.row_bytes, fetched_share<L, Type>};
            };
            const auto y_of = [&](std::int64_t m, std::int64_t t) { return y + m * y_stride + row + t * L::rows; };
            const auto rows_from = [&](std::int64_t t) { return row_end - row - t * L::rows; };
            for (std::int64_t t = 0; t < tiles; ++t) {
                const TileBlock tile = tile_at(w, row + t * L::rows, row_end, L::rows, spare);
                if constexpr (at_once > 0) {
                    decode_and_multiply<L, P, Type, at_once>(tile, panel_at(t), store, x, y_of(0, t), y_stride,
                                                             rows_from(t));
                } else {
                    decode_tile<L, Type, Panel::bytes>(tile.at(begin), columns, Ahead{}, panel_at(t), store);
                }
            }
            for (std::int64_t m = at_once; m < x.rows; m += most) {
                const std::int64_t count = x.rows - m < most ? x.rows - m : most;
                for (std::int64_t t = 0; t < tiles; ++t) {
                    multiply_up_to<L, P, Type::width, Type::has_min, most>(count, panel_at(t), Type::bias, blocks, x, m,
                                                                           y_of(m, t), y_stride, rows_from(t),
                                                                           m == at_once ? next_of(t) : Ahead{});
                }
            }
        }
    }
}

/// P and FewP are the products for the width of the activations, of the set and of its primitives for few rows.
template <typename L, typename P, typename FewP, typename Type>
void integer_matmul(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                    float* y, std::int64_t y_stride, std::byte* scratch) {
    using Few = typename L::Few;
    std::byte* spare = scratch + panel_bytes<L>(w.columns);
    if (x.rows > L::most_few) {
        multiply_many<L, P, Type>(w, row_begin, row_end, x, y, y_stride, scratch, spare);
    } else if (x.rows == 1) {
        if constexpr (Type::bytewise && requires { typename L::One; }) {
            multiply_few<typename L::One, FewP, Type, 1, true>(w, row_begin, row_end, x, y, y_stride, spare);
        } else {
            multiply_few<Few, FewP, Type, 1>(w, row_begin, row_end, x, y, y_stride, spare);
        }
    } else if (x.rows == 2) {
        multiply_few<Few, FewP, Type, 2>(w, row_begin, row_end, x, y, y_stride, spare);
    } else if constexpr (L::most_few == 4) {
        if (x.rows == 3) {
            multiply_few<Few, FewP, Type, 3>(w, row_begin, row_end, x, y, y_stride, spare);
        } else {
            multiply_few<Few, FewP, Type, 4>(w, row_begin, row_end, x, y, y_stride, spare);
        }
    }
}

}  // namespace puna::kernels::algorithms
