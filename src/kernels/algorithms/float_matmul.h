// Products with float32 activations: sixteen lanes along K, several rows of weights times several rows of activations
// in registers, so that one row and many give the same bits.
#pragma once

#include "kernels/algorithms/float_law.h"
#include "kernels/algorithms/tile_decode.h"
#include "kernels/kernel_table.h"
#include "quant/tensor_type.h"

namespace puna::kernels::algorithms {

inline constexpr std::int64_t most_float_panel_rows = 64;
/// K goes by parts, so that this much of six rows of activations stays in the first-level cache.
inline constexpr std::int64_t float_part_columns = 512;

/// From one row of floats to the next: an odd number of cache lines. Rows a power of two apart would share a few sets
/// of the caches, and push each other out of them.
static inline std::size_t padded_columns(std::int64_t columns) {
    const std::int64_t lines = (columns + lanes - 1) / lanes;
    return static_cast<std::size_t>((lines | 1) * lanes);
}

/// Rows of weights that are decoded together, to be reused for all rows of activations: about half a MiB.
static inline std::int64_t float_panel_rows(std::int64_t columns) {
    const auto fit = static_cast<std::int64_t>((std::size_t{512} << 10) / (padded_columns(columns) * sizeof(float)));
    const std::int64_t rows = fit / tile_rows * tile_rows;
    return rows < tile_rows ? tile_rows : rows > most_float_panel_rows ? most_float_panel_rows : rows;
}

/// How far ahead each row of a tile is fetched where weights are used once, in bytes. Measured.
inline constexpr std::size_t row_ahead = 1024;

/// A part of K, [begin, end) of `columns`: begin and, but for the last part, end are multiples of `lanes`.
struct KPart {
    std::int64_t begin;
    std::int64_t end;
    std::int64_t columns;
};

/// y[m * y_stride + r] = w[r] . x[m], R rows of weights (`w_stride` elements apart) times M of activations. Lanes are
/// carried from part to part: carry [R][M][lanes].
template <typename L, int R, int M, typename T>
void float_tile(const T* w, std::size_t w_stride, const float* x, std::size_t x_stride, KPart part, float* carry,
                float* y, std::int64_t y_stride) {
    typename L::F sums[R][M];
    for (int r = 0; r < R; ++r) {
        for (int m = 0; m < M; ++m)
            sums[r][m] = part.begin == 0 ? L::set(0.0F) : L::load(carry + (r * M + m) * lanes);
    }
    const auto accumulate = [&](const auto& load_w, const auto& load_x) PUNA_INLINE_LAMBDA {
        typename L::F xs[M];
        for (int m = 0; m < M; ++m)
            xs[m] = load_x(x + static_cast<std::size_t>(m) * x_stride);
        for (int r = 0; r < R; ++r) {
            const auto ws = load_w(w + static_cast<std::size_t>(r) * w_stride);
            for (int m = 0; m < M; ++m)
                sums[r][m] = L::fma(ws, xs[m], sums[r][m]);
        }
    };
    const std::int64_t whole = part.end / lanes * lanes;
    for (std::int64_t k = part.begin; k < whole; k += lanes) {
        if constexpr (M == 1) {  // then weights come from memory, and several lines of a row are on their way
            for (int r = 0; r < R; ++r)
                __builtin_prefetch(
                    reinterpret_cast<const std::byte*>(w + static_cast<std::size_t>(r) * w_stride + k) + row_ahead, 0,
                    2);
        }
        accumulate([k](const T* row) { return load<L>(row + k); }, [k](const float* row) { return L::load(row + k); });
    }
    if (whole < part.end) {
        accumulate([&](const T* row) { return load_partial<L>(row + whole, part.end - whole); },
                   [&](const float* row) { return load_partial<L>(row + whole, part.end - whole); });
    }
    const bool last = part.end == part.columns;
    for (int r = 0; r < R; ++r) {
        for (int m = 0; m < M; ++m) {
            if (last) {
                y[m * y_stride + r] = L::reduce_add(sums[r][m]);
            } else {
                L::store(carry + (r * M + m) * lanes, sums[r][m]);
            }
        }
    }
}

/// All of `rows` x `x_rows`, in tiles of R x M and what is left over, by parts of K of `part_columns`: as many as there
/// are columns, or, for at most most_float_panel_rows rows, fewer.
template <typename L, int R, int M, typename T>
void float_tiles(const T* w, std::size_t w_stride, std::int64_t rows, const float* x, std::size_t x_stride,
                 std::int64_t x_rows, std::int64_t columns, std::int64_t part_columns, float* y,
                 std::int64_t y_stride) {
    alignas(64) float carry[most_float_panel_rows * M * lanes];
    std::int64_t m = 0;
    for (; m + M <= x_rows; m += M) {
        const float* x_tile = x + static_cast<std::size_t>(m) * x_stride;
        float* y_tile = y + m * y_stride;
        for (std::int64_t begin = 0; begin < columns; begin += part_columns) {
            const std::int64_t end = begin + part_columns;
            const KPart part{begin, end < columns ? end : columns, columns};
            const auto carried = [&](std::int64_t r) { return part_columns < columns ? carry + r * M * lanes : carry; };
            std::int64_t r = 0;
            for (; r + R <= rows; r += R) {
                float_tile<L, R, M>(w + static_cast<std::size_t>(r) * w_stride, w_stride, x_tile, x_stride, part,
                                    carried(r), y_tile + r, y_stride);
            }
            for (; r < rows; ++r) {
                float_tile<L, 1, M>(w + static_cast<std::size_t>(r) * w_stride, w_stride, x_tile, x_stride, part,
                                    carried(r), y_tile + r, y_stride);
            }
        }
    }
    if constexpr (M > 1) {
        if (m < x_rows) {
            float_tiles<L, R, M / 2>(w, w_stride, rows, x + static_cast<std::size_t>(m) * x_stride, x_stride,
                                     x_rows - m, columns, part_columns, y + m * y_stride, y_stride);
        }
    }
}

template <int R, int M>
struct Shape {};

/// Weights that are read as they lie: F32, F16, BF16.
template <typename L, typename T>
void float_matmul_in_place(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end,
                           const ActivationMatrix& x, float* y, std::int64_t y_stride) {
    const auto* first = reinterpret_cast<const T*>(w.data + static_cast<std::size_t>(row_begin) * w.row_bytes);
    const auto tiles = [&]<int R, int M>(Shape<R, M>) PUNA_INLINE_LAMBDA {
        float_tiles<L, R, M>(first, w.row_bytes / sizeof(T), row_end - row_begin,
                             reinterpret_cast<const float*>(x.data), x.row_bytes / sizeof(float), x.rows, w.columns,
                             w.columns, y + row_begin, y_stride);
    };
    if (x.rows == 1) {
        tiles(Shape<L::float_stream_rows, 1>{});
    } else {
        tiles(Shape<L::float_tile_rows, L::float_tile_columns>{});
    }
}

/// Decodes a row to float, [columns].
template <typename L>
void decode_row(const quant::TypeInfo& type, const std::byte* row, std::int64_t columns, float* out) {
    const auto widen_as = [&](const auto* values) {
        const std::int64_t whole = columns / lanes * lanes;
        for (std::int64_t k = 0; k < whole; k += lanes)
            L::store(out + k, load<L>(values + k));
        if (whole < columns)
            store_partial<L>(out + whole, load_partial<L>(values + whole, columns - whole), columns - whole);
    };
    if (type.type == quant::TensorType::F32) return widen_as(reinterpret_cast<const float*>(row));
    if (type.type == quant::TensorType::F16) return widen_as(reinterpret_cast<const std::uint16_t*>(row));
    if (type.type == quant::TensorType::BF16) return widen_as(reinterpret_cast<const Bf16*>(row));
    type.to_float(row, out, static_cast<std::size_t>(columns));
}

template <typename L>
void float_matmul(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                  float* y, std::int64_t y_stride, std::byte* scratch) {
    using quant::TensorType;
    const bool few = x.rows <= L::float_tile_columns;  // then a conversion is not used often enough to be kept
    if (few && w.type == TensorType::F32) return float_matmul_in_place<L, float>(w, row_begin, row_end, x, y, y_stride);
    if (few && w.type == TensorType::F16) {
        return float_matmul_in_place<L, std::uint16_t>(w, row_begin, row_end, x, y, y_stride);
    }
    if (few && w.type == TensorType::BF16) return float_matmul_in_place<L, Bf16>(w, row_begin, row_end, x, y, y_stride);

    auto* panel = reinterpret_cast<float*>(scratch);  // [panel_rows][padded columns]
    const std::size_t panel_stride = padded_columns(w.columns);
    const std::int64_t panel_rows = float_panel_rows(w.columns);
    const quant::TypeInfo& type = quant::type_info(w.type);
    for (std::int64_t begin = row_begin; begin < row_end; begin += panel_rows) {
        const std::int64_t rows = row_end - begin < panel_rows ? row_end - begin : panel_rows;
        for (std::int64_t r = 0; r < rows; ++r) {
            decode_row<L>(type, w.data + static_cast<std::size_t>(begin + r) * w.row_bytes, w.columns,
                          panel + static_cast<std::size_t>(r) * panel_stride);
        }
        float_tiles<L, L::float_tile_rows, L::float_tile_columns>(
            panel, panel_stride, rows, reinterpret_cast<const float*>(x.data), x.row_bytes / sizeof(float), x.rows,
            w.columns, float_part_columns, y + begin, y_stride);
    }
}

}  // namespace puna::kernels::algorithms
