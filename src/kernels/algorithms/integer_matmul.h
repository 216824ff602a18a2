// Products of quantized weights with integer activations, sixteen rows of weights at a time (a tile).
//
// Up to four rows of activations: weights are decoded and used at once; the time is that of reading them. More rows: a
// panel of tiles is decoded once into cache and used for all rows, so the inner kernels number widths x offsets x
// ranges, not types.
#pragma once

#include "kernels/algorithms/fetch.h"
#include "kernels/algorithms/integer_law.h"
#include "kernels/algorithms/tile_decode.h"
#include "kernels/kernel_table.h"

namespace puna::kernels::algorithms {

inline constexpr std::int64_t panel_tiles = 4;       // decoded together: rows of activations pass over them in cache
inline constexpr std::size_t quad_bytes = 64;        // sixteen rows of four bytes
inline constexpr std::size_t row_vector_bytes = 64;  // sixteen floats

/// Bytes of one law block of a tile in a panel: quads, scales, then negative mins where the type has them.
template <int Width, bool HasMin>
constexpr std::size_t panel_block_bytes = Width / 4 * quad_bytes + (HasMin ? 2 : 1) * row_vector_bytes;

/// Enough for any type: law blocks of 16 without, of 32 with mins.
static inline std::size_t panel_bytes(std::int64_t columns) {
    return static_cast<std::size_t>(panel_tiles * columns / 16) * panel_block_bytes<16, true>;
}

/// Rows beyond the matrix's end are copies of nothing: a last, partial tile is moved to `spare` and read from there.
static inline TileBlock tile_at(const WeightMatrix& w, std::int64_t row, std::int64_t row_end, std::byte* spare) {
    const std::byte* base = w.data + static_cast<std::size_t>(row) * w.row_bytes;
    if (row_end - row >= tile_rows) return {base, w.row_bytes};
    const auto used = static_cast<std::size_t>(row_end - row) * w.row_bytes;
    __builtin_memcpy(spare, base, used);
    __builtin_memset(spare + used, 0, static_cast<std::size_t>(tile_rows) * w.row_bytes - used);
    return {spare, w.row_bytes};
}

/// Stores a tile's results; the last tile may be partial.
template <typename L>
void store_rows(float* y, typename L::F values, std::int64_t rows) {
    if (rows >= tile_rows) {
        L::store(y, values);
    } else {
        store_partial<L>(y, values, rows);
    }
}

/// Up to M rows of activations, all of x: weights are decoded and used at once.
template <typename L, typename P, typename Type, int M>
void multiply_few(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                  float* y, std::int64_t y_stride, std::byte* spare) {
    constexpr int law_blocks_per_block = 32 / Type::width;
    const ActivationRows<P, M> rows(x, 0);
    const std::int64_t steps = w.columns / Type::elements;
    // The hardware's prefetchers do not follow sixteen short streams. The next tile's rows lie end to end, so this tile
    // fetches them in a straight line, a share with each law block. Two tiles of more than 48 KiB are too much for the
    // first-level cache.
    constexpr std::size_t share =
        static_cast<std::size_t>(tile_rows * Type::width) * Type::block_bytes / Type::elements;
    const std::size_t tile_bytes = static_cast<std::size_t>(tile_rows) * w.row_bytes;
    const bool near = tile_bytes <= (std::size_t{24} << 10);
    fetch(w.data + static_cast<std::size_t>(row_begin) * w.row_bytes, tile_bytes, near);
    for (std::int64_t row = row_begin; row < row_end; row += tile_rows) {
        TileBlock block = tile_at(w, row, row_end, spare);
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
                accumulate_block<L, P, Type::width, Type::has_min, M>(
                    acc, [quads](int j) PUNA_INLINE_LAMBDA { return quads[j]; }, scale, negative_min, Type::bias, rows,
                    law_block / law_blocks_per_block, static_cast<int>(law_block % law_blocks_per_block));
                ++law_block;
            });
            block = block.at(Type::block_bytes);
        }
        for (int m = 0; m < M && m < x.rows; ++m)
            store_rows<L>(y + m * y_stride + row, acc[m], row_end - row);
    }
}

/// Decodes a tile into a panel; `finish` makes of each quad (q + bias) what the products read.
template <typename L, typename Type, typename Finish>
void decode_tile(TileBlock block, std::int64_t columns, std::byte* out, const Finish& finish) {
    for (std::int64_t k = 0; k < columns; k += Type::elements) {
        Type::template step<L>(
            block, [&](const typename L::Q* quads, typename L::F scale, typename L::F negative_min) PUNA_INLINE_LAMBDA {
                for (int j = 0; j < Type::width / 4; ++j)
                    L::store_quad(out + static_cast<std::size_t>(j) * quad_bytes, finish(quads[j]));
                out += Type::width / 4 * quad_bytes;
                L::store(reinterpret_cast<float*>(out), scale);
                out += row_vector_bytes;
                if constexpr (Type::has_min) {
                    L::store(reinterpret_cast<float*>(out), negative_min);
                    out += row_vector_bytes;
                }
            });
        block = block.at(Type::block_bytes);
    }
}

/// A decoded tile times M rows of activations.
template <typename L, typename P, int Width, bool HasMin, int M>
void multiply_tile(const std::byte* panel, std::int32_t bias, std::int64_t columns, const ActivationMatrix& x,
                   std::int64_t first, float* y, std::int64_t y_stride, std::int64_t rows) {
    const ActivationRows<P, M> activations(x, first);
    typename L::F acc[M];
    for (int m = 0; m < M; ++m)
        acc[m] = L::set(0.0F);
    for (std::int64_t b = 0; b < columns / activation_block; ++b) {
        for (int half = 0; half < 32 / Width; ++half, panel += panel_block_bytes<Width, HasMin>) {
            const auto* floats = reinterpret_cast<const float*>(panel + Width / 4 * quad_bytes);
            accumulate_block<L, P, Width, HasMin, M>(
                acc,
                [panel](int j)
                    PUNA_INLINE_LAMBDA { return L::load_quad(panel + static_cast<std::size_t>(j) * quad_bytes); },
                L::load(floats), HasMin ? L::load(floats + lanes) : L::set(0.0F), bias, activations, b, half);
        }
    }
    for (int m = 0; m < M; ++m)
        store_rows<L>(y + m * y_stride, acc[m], rows);
}

/// A decoded tile times `count` rows of activations, at most M.
template <typename L, typename P, int Width, bool HasMin, int M>
void multiply_up_to(std::int64_t count, const std::byte* panel, std::int32_t bias, std::int64_t columns,
                    const ActivationMatrix& x, std::int64_t first, float* y, std::int64_t y_stride, std::int64_t rows) {
    if (count == M) {
        multiply_tile<L, P, Width, HasMin, M>(panel, bias, columns, x, first, y, y_stride, rows);
    } else if constexpr (M > 1) {
        multiply_up_to<L, P, Width, HasMin, M - 1>(count, panel, bias, columns, x, first, y, y_stride, rows);
    }
}

template <typename L, template <int> typename Product, typename Type>
void integer_matmul(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                    float* y, std::int64_t y_stride, std::byte* scratch) {
    using P = Product<L::product_range(Type::bits)>;
    std::byte* spare = scratch + panel_bytes(w.columns);
    if (x.rows == 1) return multiply_few<L, P, Type, 1>(w, row_begin, row_end, x, y, y_stride, spare);
    if (x.rows == 2) return multiply_few<L, P, Type, 2>(w, row_begin, row_end, x, y, y_stride, spare);
    if (x.rows <= 4) return multiply_few<L, P, Type, 4>(w, row_begin, row_end, x, y, y_stride, spare);

    constexpr int most = L::integer_tile_columns;
    constexpr std::size_t block_bytes = panel_block_bytes<Type::width, Type::has_min>;
    const std::size_t tile_bytes = static_cast<std::size_t>(w.columns / Type::width) * block_bytes;
    for (std::int64_t row = row_begin; row < row_end; row += panel_tiles * tile_rows) {
        std::int64_t tiles = 0;
        for (std::int64_t r = row; tiles < panel_tiles && r < row_end; ++tiles, r += tile_rows) {
            decode_tile<L, Type>(tile_at(w, r, row_end, spare), w.columns,
                                 scratch + static_cast<std::size_t>(tiles) * tile_bytes,
                                 [](typename L::Q quad) PUNA_INLINE_LAMBDA { return quad; });
        }
        for (std::int64_t m = 0; m < x.rows; m += most) {
            const std::int64_t count = x.rows - m < most ? x.rows - m : most;
            for (std::int64_t t = 0; t < tiles; ++t) {
                const std::int64_t r = row + t * tile_rows;
                multiply_up_to<L, P, Type::width, Type::has_min, most>(
                    count, scratch + static_cast<std::size_t>(t) * tile_bytes, Type::bias, w.columns, x, m,
                    y + m * y_stride + r, y_stride, row_end - r);
            }
        }
    }
}

}  // namespace puna::kernels::algorithms
