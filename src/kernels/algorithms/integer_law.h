// Integer activations over vector lanes: how a row is prepared, and how one law block of sixteen rows of weights meets
// it. The operations of generic/integer_law.h, in the same order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/algorithms/float_law.h"

namespace puna::kernels::algorithms {

inline constexpr std::int64_t activation_block = 32;

/// What goes with 32 integers: their scale, and the sums of each half (for weights stored with a bias, and for mins).
struct BlockScale {
    float scale;
    std::int32_t sums[2];
};

/// A prepared row is all blocks' integers, laid out as the products P of the set read them, then all blocks' scales.
template <typename P>
struct PreparedRow {
    const std::byte* integers;  // [blocks][P::block_bytes]
    const BlockScale* scales;   // [blocks]

    PreparedRow(const std::byte* row, std::int64_t columns)
        : integers(row),
          scales(reinterpret_cast<const BlockScale*>(row + static_cast<std::size_t>(columns / activation_block) *
                                                               P::block_bytes)) {}
};

template <typename P>
std::size_t prepared_row_bytes(std::int64_t columns) {
    const auto blocks = static_cast<std::size_t>(columns / activation_block);
    return (blocks * (P::block_bytes + sizeof(BlockScale)) + 63) / 64 * 64;
}

/// False if a value is NaN or infinite.
template <typename L, typename P>
bool prepare_integer_row(const float* x, std::int64_t columns, std::byte* row) {
    constexpr float limit = P::limit;
    const std::int64_t blocks = columns / activation_block;
    auto* scales = reinterpret_cast<BlockScale*>(row + static_cast<std::size_t>(blocks) * P::block_bytes);
    for (std::int64_t b = 0; b < blocks; ++b, x += activation_block, row += P::block_bytes) {
        const auto first = L::load(x);
        const auto second = L::load(x + lanes);
        if (!L::all_finite(first) || !L::all_finite(second)) return false;
        const float amax = L::reduce_max(L::max(L::abs(first), L::abs(second)));
        const bool tiny = amax < 0x1p-100F;
        const auto inverse = L::set(tiny ? 0.0F : limit / amax);
        const auto quantize = [&](typename L::F v) {
            const auto rounded = L::round(L::mul(v, inverse));
            return L::to_int(L::max(L::min(rounded, L::set(limit)), L::set(-limit)));
        };
        std::int32_t q[activation_block];
        L::store_int(q, quantize(first));
        L::store_int(q + lanes, quantize(second));
        std::int32_t sums[2] = {0, 0};
        for (std::int64_t i = 0; i < lanes; ++i) {
            sums[0] += q[i];
            sums[1] += q[i + lanes];
        }
        scales[b] = {tiny ? 0.0F : amax / limit, {sums[0], sums[1]}};
        P::pack(q, row);
    }
    return true;
}

/// acc += one law block: `width` weights (quads hold q + bias) of sixteen rows times activations that begin at `half`
/// of a block of 32 (law blocks of 16 come in pairs).
template <typename L, typename P, int Width, bool HasMin>
typename L::F accumulate_block(typename L::F acc, const typename L::Q* quads, typename L::F scale,
                               typename L::F negative_min, std::int32_t bias, const std::byte* integers,
                               const BlockScale& block, int half) {
    const std::int32_t activation_sum = Width == 32 ? block.sums[0] + block.sums[1] : block.sums[half];
    auto sum = P::start(-bias * activation_sum);
    for (int j = 0; j < Width / 4; ++j)
        P::multiply(sum, quads[j], integers, 4 * half + j);
    const auto da = L::set(block.scale);
    acc = L::fma(L::to_float(P::total(sum)), L::mul(scale, da), acc);
    if constexpr (HasMin) {
        acc = L::fma(L::set(static_cast<float>(activation_sum)), L::mul(negative_min, da), acc);
    }
    return acc;
}

}  // namespace puna::kernels::algorithms
