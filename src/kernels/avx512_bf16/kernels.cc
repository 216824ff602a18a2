// What avx512 has of its own where the CPU has AVX512-BF16 and GFNI: products with bf16 activations by VDPBF16PS.
//
// VDPBF16PS (Intel SDM, volume 2): each of sixteen lanes takes a pair of values of K, first the odd one and then the
// even one, by FMA; denormals are zeros, in and out. That order is the law `bf16-avx512/1`. A pair is the element of
// the float32 algorithm here: the same tiles, panels and sum of lanes.
#include "base/cpu.h"
#include "kernels/algorithms/float_matmul.h"
#include "kernels/avx512/bf16_lines.h"
#include "kernels/avx512/lanes.h"
#include "kernels/sets.h"

namespace puna::kernels {
namespace {

using algorithms::padded_columns;

/// Two values of K that lie side by side.
struct Bf16Pair {
    std::uint16_t even, odd;
};
static_assert(sizeof(Bf16Pair) == sizeof(float));  // panels of pairs and of floats are as large

template <typename L>
typename L::Pairs load(const Bf16Pair* p) {
    return _mm512_loadu_si512(p);
}

struct Bf16Lanes : Avx512 {
    using Pairs = __m512i;
    static F fma(Pairs a, Pairs b, F sum) {
        return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
    }
};

constexpr std::int64_t few_rows = 16;  // of weights that are decoded together where few rows of activations use them
static_assert(few_rows <= algorithms::tile_rows);  // then a panel for many rows of activations has room for them

/// A row in pairs: whole lines of them.
std::int64_t pairs_of(std::int64_t columns) {
    return lines_for(columns) * (line_elements / 2);
}

std::size_t activation_row_bytes(Activations kind, std::int64_t columns) {
    if (kind != Activations::bf16_lanes) return avx512_table().activation_row_bytes(kind, columns);
    return padded_columns(pairs_of(columns)) * sizeof(Bf16Pair);
}

bool prepare_activations(const ActivationMatrix& to, std::int64_t first_row, std::int64_t rows, const float* x) {
    if (to.kind != Activations::bf16_lanes) return avx512_table().prepare_activations(to, first_row, rows, x);
    std::byte* out = to.data + static_cast<std::size_t>(first_row) * to.row_bytes;
    bool finite = true;
    for (std::int64_t k = 0; k < to.columns; k += line_elements, out += line_bytes) {
        const __m512i values = line_of(x + k, to.columns - k);
        finite = finite && all_finite(values);
        store_line(out, values);
    }
    return finite;
}

template <typename Lines>
void matmul_bf16(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                 float* y, std::int64_t y_stride, std::byte* scratch) {
    const std::int64_t lines = lines_for(w.columns);
    const std::int64_t pairs = pairs_of(w.columns);
    const std::size_t stride = padded_columns(pairs);
    const bool few = x.rows <= Avx512::float_tile_columns;
    const std::int64_t panel_rows = few ? few_rows : algorithms::float_panel_rows(stride * sizeof(Bf16Pair));
    const auto* panel = reinterpret_cast<const Bf16Pair*>(scratch);  // [panel_rows][stride]
    const auto* activations = reinterpret_cast<const Bf16Pair*>(x.data);
    const std::size_t x_stride = x.row_bytes / sizeof(Bf16Pair);
    for (std::int64_t begin = row_begin; begin < row_end; begin += panel_rows) {
        const std::int64_t rows = row_end - begin < panel_rows ? row_end - begin : panel_rows;
        for (std::int64_t r = 0; r < rows; ++r) {
            const std::byte* row = w.data + static_cast<std::size_t>(begin + r) * w.row_bytes;
            std::byte* out = scratch + static_cast<std::size_t>(r) * stride * sizeof(Bf16Pair);
            for (std::int64_t line = 0; line < lines; line += chunk_lines) {
                const std::int64_t left = lines - line;
                decode_lines<Lines>(row, w.columns, line, left < chunk_lines ? left : chunk_lines,
                                    out + static_cast<std::size_t>(line) * line_bytes, line_bytes);
            }
        }
        const auto multiply = [&]<int R, int M>(std::int64_t part) {
            algorithms::float_tiles<Avx512, Bf16Lanes, R, M>(panel, stride, rows, activations, x_stride, x.rows, pairs,
                                                             part, {}, y + begin, y_stride);
        };
        if (x.rows == 1) {
            constexpr int rows_together = 8;  // enough sums to wait for none of them
            multiply.template operator()<rows_together, 1>(pairs);
        } else {
            multiply.template operator()<Avx512::float_tile_rows, Avx512::float_tile_columns>(
                Avx512::float_part_columns);
        }
    }
}

MatmulFn matmul(quant::TensorType type, Activations activations) {
    if (activations != Activations::bf16_lanes) return avx512_table().matmul(type, activations);
    static const bool filled = (fill_line_tables(), true);
    if (!filled) return nullptr;
    return with_lines(type, []<typename Lines>(Lines) -> MatmulFn { return matmul_bf16<Lines>; });
}

std::size_t matmul_scratch_bytes(std::int64_t columns) {
    const std::size_t panel = algorithms::float_panel_bytes(pairs_of(columns));
    const std::size_t others = avx512_table().matmul_scratch_bytes(columns);
    return panel > others ? panel : others;
}

}  // namespace

const KernelTable& avx512_bf16_entries() {
    static constexpr KernelTable entries = {
        .name = "avx512",
        .defaults = Activations::int16,
        .bf16 = Activations::bf16_lanes,
        .matmul_scratch_bytes = matmul_scratch_bytes,
        .matmul = matmul,
        .activation_row_bytes = activation_row_bytes,
        .prepare_activations = prepare_activations,
    };
    return entries;
}

}  // namespace puna::kernels
