// Products with float32 activations: sixteen lanes along K, several rows of weights times several rows of activations
// in registers, so that one row and many give the same bits.
#pragma once

#include <type_traits>

#include "kernels/algorithms/fetch.h"
#include "kernels/algorithms/float_law.h"
#include "kernels/algorithms/panel_cache.h"
#include "kernels/algorithms/tile_decode.h"
#include "kernels/kernel_table.h"
#include "quant/tensor_type.h"

namespace puna::kernels::algorithms {

inline constexpr std::int64_t most_float_panel_rows = 64;
/// From one row of floats to the next: an odd number of cache lines. Rows a power of two apart would share a few sets
/// of the caches, and push each other out of them.
static inline std::size_t padded_columns(std::int64_t columns) {
    const std::int64_t lines = (columns + lanes - 1) / lanes;
    return static_cast<std::size_t>((lines | 1) * lanes);
}

/// Rows of weights, of `row_bytes` each, that stay in cache together, to be reused for all rows of activations.
static inline std::int64_t float_panel_rows(std::size_t row_bytes) {
    return rows_of_panel(row_bytes, tile_rows, most_float_panel_rows, panel_cache_bytes());
}

/// The most that such a panel takes, of a matrix of up to `columns`.
static inline std::size_t float_panel_bytes(std::int64_t columns) {
    return most_panel_bytes(padded_columns(columns) * sizeof(float), tile_rows, most_float_panel_rows,
                            panel_cache_bytes());
}

/// A part of K, [begin, end) of `columns`: begin and, but for the last part, end are multiples of `lanes`.
struct KPart {
    std::int64_t begin;
    std::int64_t end;
    std::int64_t columns;
};

/// What a product fetches of the weights that come next, `ahead` bytes behind those that it multiplies: of every four
/// lines the first `lines`.
struct FetchAhead {
    std::size_t ahead = 0;
    int lines = 0;
};

/// y[m * y_stride + r] = w[r] . x[m], R rows of weights (`w_stride` elements apart) times M of activations. Of the
/// sixteen lanes S holds some in registers at a time, and K is run through for each of them. Lanes are carried from
/// part to part: carry [R][M][lanes]. An element is what a lane takes at a time: a float, or whatever `load` and
/// S::fma make of it.
template <typename L, typename S, int R, int M, typename T, typename X>
void float_tile(const T* w, std::size_t w_stride, const X* x, std::size_t x_stride, KPart part, FetchAhead fetch,
                float* carry, float* y, std::int64_t y_stride) {
    constexpr std::int64_t line_bytes = 64;
    // What is multiplied between two looks at whether it goes on. A single sum has nothing else to do while it waits.
    constexpr std::int64_t stretch = R * M == 1 ? 4 * line_bytes / static_cast<std::int64_t>(sizeof(T)) : lanes;
    const std::int64_t whole = part.end / lanes * lanes;
    T last_w[R][lanes];  // the columns beyond `whole`, and zeros
    X last_x[M][lanes];
    if (whole < part.end) {
        for (int r = 0; r < R; ++r)
            copy_partial(w + static_cast<std::size_t>(r) * w_stride + whole, part.end - whole, last_w[r]);
        for (int m = 0; m < M; ++m)
            copy_partial(x + static_cast<std::size_t>(m) * x_stride + whole, part.end - whole, last_x[m]);
    }
    for (int lane = 0; lane < lanes; lane += S::float_lanes) {
        typename S::F sums[R][M];
        for (int r = 0; r < R; ++r) {
            for (int m = 0; m < M; ++m)
                sums[r][m] = part.begin == 0 ? S::set(0.0F) : S::load(carry + (r * M + m) * lanes + lane);
        }
        const auto accumulate = [&](const T* ws, std::size_t ws_stride, const X* xs, std::size_t xs_stride)
                                    PUNA_INLINE_LAMBDA {
                                        decltype(load<S>(xs)) x_lanes[M];
                                        for (int m = 0; m < M; ++m)
                                            x_lanes[m] = load<S>(xs + static_cast<std::size_t>(m) * xs_stride);
                                        for (int r = 0; r < R; ++r) {
                                            const auto w_lanes = load<S>(ws + static_cast<std::size_t>(r) * ws_stride);
                                            for (int m = 0; m < M; ++m)
                                                sums[r][m] = S::fma(w_lanes, x_lanes[m], sums[r][m]);
                                        }
                                    };
        std::int64_t k = part.begin + lane;
        for (; k + stretch <= whole + lane; k += stretch) {
            for (std::int64_t i = 0; i < stretch; i += lanes) {
                const std::int64_t at = i * static_cast<std::int64_t>(sizeof(T));
                if (lane == 0 && at % line_bytes == 0 && at < fetch.lines * line_bytes) {
                    for (int r = 0; r < R; ++r) {
                        const T* row = w + static_cast<std::size_t>(r) * w_stride + k + i;
                        fetch_line_nearby(reinterpret_cast<const std::byte*>(row) + fetch.ahead);
                    }
                }
                accumulate(w + k + i, w_stride, x + k + i, x_stride);
            }
        }
        for (; k < whole; k += lanes)
            accumulate(w + k, w_stride, x + k, x_stride);
        if (whole < part.end) accumulate(last_w[0] + lane, lanes, last_x[0] + lane, lanes);
        for (int r = 0; r < R; ++r) {
            for (int m = 0; m < M; ++m)
                S::store(carry + (r * M + m) * lanes + lane, sums[r][m]);
        }
    }
    if (part.end < part.columns) return;
    for (int r = 0; r < R; ++r) {
        for (int m = 0; m < M; ++m)
            y[m * y_stride + r] = L::reduce_add(L::load(carry + (r * M + m) * lanes));
    }
}

/// All of `rows` x `x_rows`, in tiles of R x M and what is left over, by parts of K of `part_columns`: as many as there
/// are columns, or, for at most most_float_panel_rows rows, fewer. The first rows of activations fetch.
template <typename L, typename S, int R, int M, typename T, typename X>
void float_tiles(const T* w, std::size_t w_stride, std::int64_t rows, const X* x, std::size_t x_stride,
                 std::int64_t x_rows, std::int64_t columns, std::int64_t part_columns, FetchAhead fetch, float* y,
                 std::int64_t y_stride) {
    alignas(64) float carry[most_float_panel_rows * M * lanes];
    const std::int64_t whole = x_rows / M * M;
    for (std::int64_t m = 0; m < whole; m += M) {
        for (std::int64_t k = 0; k < columns; k += part_columns) {
            const KPart part{k, k + part_columns < columns ? k + part_columns : columns, columns};
            const auto tile = [&]<int Rows>(std::integral_constant<int, Rows>, std::int64_t r) {
                float* carried = part_columns < columns ? carry + r * M * lanes : carry;
                float_tile<L, S, Rows, M>(w + static_cast<std::size_t>(r) * w_stride, w_stride,
                                          x + static_cast<std::size_t>(m) * x_stride, x_stride, part,
                                          m == 0 ? fetch : FetchAhead{}, carried, y + m * y_stride + r, y_stride);
            };
            std::int64_t r = 0;
            for (; r + R <= rows; r += R)
                tile(std::integral_constant<int, R>{}, r);
            for (; r < rows; ++r)
                tile(std::integral_constant<int, 1>{}, r);
        }
    }
    if constexpr (M > 1) {
        if (whole < x_rows) {
            float_tiles<L, S, R, M - 1>(w, w_stride, rows, x + static_cast<std::size_t>(whole) * x_stride, x_stride,
                                        x_rows - whole, columns, part_columns, whole == 0 ? fetch : FetchAhead{},
                                        y + whole * y_stride, y_stride);
        }
    }
}

/// For one row of activations of `row_bytes` bytes. Where these stay in the first-level cache beside the weights that
/// pass, the hardware fetches well, and a line now and then keeps it going at a row's end; where they do not, it loses
/// its way. On Zen 4, two threads, F16, beside a plain loop that read 56 GB/s (in brackets: 33 to 34, when memory was
/// slow), rows of 2,048 columns were read at 53 (34) without fetching, 51 (32) with every line fetched, and 60 (34)
/// with one in four; rows of 5,632 at 33 (29), 48 (33 to 34) and 34 (31).
static inline FetchAhead one_row_fetch(std::size_t row_bytes) {
    constexpr std::size_t near_bytes = std::size_t{8} << 10;
    return row_bytes <= near_bytes ? FetchAhead{4096, 1} : FetchAhead{6144, 4};
}

/// Weights that are read as they lie, and widened as they are multiplied: F32, F16, BF16. The rows that are multiplied
/// together come from memory once, with the first rows of activations, which fetch the next tile beside their own, and
/// from the second-level cache for the others.
template <typename L, typename T>
void float_matmul_in_place(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end,
                           const ActivationMatrix& x, float* y, std::int64_t y_stride) {
    using S = typename L::FloatTile;
    constexpr int most_rows = L::float_tile_rows;
    constexpr int most_columns = L::float_tile_columns;
    const auto rows_at = [&](std::int64_t row) {
        return reinterpret_cast<const T*>(w.data + static_cast<std::size_t>(row) * w.row_bytes);
    };
    const std::size_t w_stride = w.row_bytes / sizeof(T);
    const auto* xs = reinterpret_cast<const float*>(x.data);
    const std::size_t x_stride = x.row_bytes / sizeof(float);
    if (x.rows == 1) {
        // Row by row, as they lie in memory: several at a time, a row apart, read less in every state of memory.
        float_tiles<L, L, 1, 1>(rows_at(row_begin), w_stride, row_end - row_begin, xs, x_stride, 1, w.columns,
                                w.columns, one_row_fetch(x.row_bytes), y + row_begin, y_stride);
        return;
    }
    const std::int64_t part = x.rows <= most_columns ? w.columns : L::float_part_columns;
    const std::int64_t together = float_panel_rows(w.row_bytes);
    for (std::int64_t row = row_begin; row < row_end; row += together) {
        const std::int64_t rows = row_end - row < together ? row_end - row : together;
        float_tiles<L, S, most_rows, most_columns>(rows_at(row), w_stride, rows, xs, x_stride, x.rows, w.columns, part,
                                                   {.ahead = most_rows * w.row_bytes, .lines = 4}, y + row, y_stride);
    }
}

template <typename L>
void float_matmul(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                  float* y, std::int64_t y_stride, std::byte* scratch) {
    using quant::TensorType;
    if (w.type == TensorType::F32) return float_matmul_in_place<L, float>(w, row_begin, row_end, x, y, y_stride);
    if (w.type == TensorType::F16)
        return float_matmul_in_place<L, std::uint16_t>(w, row_begin, row_end, x, y, y_stride);
    if (w.type == TensorType::BF16) return float_matmul_in_place<L, Bf16>(w, row_begin, row_end, x, y, y_stride);

    auto* panel = reinterpret_cast<float*>(scratch);  // [panel_rows][padded columns]
    const std::size_t panel_stride = padded_columns(w.columns);
    const std::int64_t panel_rows = float_panel_rows(panel_stride * sizeof(float));
    const quant::TypeInfo& type = quant::type_info(w.type);
    for (std::int64_t begin = row_begin; begin < row_end; begin += panel_rows) {
        const std::int64_t rows = row_end - begin < panel_rows ? row_end - begin : panel_rows;
        for (std::int64_t r = 0; r < rows; ++r) {
            type.to_float(w.data + static_cast<std::size_t>(begin + r) * w.row_bytes,
                          panel + static_cast<std::size_t>(r) * panel_stride, static_cast<std::size_t>(w.columns));
        }
        float_tiles<L, typename L::FloatTile, L::float_tile_rows, L::float_tile_columns>(
            panel, panel_stride, rows, reinterpret_cast<const float*>(x.data), x.row_bytes / sizeof(float), x.rows,
            w.columns, L::float_part_columns, {}, y + begin, y_stride);
    }
}

}  // namespace puna::kernels::algorithms
