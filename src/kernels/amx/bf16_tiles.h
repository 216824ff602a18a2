// Weights times bf16 activations by AMX tiles (the law bf16-amx/1).
//
// Weights are the left operand: a row of a tile is a line of 32 consecutive weights, in the file's own order, so that
// decoding needs no transposition. Activations are the right one, [pair along K][row]: packed once for every sixteen
// rows (`pack_rows`), and a lone row is such a tile as it lies.
//
// For the shell of this folder only, which defines `panel_cache_bytes`.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/algorithms/fetch.h"
#include "kernels/algorithms/panel_cache.h"
#include "kernels/amx/tiles.h"
#include "kernels/avx512/bf16_lines.h"
#include "kernels/avx512/transpose.h"
#include "kernels/kernel_table.h"

namespace puna::kernels {
namespace {

std::size_t panel_cache_bytes();

inline constexpr std::int64_t part_lines = 8;
inline constexpr std::int64_t most_panel_rows = 256;
inline constexpr std::int64_t pair_rows = 2 * tile_side;  // rows of weights that share a reading of the activations

/// Rows of weights of a panel.
inline std::int64_t panel_rows_for(std::int64_t columns) {
    const auto row = static_cast<std::size_t>(lines_for(columns)) * line_bytes;
    return algorithms::rows_of_panel(row, pair_rows, most_panel_rows, panel_cache_bytes());
}

/// Scratch of `multiply_few`: two chunks of the lines of two tiles.
inline constexpr std::size_t chunk_bytes = 2 * chunk_lines * tile_bytes;

// --- activations ----------------------------------------------------------------------------------------------------

/// The activations of up to sixteen rows as tiles, one for each 32 of K.
struct PackedRows {
    const std::byte* tiles;
    std::int64_t columns;  // of the tile configuration: 1 for a lone row
    long row_stride;
    std::size_t tile_stride;

    PackedRows(const ActivationMatrix& x, std::int64_t group)
        : tiles(x.data + static_cast<std::size_t>(group * tile_side) * x.row_bytes),
          columns(x.rows == 1 ? 1 : tile_side),
          row_stride(x.rows == 1 ? 4 : 64),
          tile_stride(x.rows == 1 ? line_bytes : tile_bytes) {}
    const std::byte* tile(std::int64_t line) const { return tiles + static_cast<std::size_t>(line) * tile_stride; }
};

/// Packs one group of rows of `to`, x: [rows][to.columns]. False if a value is not finite in bf16.
inline bool pack_rows(const ActivationMatrix& to, std::int64_t first_row, std::int64_t rows, const float* x) {
    const std::int64_t lines = lines_for(to.columns);
    std::byte* out = to.data + static_cast<std::size_t>(first_row) * to.row_bytes;
    bool finite = true;
    for (std::int64_t line = 0; line < lines; ++line) {
        const std::int64_t k = line * line_elements;
        __m512 vectors[tile_side] = {};
        for (std::int64_t r = 0; r < rows; ++r) {
            const __m512i values = line_of(x + r * to.columns + k, to.columns - k);
            finite = finite && all_finite(values);
            vectors[r] = _mm512_castsi512_ps(values);
        }
        if (to.rows == 1) {
            _mm512_store_ps(out + static_cast<std::size_t>(line) * line_bytes, vectors[0]);
            continue;
        }
        transpose(vectors);
        for (std::size_t i = 0; i < tile_side; ++i)
            _mm512_store_ps(out + static_cast<std::size_t>(line) * tile_bytes + i * line_bytes, vectors[i]);
    }
    return finite;
}

// --- products -------------------------------------------------------------------------------------------------------

/// Stores an accumulator [16 rows of weights][16 rows of activations] as y[m][r], as far as there are rows.
PUNA_INLINE void store_outputs(const float* accumulator, std::int64_t weight_rows, std::int64_t activation_rows,
                               float* y, std::int64_t y_stride) {
    __m512 vectors[tile_side];
    for (int i = 0; i < tile_side; ++i)
        vectors[i] = _mm512_load_ps(accumulator + i * tile_side);
    transpose(vectors);
    const auto mask = static_cast<__mmask16>(weight_rows >= tile_side ? 0xffffU : (1U << weight_rows) - 1U);
    for (std::int64_t m = 0; m < activation_rows; ++m)
        _mm512_mask_storeu_ps(y + m * y_stride, mask, vectors[m]);
}

/// Up to sixteen rows of activations: decoding bounds it, then memory. While the lines of one chunk of K are decoded,
/// the tiles of the chunk before are multiplied, one product for every two rows: their stores have reached the cache,
/// and products and decoding overlap.
template <typename T>
void multiply_few(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                  float* y, std::int64_t y_stride, std::byte* scratch) {
    const std::int64_t lines = lines_for(w.columns);
    const std::int64_t chunks = (lines + chunk_lines - 1) / chunk_lines;
    const std::int64_t steps = (row_end - row_begin + pair_rows - 1) / pair_rows * chunks;
    const PackedRows rows(x, 0);
    const Tiles tiles{TileConfiguration(rows.columns)};
    _tile_zero(0);
    _tile_zero(1);
    alignas(64) float sums[tile_side * tile_side];
    const auto store = [&](std::int64_t first) {
        order_memory();
        if (first >= row_end) return;
        if (rows.columns == tile_side) {
            store_outputs(sums, row_end - first, x.rows, y + first, y_stride);
        } else {
            __builtin_memcpy(y + first, sums, static_cast<std::size_t>(least(row_end - first, tile_side)) * 4);
        }
    };
    // The next pair of tiles lies behind this one: an even share of it is fetched with every row of a chunk.
    const std::size_t pair_bytes = static_cast<std::size_t>(pair_rows) * w.row_bytes;
    const std::size_t share = w.row_bytes / static_cast<std::size_t>(chunks) + 1;

    for (std::int64_t step = 0; step <= steps; ++step) {
        const std::int64_t chunk = step % chunks;
        const std::int64_t first_row = row_begin + step / chunks * pair_rows;
        const std::int64_t rows_here = step == steps ? 0 : least(row_end - first_row, pair_rows);
        const std::byte* weights = w.data + static_cast<std::size_t>(first_row) * w.row_bytes;
        const std::byte* ahead = weights + pair_bytes + static_cast<std::size_t>(chunk * pair_rows) * share;
        std::byte* decoded = scratch + static_cast<std::size_t>(step % 2) * chunk_bytes;
        const std::byte* ready = scratch + static_cast<std::size_t>((step + 1) % 2) * chunk_bytes;
        const std::int64_t ready_chunk = (step + chunks - 1) % chunks;
        const std::int64_t ready_lines = step == 0 ? 0 : least(lines - ready_chunk * chunk_lines, chunk_lines);
        for (std::int64_t i = 0; i < tile_side; ++i) {
            for (std::int64_t r = 2 * i; r < least(2 * i + 2, rows_here); ++r) {
                decode_lines<T>(weights + static_cast<std::size_t>(r) * w.row_bytes, w.columns, chunk * chunk_lines,
                                least(lines - chunk * chunk_lines, chunk_lines),
                                decoded + static_cast<std::size_t>(r / tile_side * chunk_lines) * tile_bytes +
                                    static_cast<std::size_t>(r % tile_side) * line_bytes,
                                tile_bytes);
                algorithms::fetch(ahead, share, /*near=*/false);
                ahead += share;
            }
            const std::int64_t line = i / 2;
            if (line >= ready_lines) continue;
            order_memory();
            const std::byte* tile = ready + static_cast<std::size_t>(line) * tile_bytes;
            if (i % 2 == 0) {
                _tile_loadd(6, rows.tile(ready_chunk * chunk_lines + line), rows.row_stride);
                _tile_loadd(4, tile, 64);
                _tile_dpbf16ps(0, 4, 6);
            } else {
                _tile_loadd(5, tile + chunk_lines * tile_bytes, 64);
                _tile_dpbf16ps(1, 5, 6);
            }
        }
        if (step > 0 && ready_chunk == chunks - 1) {
            const std::int64_t first = row_begin + (step - 1) / chunks * pair_rows;
            _tile_stored(0, sums, 4 * rows.columns);
            store(first);
            _tile_stored(1, sums, 4 * rows.columns);
            store(first + tile_side);
            _tile_zero(0);
            _tile_zero(1);
        }
    }
}

/// Lines [begin, end) of two tiles' rows of a panel (tiles [2][lines]) times those of two groups of activations, added
/// to their sums: sums[i] has the weights of tile i % 2 and group i / 2.
PUNA_INLINE void multiply_tiles(const std::byte* panel, std::int64_t lines, std::int64_t begin, std::int64_t end,
                                const PackedRows& a, const PackedRows& b, float (*sums)[tile_side * tile_side]) {
    const std::byte* second = panel + static_cast<std::size_t>(lines) * tile_bytes;
    order_memory();
    if (begin == 0) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
    } else {
        _tile_loadd(0, sums[0], 64);
        _tile_loadd(1, sums[1], 64);
        _tile_loadd(2, sums[2], 64);
        _tile_loadd(3, sums[3], 64);
    }
    for (std::int64_t line = begin; line < end; ++line) {
        const std::size_t at = static_cast<std::size_t>(line) * tile_bytes;
        _tile_loadd(4, panel + at, 64);
        _tile_loadd(6, a.tiles + at, 64);
        _tile_dpbf16ps(0, 4, 6);
        _tile_loadd(5, second + at, 64);
        _tile_dpbf16ps(1, 5, 6);
        _tile_loadd(7, b.tiles + at, 64);
        _tile_dpbf16ps(2, 4, 7);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, sums[0], 64);
    _tile_stored(1, sums[1], 64);
    _tile_stored(2, sums[2], 64);
    _tile_stored(3, sums[3], 64);
    order_memory();
}

/// Many rows of activations: a panel of weights is decoded once and meets all of them.
template <typename T>
void multiply_many(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                   float* y, std::int64_t y_stride, std::byte* scratch) {
    const std::int64_t lines = lines_for(w.columns);
    const std::int64_t groups = (x.rows + tile_side - 1) / tile_side;
    const std::int64_t panel_rows = panel_rows_for(w.columns);
    const Tiles tiles{TileConfiguration(tile_side)};
    alignas(64) float sums[most_panel_rows / pair_rows][4][tile_side * tile_side];
    for (std::int64_t panel = row_begin; panel < row_end; panel += panel_rows) {
        const std::int64_t rows_here = least(row_end - panel, panel_rows);
        for (std::int64_t r = 0; r < rows_here; ++r) {
            const std::byte* row = w.data + static_cast<std::size_t>(panel + r) * w.row_bytes;
            std::byte* out = scratch + static_cast<std::size_t>(r / tile_side * lines) * tile_bytes +
                             static_cast<std::size_t>(r % tile_side) * line_bytes;
            for (std::int64_t line = 0; line < lines; line += chunk_lines) {
                decode_lines<T>(row, w.columns, line, least(lines - line, chunk_lines),
                                out + static_cast<std::size_t>(line) * tile_bytes, tile_bytes);
            }
        }
        const std::int64_t pairs = (rows_here + pair_rows - 1) / pair_rows;
        const std::size_t share = part_lines * tile_bytes / static_cast<std::size_t>(pairs);
        for (std::int64_t g = 0; g < groups; g += 2) {
            const PackedRows a(x, g);
            const PackedRows b(x, least(g + 1, groups - 1));
            // A part of the activations stays in the first-level cache for the whole panel; with each pair of tiles, an
            // even share of the next part is fetched.
            for (std::int64_t part = 0; part < lines; part += part_lines) {
                for (std::int64_t pair = 0; pair < pairs; ++pair) {
                    const std::size_t at = static_cast<std::size_t>(pair) * share;
                    algorithms::fetch(a.tile(part + part_lines) + at, share, /*near=*/false);
                    algorithms::fetch(b.tile(part + part_lines) + at, share, /*near=*/false);
                    multiply_tiles(scratch + static_cast<std::size_t>(2 * pair * lines) * tile_bytes, lines, part,
                                   least(part + part_lines, lines), a, b, sums[pair]);
                }
            }
            for (std::int64_t r = 0; r < rows_here; r += tile_side) {
                for (std::int64_t i = g; i < least(g + 2, groups); ++i) {
                    const std::int64_t row = i * tile_side;
                    store_outputs(sums[r / pair_rows][(i - g) * 2 + r / tile_side % 2], rows_here - r,
                                  least(x.rows - row, tile_side), y + row * y_stride + panel + r, y_stride);
                }
            }
        }
    }
}

}  // namespace
}  // namespace puna::kernels
