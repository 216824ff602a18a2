// A kernel set from a set's primitives L: the one place where algorithms become a KernelTable.
#pragma once

#include "kernels/algorithms/attention.h"
#include "kernels/algorithms/decoders.h"
#include "kernels/algorithms/float_law.h"
#include "kernels/algorithms/float_matmul.h"
#include "kernels/algorithms/integer_matmul.h"
#include "kernels/kernel_table.h"

namespace puna::kernels::algorithms {

template <typename L>
std::size_t matmul_scratch_bytes(std::int64_t columns) {
    const std::size_t row = padded_columns(columns) * sizeof(float);
    const std::size_t floats = float_panel_bytes(columns);
    // Integer products: a panel, and the rows of a partial tile, which take less than one float a weight.
    const std::size_t integers = panel_bytes<L>(columns) + static_cast<std::size_t>(tile_rows) * row;
    return ((floats > integers ? floats : integers) + 63) / 64 * 64;
}

/// The integer product of a type; Product and FewProduct are the set's for the width of the activations.
template <typename L, template <int> typename Product, template <int> typename FewProduct>
MatmulFn find_integer_matmul(quant::TensorType type) {
    return with_decoder(type, []<typename Type>(Type) -> MatmulFn {
        constexpr int range = L::product_range(Type::bits);
        return integer_matmul<L, Product<range>, FewProduct<range>, Type>;
    });
}

template <typename L>
MatmulFn matmul(quant::TensorType type, Activations activations) {
    const quant::TypeInfo& info = quant::type_info(type);
    if (!info.computes()) return nullptr;
    if (activations == Activations::bf16_tiles || activations == Activations::bf16_lanes) return nullptr;
    if (activations == Activations::float32 || info.law_width == 0) return float_matmul<L>;
    using Few = typename L::Few;
    if (activations == Activations::int16) {
        return find_integer_matmul<L, L::template Int16, Few::template Int16>(type);
    }
    return find_integer_matmul<L, L::template Int8, Few::template Int8>(type);
}

static inline std::int64_t activation_group(Activations) {
    return 1;
}

template <typename L>
std::size_t activation_row_bytes(Activations kind, std::int64_t columns) {
    switch (kind) {
        case Activations::int16: return prepared_row_bytes<typename L::template Int16<8>>(columns);
        case Activations::int8: return prepared_row_bytes<typename L::template Int8<8>>(columns);
        default: return padded_columns(columns) * sizeof(float);
    }
}

template <typename L>
bool prepare_activations(const ActivationMatrix& to, std::int64_t first_row, std::int64_t, const float* x) {
    std::byte* row = to.data + static_cast<std::size_t>(first_row) * to.row_bytes;
    switch (to.kind) {
        case Activations::int16: return prepare_integer_row<L, typename L::template Int16<8>>(x, to.columns, row);
        case Activations::int8: return prepare_integer_row<L, typename L::template Int8<8>>(x, to.columns, row);
        default: __builtin_memcpy(row, x, static_cast<std::size_t>(to.columns) * sizeof(float)); return true;
    }
}

template <typename L>
constexpr KernelTable make_table(std::string_view name) {
    return {
        .name = name,
        .defaults = Activations::int16,
        .bf16 = Activations::float32,
        .matmul_scratch_bytes = matmul_scratch_bytes<L>,
        .matmul = matmul<L>,
        .activation_group = activation_group,
        .activation_row_bytes = activation_row_bytes<L>,
        .prepare_activations = prepare_activations<L>,
        .rms_norm = rms_norm<L>,
        .silu_multiply = silu_multiply<L>,
        .add = add<L>,
        .rope = rope<L>,
        .kv_block_bytes = kv_block_bytes,
        .kv_write = kv_write<L>,
        .kv_read = kv_read<L>,
        .attend = attend<L>,
        .attention_merge = attention_merge<L>,
        .attention_finish = attention_finish<L>,
    };
}

}  // namespace puna::kernels::algorithms
