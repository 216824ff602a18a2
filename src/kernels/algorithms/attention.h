// Attention over vector lanes; generic/kernels.cc is its definition.
//
// A block holds, per KV head, K as [head_dim][32]: a vector is sixteen positions of one dimension. So a score's sixteen
// lanes of the law are sixteen accumulators, each a vector over positions, and no sum is taken across lanes. V follows
// as [32][head_dim].
#pragma once

#include "kernels/algorithms/fetch.h"
#include "kernels/algorithms/float_law.h"
#include "kernels/kernel_table.h"
#include "kernels/kv_storage.h"
#include "quant/half.h"

namespace puna::kernels::algorithms {

static inline std::size_t kv_block_bytes(const KvShape& shape) {
    return static_cast<std::size_t>(2 * shape.kv_heads) * kv_half_bytes(shape);
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

// K or V of a head, with elements of type T that lie side by side: one position's are `step` apart. int8_t is q8_0,
// whose scales follow the integers, as K [head_dim / 32][32] and as V [32][head_dim / 32].

template <typename T>
void kv_write_row(T* to, std::int64_t step, std::int64_t dim, std::int64_t slot, const float* x) {
    T* out = to + slot * (step == 1 ? dim : 1);
    if constexpr (sizeof(T) == 1) {
        auto* scales = reinterpret_cast<float*>(to + dim * kv_block_positions);
        const std::int64_t groups = dim / kv_scaled_values;
        for (std::int64_t g = 0; g < groups; ++g) {
            scales[step == 1 ? slot * groups + g : g * kv_block_positions + slot] =
                quantize_kv(x + g * kv_scaled_values, out + g * kv_scaled_values * step, step);
        }
    } else {
        for (std::int64_t d = 0; d < dim; ++d)
            narrow(x[d], out[d * step]);
    }
}

template <typename T>
void kv_read_row(const T* from, std::int64_t step, std::int64_t dim, std::int64_t slot, float* x) {
    const T* in = from + slot * (step == 1 ? dim : 1);
    if constexpr (sizeof(T) == 1) {
        const auto* scales = reinterpret_cast<const float*>(from + dim * kv_block_positions);
        const std::int64_t groups = dim / kv_scaled_values;
        for (std::int64_t d = 0; d < dim; ++d) {
            const std::int64_t g = d / kv_scaled_values;
            x[d] = static_cast<float>(in[d * step]) *
                   scales[step == 1 ? slot * groups + g : g * kv_block_positions + slot];
        }
    } else {
        for (std::int64_t d = 0; d < dim; ++d)
            x[d] = widen(in[d * step]);
    }
}

/// Calls `body` with a null pointer to the type of the stored elements.
template <typename Body>
void with_kv_element(KvType type, const Body& body) {
    switch (type) {
        case KvType::f32: return body(static_cast<float*>(nullptr));
        case KvType::f16: return body(static_cast<std::uint16_t*>(nullptr));
        case KvType::q8_0: return body(static_cast<std::int8_t*>(nullptr));
    }
}

template <typename L>
void kv_write(const KvShape& shape, std::byte* block, std::int64_t slot, const float* k, const float* v) {
    const std::size_t half = kv_half_bytes(shape);
    with_kv_element(shape.type, [&]<typename T>(T*) {
        for (std::int64_t h = 0; h < shape.kv_heads; ++h, block += 2 * half) {
            const std::int64_t at = h * shape.head_dim;
            kv_write_row(reinterpret_cast<T*>(block), kv_block_positions, shape.head_dim, slot, k + at);
            kv_write_row(reinterpret_cast<T*>(block + half), 1, shape.head_dim, slot, v + at);
        }
    });
}

template <typename L>
void kv_read(const KvShape& shape, const std::byte* block, std::int64_t slot, float* k, float* v) {
    const std::size_t half = kv_half_bytes(shape);
    with_kv_element(shape.type, [&]<typename T>(T*) {
        for (std::int64_t h = 0; h < shape.kv_heads; ++h, block += 2 * half) {
            const std::int64_t at = h * shape.head_dim;
            kv_read_row(reinterpret_cast<const T*>(block), kv_block_positions, shape.head_dim, slot, k + at);
            kv_read_row(reinterpret_cast<const T*>(block + half), 1, shape.head_dim, slot, v + at);
        }
    });
}

/// K and V of one head as floats: K [dim][32], then V [32][dim].
template <typename L, typename T>
void widen_block(const T* k, const T* v, std::int64_t dim, float* out) {
    const std::int64_t v_at = dim * kv_block_positions;
    if constexpr (sizeof(T) == 1) {
        const auto* k_scales = reinterpret_cast<const float*>(k + v_at);
        const auto* v_scales = reinterpret_cast<const float*>(v + v_at);
        for (std::int64_t d = 0; d < dim; ++d) {
            const float* scales = k_scales + d / kv_scaled_values * kv_block_positions;
            for (std::int64_t t = 0; t < kv_block_positions; ++t)
                out[d * kv_block_positions + t] = static_cast<float>(k[d * kv_block_positions + t]) * scales[t];
        }
        for (std::int64_t g = 0; g < v_at / kv_scaled_values; ++g) {
            for (std::int64_t i = g * kv_scaled_values; i < (g + 1) * kv_scaled_values; ++i)
                out[v_at + i] = static_cast<float>(v[i]) * v_scales[g];
        }
    } else {
        for (std::int64_t i = 0; i < v_at; i += lanes)
            L::store(out + i, load<L>(k + i));
        for (std::int64_t i = 0; i < v_at; i += lanes)
            L::store(out + v_at + i, load<L>(v + i));
    }
}

/// K and V of a head's next block. Its blocks lie apart, each too short a stream for the hardware to follow, and memory
/// has time for the next one while this one is multiplied: each lane of the law asks for a share of it.
struct NextBlock {
    const std::byte* at;
    const std::byte* end;
    std::ptrdiff_t share;

    /// `bytes` bytes from `begin`, asked for in at most `shares` shares.
    NextBlock(const std::byte* begin, std::size_t bytes, std::size_t shares)
        : at(begin), end(begin + bytes), share(static_cast<std::ptrdiff_t>((bytes / shares + 63) / 64 * 64)) {}

    PUNA_INLINE void fetch_share() {
        const std::byte* line = at;
        for (; line < end && line < at + share; line += 64)
            fetch_line_nearby(line);
        at = line;
    }
};

/// Query rows whose scores are added up together: their lanes' sums stay in registers.
inline constexpr int score_rows = 4;

/// What the law's lanes `lane`, `lane` + Step, ... of sixteen add up to, for G query rows and sixteen positions, in the
/// law's order: (i, i + 8), (i, i + 4), (i, i + 2), (i, i + 1). k: the sixteen positions' part of [dim][32].
template <typename L, int G, int Step, typename T>
PUNA_INLINE void sum_lanes(const T* k, const float* const* queries, std::int64_t dim, std::int64_t lane,
                           NextBlock& next, typename L::F* sums) {
    if constexpr (Step < lanes) {
        typename L::F others[G];
        sum_lanes<L, G, 2 * Step>(k, queries, dim, lane, next, sums);
        sum_lanes<L, G, 2 * Step>(k, queries, dim, lane + Step, next, others);
        for (int g = 0; g < G; ++g)
            sums[g] = L::add(sums[g], others[g]);
    } else {
        next.fetch_share();
        for (int g = 0; g < G; ++g)
            sums[g] = L::set(0.0F);
        std::int64_t d = lane;
        for (; d < dim; d += lanes) {
            const auto keys = load<L>(k + d * kv_block_positions);
            for (int g = 0; g < G; ++g)
                sums[g] = L::fma(L::set(queries[g][d]), keys, sums[g]);
        }
        if (d < (dim + lanes - 1) / lanes * lanes) {  // the zeros that fill a row's last sixteen
            for (int g = 0; g < G; ++g)
                sums[g] = L::fma(L::set(0.0F), L::set(0.0F), sums[g]);
        }
    }
}

/// The scores of a block's positions for each of G query rows, [G][32].
template <typename L, int G, typename T>
void block_scores(const T* k, const float* const* queries, std::int64_t dim, float (*scores)[kv_block_positions],
                  NextBlock& next) {
    constexpr int together = G < score_rows ? G : score_rows;
    const float* rows[together];
    for (int g = 0; g < together; ++g)
        rows[g] = queries[g];
    for (int t = 0; t < kv_block_positions; t += lanes) {
        typename L::F sums[together];
        sum_lanes<L, together, 1>(k + t, rows, dim, 0, next, sums);
        for (int g = 0; g < together; ++g)
            L::store(scores[g] + t, sums[g]);
    }
    if constexpr (G > together) block_scores<L, G - together>(k, queries + together, dim, scores + together, next);
}

/// Scores p of `valid` positions become exponentials: those of p scale - m, where m is the largest so far, [G][32].
/// Of each of G rows, maxima and sums go on, and decay is what counts for less now.
template <typename L, int G>
void exponentials(float (*p)[kv_block_positions], float scale, int valid, float* maxima, float* sums, float* decay) {
    const auto masked = L::set(-__builtin_inff());
    for (int g = 0; g < G; ++g) {
        const auto first = L::replace_from(valid, masked, L::mul(L::load(p[g]), L::set(scale)));
        const auto second = L::replace_from(valid - lanes, masked, L::mul(L::load(p[g] + lanes), L::set(scale)));
        const float top = L::reduce_max(L::max(first, second));
        const float m = top > maxima[g] ? top : maxima[g];
        decay[g] = maxima[g] - m;
        maxima[g] = m;
        L::store(p[g], first);
        L::store(p[g] + lanes, second);
    }
    L::store(decay, exponential<L>(L::load(decay)));
    for (int g = 0; g < G; ++g) {
        const auto m = L::set(maxima[g]);
        const auto first = exponential<L>(L::sub(L::load(p[g]), m));
        const auto second = exponential<L>(L::sub(L::load(p[g] + lanes), m));
        L::store(p[g], first);
        L::store(p[g] + lanes, second);
        sums[g] = __builtin_fmaf(sums[g], decay[g], L::reduce_add(L::add(first, second)));
    }
}

/// outputs[g][d] = outputs[g][d] decay[g] + the sum of p[g][t] v[t][d] over `valid` positions t. outputs and v: rows of
/// `dim`.
template <typename L, int G, typename T>
void weigh_values(const float (*p)[kv_block_positions], const float* decay, const T* v, std::int64_t valid,
                  std::int64_t dim, float* outputs) {
    const auto weigh = [&](std::int64_t d, const auto& from, const auto& read, const auto& write) PUNA_INLINE_LAMBDA {
        typename L::F sums[G];
        for (int g = 0; g < G; ++g)
            sums[g] = L::mul(from(outputs + g * dim + d), L::set(decay[g]));
        for (std::int64_t t = 0; t < valid; ++t) {
            const auto values = read(v + t * dim + d);
            for (int g = 0; g < G; ++g)
                sums[g] = L::fma(L::set(p[g][t]), values, sums[g]);
        }
        for (int g = 0; g < G; ++g)
            write(outputs + g * dim + d, sums[g]);
    };
    const auto all = [](const auto* x) PUNA_INLINE_LAMBDA { return load<L>(x); };
    std::int64_t d = 0;
    for (; d + lanes <= dim; d += lanes)
        weigh(d, all, all, L::store);
    if (d == dim) return;
    const auto some = [rest = dim - d](const auto* x) { return load_partial<L>(x, rest); };
    weigh(d, some, some, [rest = dim - d](float* x, typename L::F sum) { store_partial<L>(x, sum, rest); });
}

/// G rows over one block of which `valid` positions count; k: [dim][32], v: [32][dim].
template <typename L, int G, typename T>
void attend_rows(const AttentionTask& task, const T* k, const T* v, std::int64_t row, std::int64_t valid,
                 NextBlock& next) {
    const std::int64_t dim = task.shape.head_dim;
    alignas(64) float p[G][kv_block_positions];  // first scores, then their exponentials
    alignas(64) float decay[lanes] = {};         // of G rows
    block_scores<L, G>(k, task.queries + row, dim, p, next);
    exponentials<L, G>(p, task.scale, static_cast<int>(valid), task.out.maxima + row, task.out.sums + row, decay);
    weigh_values<L, G>(p, decay, v, valid, dim, task.out.outputs + row * dim);
}

/// The first `rows` rows of at most G.
template <typename L, int G, typename T>
void attend_up_to(std::int64_t rows, const AttentionTask& task, const T* k, const T* v, std::int64_t row,
                  std::int64_t valid, NextBlock& next) {
    if (rows == G) {
        attend_rows<L, G>(task, k, v, row, valid, next);
    } else if constexpr (G > 1) {
        attend_up_to<L, G - 1>(rows, task, k, v, row, valid, next);
    }
}

/// All rows over block b of the segment. Rows of one token stand together and see the same positions.
template <typename L, typename T>
void attend_block(const AttentionTask& task, const T* k, const T* v, std::int64_t b, NextBlock next) {
    const auto valid_of = [&](std::int64_t row) {
        const std::int64_t left = task.row_positions[row] + 1 - task.segment_begin - b * kv_block_positions;
        return left < kv_block_positions ? left : kv_block_positions;
    };
    constexpr int most = L::attention_rows;
    for (std::int64_t row = 0; row < task.rows;) {
        const std::int64_t valid = valid_of(row);
        std::int64_t same = 1;
        while (same < most && row + same < task.rows && valid_of(row + same) == valid)
            ++same;
        if (valid > 0) attend_up_to<L, most>(same, task, k, v, row, valid, next);
        row += same;
    }
}

template <typename L, typename T>
void attend_as(const AttentionTask& task) {
    const std::int64_t dim = task.shape.head_dim;
    std::int64_t positions = 0;  // that any row sees in this segment
    for (std::int64_t row = 0; row < task.rows; ++row) {
        for (std::int64_t d = 0; d < dim; ++d)
            task.out.outputs[row * dim + d] = 0.0F;
        task.out.maxima[row] = -__builtin_inff();
        task.out.sums[row] = 0.0F;
        const std::int64_t left = task.row_positions[row] + 1 - task.segment_begin;
        positions = left > positions ? left : positions;
    }
    if (positions > attention_segment_positions) positions = attention_segment_positions;

    // What is used again is converted once, where converting takes the ports of the products.
    const bool again = task.rows > L::attention_rows;
    const bool keep_widened = sizeof(T) == 1 || (sizeof(T) == 2 && again && !L::converts_beside_products);
    alignas(64) float widened[2 * kv_block_positions * max_head_dim];
    const std::size_t half = kv_half_bytes(task.shape);
    const auto head_at = [&](std::int64_t b) {
        return task.blocks[b] + static_cast<std::size_t>(2 * task.kv_head) * half;
    };
    const std::int64_t blocks = (positions + kv_block_positions - 1) / kv_block_positions;
    if (blocks > 0) NextBlock(head_at(0), 2 * half, 1).fetch_share();
    const auto shares = static_cast<std::size_t>((task.rows + score_rows - 1) / score_rows * 2 * lanes);
    for (std::int64_t b = 0; b < blocks; ++b) {
        const T* k = reinterpret_cast<const T*>(head_at(b));
        const T* v = reinterpret_cast<const T*>(head_at(b) + half);
        const NextBlock next = b + 1 < blocks ? NextBlock(head_at(b + 1), 2 * half, shares) : NextBlock(nullptr, 0, 1);
        if (keep_widened) {
            widen_block<L>(k, v, dim, widened);
            attend_block<L, float>(task, widened, widened + dim * kv_block_positions, b, next);
        } else if constexpr (sizeof(T) > 1) {
            attend_block<L, T>(task, k, v, b, next);
        }
    }
}

template <typename L>
void attend(const AttentionTask& task) {
    with_kv_element(task.shape.type, [&]<typename T>(T*) { attend_as<L, T>(task); });
}

/// The same of at most `lanes` rows.
template <typename L>
void merge_rows(const SoftmaxState& into, const SoftmaxState& segment, std::int64_t rows, std::int64_t head_dim) {
    const auto m = load_partial<L>(into.maxima, rows);
    const auto m2 = load_partial<L>(segment.maxima, rows);
    const auto merged = L::max(m2, m);
    float maxima[lanes];
    float decay[lanes];   // of what was
    float decay2[lanes];  // of what is new
    L::store(maxima, merged);
    L::store(decay, exponential<L>(L::sub(m, merged)));
    L::store(decay2, exponential<L>(L::sub(m2, merged)));
    for (std::int64_t row = 0; row < rows; ++row) {
        if (segment.sums[row] == 0.0F) continue;
        into.maxima[row] = maxima[row];
        into.sums[row] = __builtin_fmaf(into.sums[row], decay[row], segment.sums[row] * decay2[row]);
        float* o = into.outputs + row * head_dim;
        const float* o2 = segment.outputs + row * head_dim;
        for (std::int64_t d = 0; d < head_dim; ++d)
            o[d] = __builtin_fmaf(o[d], decay[row], o2[d] * decay2[row]);
    }
}

template <typename L>
void attention_merge(const SoftmaxState& into, const SoftmaxState& segment, std::int64_t rows, std::int64_t head_dim) {
    const auto from = [head_dim](const SoftmaxState& state, std::int64_t row) {
        return SoftmaxState{state.outputs + row * head_dim, state.maxima + row, state.sums + row};
    };
    for (std::int64_t row = 0; row < rows; row += lanes)
        merge_rows<L>(from(into, row), from(segment, row), rows - row < lanes ? rows - row : lanes, head_dim);
}

template <typename L>
void attention_finish(float* o, float l, std::int64_t head_dim) {
    const float inverse = 1.0F / l;
    for (std::int64_t d = 0; d < head_dim; ++d)
        o[d] *= inverse;
}

}  // namespace puna::kernels::algorithms
