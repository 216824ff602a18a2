// Attention over vector lanes; generic/kernels.cc is its definition.
//
// A block holds, per KV head, K as [head_dim][32]: a vector is sixteen positions of one dimension. So a score's sixteen
// lanes of the law are sixteen accumulators, each a vector over positions, and no sum is taken across lanes. V follows
// as [32][head_dim].
#pragma once

#include "kernels/algorithms/float_law.h"
#include "kernels/kernel_table.h"
#include "quant/half.h"

namespace puna::kernels::algorithms {

inline constexpr int most_rows = 4;  // query rows that share one reading of K and V

static inline std::size_t kv_head_elements(const KvShape& shape) {
    return static_cast<std::size_t>(2 * shape.head_dim * kv_block_positions);
}

static inline std::size_t kv_block_bytes(const KvShape& shape) {
    return static_cast<std::size_t>(shape.kv_heads) * kv_head_elements(shape) * (shape.type == KvType::f16 ? 2 : 4);
}

static inline void narrow(float value, float& out) {
    out = value;
}
static inline void narrow(float value, std::uint16_t& out) {
    out = quant::f32_to_f16(value);
}
static inline float widen(float value) {
    return value;
}
static inline float widen(std::uint16_t value) {
    return quant::f16_to_f32(value);
}

/// Calls `body(K of head h, V of head h, h)` for each KV head, with pointers of the block's element type.
template <typename T, typename Body>
void for_heads(const KvShape& shape, std::byte* block, const Body& body) {
    auto* k = reinterpret_cast<T*>(block);
    for (std::int64_t h = 0; h < shape.kv_heads; ++h, k += kv_head_elements(shape)) {
        body(k, k + shape.head_dim * kv_block_positions, h);
    }
}

template <typename L, typename T>
void kv_write_as(const KvShape& shape, std::byte* block, std::int64_t slot, const float* k, const float* v) {
    for_heads<T>(shape, block, [&](T* ks, T* vs, std::int64_t h) {
        for (std::int64_t d = 0; d < shape.head_dim; ++d) {
            narrow(k[h * shape.head_dim + d], ks[d * kv_block_positions + slot]);
            narrow(v[h * shape.head_dim + d], vs[slot * shape.head_dim + d]);
        }
    });
}

template <typename L, typename T>
void kv_read_as(const KvShape& shape, const std::byte* block, std::int64_t slot, float* k, float* v) {
    for_heads<T>(shape, const_cast<std::byte*>(block), [&](const T* ks, const T* vs, std::int64_t h) {
        for (std::int64_t d = 0; d < shape.head_dim; ++d) {
            k[h * shape.head_dim + d] = widen(ks[d * kv_block_positions + slot]);
            v[h * shape.head_dim + d] = widen(vs[slot * shape.head_dim + d]);
        }
    });
}

template <typename L>
void kv_write(const KvShape& shape, std::byte* block, std::int64_t slot, const float* k, const float* v) {
    const auto write = shape.type == KvType::f16 ? kv_write_as<L, std::uint16_t> : kv_write_as<L, float>;
    write(shape, block, slot, k, v);
}

template <typename L>
void kv_read(const KvShape& shape, const std::byte* block, std::int64_t slot, float* k, float* v) {
    const auto read = shape.type == KvType::f16 ? kv_read_as<L, std::uint16_t> : kv_read_as<L, float>;
    read(shape, block, slot, k, v);
}

/// One vector for each of G query rows.
template <typename L, int G>
struct Rows {
    typename L::F at[G];
};

/// Lanes `first`, `first + Step`, ... of the law, for sixteen positions and G rows: the tree (i, i + 8), (i, i + 4),
/// (i, i + 2), (i, i + 1), depth first so that few accumulators live at once.
template <typename L, int G, int Step, typename T>
Rows<L, G> score_lanes(const T* k, const float* const* queries, std::int64_t dim, std::int64_t first) {
    Rows<L, G> sum;
    if constexpr (Step == lanes) {
        for (int g = 0; g < G; ++g)
            sum.at[g] = L::set(0.0F);
        std::int64_t d = first;
        for (; d < dim; d += lanes) {
            const auto keys = load<L>(k + d * kv_block_positions);
            for (int g = 0; g < G; ++g)
                sum.at[g] = L::fma(L::set(queries[g][d]), keys, sum.at[g]);
        }
        if (d < (dim + lanes - 1) / lanes * lanes) {  // the zeros that fill a row's last sixteen
            for (int g = 0; g < G; ++g)
                sum.at[g] = L::fma(L::set(0.0F), L::set(0.0F), sum.at[g]);
        }
    } else {
        sum = score_lanes<L, G, Step * 2>(k, queries, dim, first);
        const Rows<L, G> other = score_lanes<L, G, Step * 2>(k, queries, dim, first + Step);
        for (int g = 0; g < G; ++g)
            sum.at[g] = L::add(sum.at[g], other.at[g]);
    }
    return sum;
}

/// G rows over one block of which `valid` positions count; k: [dim][32], v: [32][dim].
template <typename L, int G, typename T>
void attend_rows(const AttentionTask& task, const T* k, const T* v, std::int64_t row, std::int64_t valid) {
    const std::int64_t dim = task.shape.head_dim;
    const auto scale = L::set(task.scale);
    const auto masked = L::set(-__builtin_inff());
    float p[G][kv_block_positions];
    float decay[G];
    const auto low = score_lanes<L, G, 1>(k, task.queries + row, dim, 0);
    const auto high = score_lanes<L, G, 1>(k + lanes, task.queries + row, dim, 0);
    for (int g = 0; g < G; ++g) {
        const auto first = L::replace_from(static_cast<int>(valid), masked, L::mul(low.at[g], scale));
        const auto second = L::replace_from(static_cast<int>(valid) - 16, masked, L::mul(high.at[g], scale));
        const float old = task.maxima[row + g];
        const float top = L::reduce_max(L::max(first, second));
        const float m = top > old ? top : old;
        const auto p1 = exponential<L>(L::sub(first, L::set(m)));
        const auto p2 = exponential<L>(L::sub(second, L::set(m)));
        L::store(p[g], p1);
        L::store(p[g] + lanes, p2);
        decay[g] = exponential_of<L>(old - m);
        task.sums[row + g] = __builtin_fmaf(task.sums[row + g], decay[g], L::reduce_add(L::add(p1, p2)));
        task.maxima[row + g] = m;
    }
    const auto weigh = [&](std::int64_t d, std::int64_t count) {
        Rows<L, G> o;
        for (int g = 0; g < G; ++g) {
            const float* out = task.outputs + (row + g) * dim + d;
            o.at[g] = L::mul(count == lanes ? L::load(out) : load_partial<L>(out, count), L::set(decay[g]));
        }
        for (std::int64_t t = 0; t < valid; ++t) {
            const T* values = v + t * dim + d;
            const auto vs = count == lanes ? load<L>(values) : load_partial<L>(values, count);
            for (int g = 0; g < G; ++g)
                o.at[g] = L::fma(L::set(p[g][t]), vs, o.at[g]);
        }
        for (int g = 0; g < G; ++g) {
            float* out = task.outputs + (row + g) * dim + d;
            if (count == lanes) {
                L::store(out, o.at[g]);
            } else {
                store_partial<L>(out, o.at[g], count);
            }
        }
    };
    const std::int64_t whole = dim / lanes * lanes;
    for (std::int64_t d = 0; d < whole; d += lanes)
        weigh(d, lanes);
    if (whole < dim) weigh(whole, dim - whole);
}

/// All rows over block b of the segment. Rows of one token stand together and see the same positions.
template <typename L, typename T>
void attend_block(const AttentionTask& task, const T* k, const T* v, std::int64_t b) {
    const auto valid_of = [&](std::int64_t row) {
        const std::int64_t left = task.row_positions[row] + 1 - task.segment_begin - b * kv_block_positions;
        return left < kv_block_positions ? left : kv_block_positions;
    };
    for (std::int64_t row = 0; row < task.rows;) {
        const std::int64_t valid = valid_of(row);
        std::int64_t same = 1;
        while (same < most_rows && row + same < task.rows && valid_of(row + same) == valid)
            ++same;
        if (valid > 0) {
            switch (same) {
                case 1: attend_rows<L, 1>(task, k, v, row, valid); break;
                case 2: attend_rows<L, 2>(task, k, v, row, valid); break;
                case 3: attend_rows<L, 3>(task, k, v, row, valid); break;
                default: attend_rows<L, most_rows>(task, k, v, row, valid); break;
            }
        }
        row += same;
    }
}

template <typename L, typename T>
void attend_as(const AttentionTask& task) {
    const std::int64_t dim = task.shape.head_dim;
    std::int64_t positions = 0;  // that any row sees in this segment
    for (std::int64_t row = 0; row < task.rows; ++row) {
        for (std::int64_t d = 0; d < dim; ++d)
            task.outputs[row * dim + d] = 0.0F;
        task.maxima[row] = -__builtin_inff();
        task.sums[row] = 0.0F;
        const std::int64_t left = task.row_positions[row] + 1 - task.segment_begin;
        positions = left > positions ? left : positions;
    }
    if (positions > attention_segment_positions) positions = attention_segment_positions;

    const bool keep_widened = sizeof(T) == 2 && task.rows > 1;  // faster from the second use on
    float widened[2 * kv_block_positions * max_head_dim];
    for (std::int64_t b = 0; b * kv_block_positions < positions; ++b) {
        const T* k = reinterpret_cast<const T*>(task.blocks[b]) +
                     static_cast<std::size_t>(task.kv_head) * kv_head_elements(task.shape);
        const std::int64_t v_at = dim * kv_block_positions;
        if (keep_widened) {
            for (std::int64_t i = 0; i < 2 * v_at; i += lanes)
                L::store(widened + i, load<L>(k + i));
            attend_block<L, float>(task, widened, widened + v_at, b);
        } else {
            attend_block<L, T>(task, k, k + v_at, b);
        }
    }
}

template <typename L>
void attend(const AttentionTask& task) {
    if (task.shape.type == KvType::f16) {
        attend_as<L, std::uint16_t>(task);
    } else {
        attend_as<L, float>(task);
    }
}

template <typename L>
void attention_merge(float* o, float* m, float* l, const float* o2, float m2, float l2, std::int64_t head_dim) {
    const float merged = m2 > *m ? m2 : *m;
    const float decay = exponential_of<L>(*m - merged);
    const float decay2 = exponential_of<L>(m2 - merged);
    *l = __builtin_fmaf(*l, decay, l2 * decay2);
    *m = merged;
    for (std::int64_t d = 0; d < head_dim; ++d)
        o[d] = __builtin_fmaf(o[d], decay, o2[d] * decay2);
}

template <typename L>
void attention_finish(float* o, float l, std::int64_t head_dim) {
    const float inverse = 1.0F / l;
    for (std::int64_t d = 0; d < head_dim; ++d)
        o[d] *= inverse;
}

}  // namespace puna::kernels::algorithms
