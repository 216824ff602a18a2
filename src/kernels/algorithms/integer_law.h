// Integer activations over vector lanes: how a row is prepared, and how one law block of sixteen rows of weights meets
// it. The operations of generic/integer_law.h, in the same order.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/algorithms/float_law.h"
#include "kernels/algorithms/inline.h"

namespace puna::kernels::algorithms {

inline constexpr std::int64_t activation_block = 32;

/// What goes with 32 integers: their scale, and the sums of each half (for weights stored with a bias, and for mins).
struct BlockScale {
    float scale;
    std::int32_t sums[2];
};

/// What a block of integers takes in their second layout, if P has one: lines that the products of many rows stream
/// past have no room for it.
template <typename P>
constexpr std::size_t plane_bytes() {
    if constexpr (requires { P::plane_bytes; }) return P::plane_bytes;
    return 0;
}

/// A prepared row is all blocks' integers, laid out as the products P of the set read them, then all blocks' scales,
/// then the integers once more as planes.
template <typename P>
struct PreparedRow {
    const std::byte* integers;  // [blocks][P::block_bytes]
    const BlockScale* scales;   // [blocks]
    const std::byte* planes;    // [blocks][plane_bytes]

    PreparedRow(const std::byte* row, std::int64_t columns)
        : integers(row),
          scales(reinterpret_cast<const BlockScale*>(row + static_cast<std::size_t>(columns / activation_block) *
                                                               P::block_bytes)),
          planes(reinterpret_cast<const std::byte*>(scales + columns / activation_block)) {}
};

template <typename P>
std::size_t prepared_row_bytes(std::int64_t columns) {
    const auto blocks = static_cast<std::size_t>(columns / activation_block);
    return (blocks * (P::block_bytes + sizeof(BlockScale) + plane_bytes<P>()) + 63) / 64 * 64;
}

/// False if a value is NaN or infinite; the row is undefined then.
template <typename L, typename P>
bool prepare_integer_row(const float* x, std::int64_t columns, std::byte* row) {
    constexpr float limit = P::limit;
    const std::int64_t blocks = columns / activation_block;
    auto* scales = reinterpret_cast<BlockScale*>(row + static_cast<std::size_t>(blocks) * P::block_bytes);
    auto* planes = reinterpret_cast<std::byte*>(scales + blocks);
    auto largest = L::set_int(0);  // magnitudes order as their bits do, with infinity and NaN at the end
    // All scales of a few blocks first: one block's operations wait for each other, those of several need not.
    constexpr std::int64_t together = 16;
    for (std::int64_t begin = 0; begin < blocks; begin += together) {
        const std::int64_t end = begin + together < blocks ? begin + together : blocks;
        float inverses[together];
        for (std::int64_t b = begin; b < end; ++b) {
            const auto first = L::load(x + b * activation_block);
            const auto second = L::load(x + b * activation_block + lanes);
            const auto top = L::max_int(L::bits_of(L::abs(first)), L::bits_of(L::abs(second)));
            largest = L::max_int(largest, top);
            const float amax = L::reduce_max(L::float_from_bits(top));
            const bool tiny = amax < 0x1p-100F;
            scales[b].scale = tiny ? 0.0F : amax / limit;
            inverses[b - begin] = tiny ? 0.0F : limit / amax;
        }
        for (std::int64_t b = begin; b < end; ++b) {
            const auto inverse = L::set(inverses[b - begin]);
            // Two roundings take |x| inverse beyond the limit by less than a half, so that rounding it cuts it off.
            const auto first = L::to_int(L::mul(L::load(x + b * activation_block), inverse));
            const auto second = L::to_int(L::mul(L::load(x + b * activation_block + lanes), inverse));
            scales[b].sums[0] = L::reduce_add_int(first);
            scales[b].sums[1] = L::reduce_add_int(second);
            alignas(64) std::int32_t q[activation_block];
            L::store_int(q, first);
            L::store_int(q + lanes, second);
            const auto at = static_cast<std::size_t>(b);
            P::pack(q, row + at * P::block_bytes);
            if constexpr (plane_bytes<P>() > 0) P::pack_planes(q, planes + at * P::plane_bytes);
        }
    }
    return L::all_finite(L::float_from_bits(largest));
}

/// M rows of activations; of a last, partial group the last row stands in for those that are missing.
template <typename P, int M>
struct ActivationRows {
    const std::byte* integers[M];
    const BlockScale* scales[M];

    ActivationRows(const ActivationMatrix& x, std::int64_t first) {
        for (int m = 0; m < M; ++m) {
            const std::int64_t index = first + m < x.rows ? first + m : x.rows - 1;
            const PreparedRow<P> row(x.data + static_cast<std::size_t>(index) * x.row_bytes, x.columns);
            integers[m] = row.integers;
            scales[m] = row.scales;
        }
    }
};

/// acc += a law block's integer sums, and its min: the law's last operations. `da`: the scale of the activations.
template <typename L, bool HasMin>
PUNA_INLINE void accumulate_sums(typename L::F& acc, typename L::I sums, typename L::F activation_sum,
                                 typename L::F scale, typename L::F negative_min, typename L::F da) {
    acc = L::fma(L::to_float(sums), L::mul(scale, da), acc);
    if constexpr (HasMin) acc = L::fma(activation_sum, L::mul(negative_min, da), acc);
}

/// acc[m] += one law block: `Width` weights of a tile's rows (`quad_at(j)` holds q + bias) times M rows of activations
/// at block `b` of 32, of which law blocks of 16 take one `half` each.
template <typename L, typename P, int Width, bool HasMin, int M, typename QuadAt>
PUNA_INLINE void accumulate_block(typename L::F (&acc)[M], const QuadAt& quad_at, typename L::F scale,
                                  typename L::F negative_min, std::int32_t bias, const ActivationRows<P, M>& x,
                                  std::int64_t b, int half) {
    std::int32_t activation_sums[M];
    typename P::Sum sums[M];
    for (int m = 0; m < M; ++m) {
        const BlockScale& block = x.scales[m][b];
        activation_sums[m] = Width == 32 ? block.sums[0] + block.sums[1] : block.sums[half];
        sums[m] = P::start(-bias * activation_sums[m]);
    }
    const std::size_t at = static_cast<std::size_t>(b) * P::block_bytes;
#pragma GCC unroll 8
    for (int j = 0; j < Width / 4; ++j) {
        const auto quad = quad_at(j);
        for (int m = 0; m < M; ++m)
            P::multiply(sums[m], quad, x.integers[m] + at, 4 * half + j);
    }
    for (int m = 0; m < M; ++m) {
        accumulate_sums<L, HasMin>(acc[m], P::total(sums[m]), L::set(static_cast<float>(activation_sums[m])), scale,
                                   negative_min, L::set(x.scales[m][b].scale));
    }
}

/// The same of a law block of 32 and one row of activations, where rows lie across the lanes.
template <typename L, typename P, bool HasMin>
PUNA_INLINE void accumulate_across(typename L::F& acc, const typename L::Q* quads, typename L::F scale,
                                   typename L::F negative_min, std::int32_t bias, const PreparedRow<P>& x,
                                   std::int64_t b) {
    const BlockScale& block = x.scales[b];
    const std::int32_t activation_sum = block.sums[0] + block.sums[1];
    const auto products = P::across(quads, x, static_cast<std::size_t>(b));
    accumulate_sums<L, HasMin>(acc, L::add_int(products, L::set_int(-bias * activation_sum)),
                               L::set(static_cast<float>(activation_sum)), scale, negative_min, L::set(block.scale));
}

}  // namespace puna::kernels::algorithms
