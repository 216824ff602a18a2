// The shell of the amx set: bf16 products, and integer products of many rows, by tiles; all else is avx512's.
#include <algorithm>

#include "base/cpu.h"
#include "kernels/algorithms/attention.h"
#include "kernels/algorithms/decoders.h"
#include "kernels/algorithms/panel_cache.h"
#include "kernels/amx/bf16_tiles.h"
#include "kernels/amx/integer_tiles.h"
#include "kernels/sets.h"
#include "quant/tensor_type.h"

namespace puna::kernels {
namespace {

std::size_t panel_cache_bytes() {
    static const std::size_t bytes = static_cast<std::size_t>(base::cache_sizes().l2 / 10 * 7);
    return bytes;
}

template <typename T>
void matmul_bf16(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                 float* y, std::int64_t y_stride, std::byte* scratch) {
    const auto multiply = x.rows <= tile_side ? multiply_few<T> : multiply_many<T>;
    multiply(w, row_begin, row_end, x, y, y_stride, scratch);
}

MatmulFn find_matmul_bf16(quant::TensorType type) {
    return with_lines(type, []<typename Lines>(Lines) -> MatmulFn { return matmul_bf16<Lines>; });
}

template <int Planes, typename Type>
void matmul_integer(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                    float* y, std::int64_t y_stride, std::byte* scratch) {
    const MatmulFn multiply =
        x.rows <= amx_vector_rows ? avx512_table().matmul(w.type, x.kind) : multiply_integer_panels<Planes, Type>;
    multiply(w, row_begin, row_end, x, y, y_stride, scratch);
}

template <int Planes>
MatmulFn find_matmul_integer(quant::TensorType type) {
    return algorithms::with_decoder(type, []<typename Type>(Type) -> MatmulFn { return matmul_integer<Planes, Type>; });
}

MatmulFn matmul(quant::TensorType type, Activations activations) {
    if (activations == Activations::bf16_tiles) {
        static const bool filled = (fill_line_tables(), true);
        return filled ? find_matmul_bf16(type) : nullptr;
    }
    MatmulFn tiles = nullptr;
    if (activations == Activations::int16) tiles = find_matmul_integer<2>(type);
    if (activations == Activations::int8) tiles = find_matmul_integer<1>(type);
    return tiles != nullptr ? tiles : avx512_table().matmul(type, activations);
}

std::int64_t activation_group(Activations kind) {
    return kind == Activations::bf16_tiles ? tile_side : 1;
}

std::size_t activation_row_bytes(Activations kind, std::int64_t columns) {
    if (kind != Activations::bf16_tiles) return avx512_table().activation_row_bytes(kind, columns);
    return static_cast<std::size_t>(lines_for(columns)) * line_bytes;
}

bool prepare_activations(const ActivationMatrix& to, std::int64_t first_row, std::int64_t rows, const float* x) {
    if (to.kind != Activations::bf16_tiles) {
        return avx512_table().prepare_activations(to, first_row, rows, x);
    }
    return pack_rows(to, first_row, rows, x);
}

std::size_t matmul_scratch_bytes(std::int64_t columns) {
    const std::size_t row = static_cast<std::size_t>(lines_for(columns)) * line_bytes;
    const std::size_t panel = algorithms::most_panel_bytes(row, pair_rows, most_panel_rows, panel_cache_bytes());
    return std::max({avx512_table().matmul_scratch_bytes(columns), panel, 2 * chunk_bytes});
}

/// The lanes of CPUs with AMX.
struct Lanes : Avx512 {
    static constexpr bool converts_beside_products = false;
};

}  // namespace

const KernelTable& amx_entries() {
    static constexpr KernelTable entries = {
        .name = "amx",
        .defaults = Activations::int16,
        .bf16 = Activations::bf16_tiles,
        .matmul_scratch_bytes = matmul_scratch_bytes,
        .matmul = matmul,
        .activation_group = activation_group,
        .activation_row_bytes = activation_row_bytes,
        .prepare_activations = prepare_activations,
        .attend = algorithms::attend<Lanes>,
    };
    return entries;
}

}  // namespace puna::kernels
