// The reference set: plain scalar code, the definition that the other sets are held to.
#include <cmath>
#include <cstring>
#include <limits>

#include "base/align.h"
#include "kernels/generic/bf16_law.h"
#include "kernels/generic/float_law.h"
#include "kernels/generic/integer_law.h"
#include "kernels/kv_storage.h"
#include "kernels/sets.h"
#include "quant/half.h"

namespace puna::kernels {
namespace {

using generic::IntegerBlock;
using quant::TensorType;

// --- products -------------------------------------------------------------------------------------------------------

std::size_t matmul_scratch_bytes(std::int64_t columns) {
    return static_cast<std::size_t>((columns + 15) / 16 * 16) * sizeof(float);  // one decoded row
}

const float* float_row(const ActivationMatrix& x, std::int64_t m) {
    return reinterpret_cast<const float*>(x.data + static_cast<std::size_t>(m) * x.row_bytes);
}

/// Weights decoded to float, each passed through `round`, a row at a time under `dot`.
template <float (*round)(float), float (*dot)(const float*, const float*, std::int64_t)>
void matmul_decoded(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                    float* y, std::int64_t y_stride, std::byte* scratch) {
    auto* decoded = reinterpret_cast<float*>(scratch);  // [columns]
    for (std::int64_t r = row_begin; r < row_end; ++r) {
        const std::byte* row = w.data + static_cast<std::size_t>(r) * w.row_bytes;
        quant::type_info(w.type).to_float(row, decoded, static_cast<std::size_t>(w.columns));
        for (std::int64_t k = 0; k < w.columns; ++k)
            decoded[k] = round(decoded[k]);
        for (std::int64_t m = 0; m < x.rows; ++m)
            y[m * y_stride + r] = dot(decoded, float_row(x, m), w.columns);
    }
}

float unrounded(float x) {
    return x;
}

float dot_lanes(const float* a, const float* b, std::int64_t n) {
    return generic::dot(a, 1, b, n);
}

constexpr MatmulFn matmul_float32 = matmul_decoded<unrounded, dot_lanes>;
constexpr MatmulFn matmul_bf16_tiles = matmul_decoded<generic::round_to_bf16, generic::dot_tiles>;
constexpr MatmulFn matmul_bf16_lanes = matmul_decoded<generic::round_to_bf16, generic::dot_pairs>;

void matmul_integer(const WeightMatrix& w, std::int64_t row_begin, std::int64_t row_end, const ActivationMatrix& x,
                    float* y, std::int64_t y_stride, std::byte*) {
    const quant::TypeInfo& type = quant::type_info(w.type);
    const std::int64_t width = type.law_width;
    for (std::int64_t r = row_begin; r < row_end; ++r) {
        const std::byte* row = w.data + static_cast<std::size_t>(r) * w.row_bytes;
        for (std::int64_t m = 0; m < x.rows; ++m)
            y[m * y_stride + r] = 0.0F;
        for (std::int64_t block = 0; block < w.columns / width; ++block) {
            quant::LawBlock weights;
            type.law_block(row, static_cast<std::size_t>(block), &weights);
            for (std::int64_t m = 0; m < x.rows; ++m) {
                const std::int64_t k = block * width;
                const auto* blocks =
                    reinterpret_cast<const IntegerBlock*>(x.data + static_cast<std::size_t>(m) * x.row_bytes);
                const IntegerBlock& activations = blocks[k / generic::activation_block];
                const std::int16_t* q = activations.q + k % generic::activation_block;
                std::int32_t products = 0;
                std::int32_t sum = 0;
                for (std::int64_t i = 0; i < width; ++i) {
                    products += std::int32_t{weights.q[i]} * q[i];
                    sum += q[i];
                }
                float& acc = y[m * y_stride + r];
                acc = std::fma(static_cast<float>(products), weights.scale * activations.scale, acc);
                if (type.has_min) acc = std::fma(static_cast<float>(sum), -weights.min * activations.scale, acc);
            }
        }
    }
}

MatmulFn matmul(TensorType type, Activations activations) {
    const quant::TypeInfo& info = quant::type_info(type);
    if (!info.computes()) return nullptr;
    if (activations == Activations::bf16_tiles) return matmul_bf16_tiles;
    if (activations == Activations::bf16_lanes) return matmul_bf16_lanes;
    return activations == Activations::float32 || info.law_width == 0 ? matmul_float32 : matmul_integer;
}

std::int64_t activation_group(Activations) {
    return 1;
}

std::size_t activation_row_bytes(Activations kind, std::int64_t columns) {
    const auto k = static_cast<std::size_t>(columns);
    if (kind == Activations::int16 || kind == Activations::int8) {
        return base::round_up_to_line(k / generic::activation_block * sizeof(IntegerBlock));
    }
    return base::round_up_to_line(k * sizeof(float));
}

bool prepare_activations(const ActivationMatrix& to, std::int64_t first_row, std::int64_t, const float* x) {
    std::byte* row = to.data + static_cast<std::size_t>(first_row) * to.row_bytes;
    if (to.kind == Activations::float32) {
        std::memcpy(row, x, static_cast<std::size_t>(to.columns) * sizeof(float));
        return true;
    }
    if (to.kind == Activations::bf16_tiles || to.kind == Activations::bf16_lanes) {
        auto* rounded = reinterpret_cast<float*>(row);
        for (std::int64_t k = 0; k < to.columns; ++k) {
            rounded[k] = generic::round_to_bf16(x[k]);
            if (!std::isfinite(rounded[k])) return false;
        }
        return true;
    }
    const float limit = to.kind == Activations::int16 ? generic::int16_limit : generic::int8_limit;
    auto* blocks = reinterpret_cast<IntegerBlock*>(row);
    for (std::int64_t b = 0; b < to.columns / generic::activation_block; ++b) {
        if (!generic::quantize_block(x + b * generic::activation_block, limit, blocks[b])) return false;
    }
    return true;
}

// --- element-wise ---------------------------------------------------------------------------------------------------

void rms_norm(const float* x, const float* weight, float eps, std::int64_t n, float* y) {
    const float mean = generic::dot(x, 1, x, n) / static_cast<float>(n);
    const float scale = 1.0F / std::sqrt(mean + eps);
    for (std::int64_t i = 0; i < n; ++i)
        y[i] = (x[i] * scale) * weight[i];
}

void silu_multiply(float* gate, const float* up, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i)
        gate[i] = generic::silu(gate[i]) * up[i];
}

void add(float* y, const float* x, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i)
        y[i] += x[i];
}

void rope(float* x, std::int64_t heads, std::int64_t head_dim, std::int64_t rotated, const float* cosines,
          const float* sines, bool interleaved) {
    const std::int64_t half = rotated / 2;
    for (std::int64_t h = 0; h < heads; ++h, x += head_dim) {
        float first[max_head_dim / 2];
        float second[max_head_dim / 2];
        for (std::int64_t i = 0; i < half; ++i) {
            const float a = interleaved ? x[2 * i] : x[i];
            const float b = interleaved ? x[2 * i + 1] : x[i + half];
            first[i] = std::fma(a, cosines[i], -(b * sines[i]));
            second[i] = std::fma(a, sines[i], b * cosines[i]);
        }
        for (std::int64_t i = 0; i < half; ++i) {
            x[i] = first[i];
            x[i + half] = second[i];
        }
    }
}

// --- attention ------------------------------------------------------------------------------------------------------
// A block: per KV head K as [head_dim][32] (a column is a position), then V as [32][head_dim].

// Under q8_0 the integers of K are followed by their scales, [head_dim / 32][32], and those of V by theirs,
// [32][head_dim / 32].

std::size_t kv_block_bytes(const KvShape& shape) {
    return static_cast<std::size_t>(2 * shape.kv_heads) * kv_half_bytes(shape);
}

/// K or V of one head, in a block.
template <typename Byte>
struct KvHalf {
    Byte* data;
    const KvShape& shape;
    bool keys;

    KvHalf(const KvShape& of, Byte* block, std::int64_t head, bool of_keys)
        : data(block + static_cast<std::size_t>(2 * head + (of_keys ? 0 : 1)) * kv_half_bytes(of)),
          shape(of),
          keys(of_keys) {}

    Byte* at(std::int64_t slot, std::int64_t dim) const {
        const std::int64_t index = keys ? dim * kv_block_positions + slot : slot * shape.head_dim + dim;
        return data + index * (shape.type == KvType::f32 ? 4 : shape.type == KvType::f16 ? 2 : 1);
    }
    Byte* scale_at(std::int64_t slot, std::int64_t dim) const {
        const std::int64_t group = dim / kv_scaled_values;
        const std::int64_t groups = shape.head_dim / kv_scaled_values;
        const std::int64_t index = keys ? group * kv_block_positions + slot : slot * groups + group;
        return data + shape.head_dim * kv_block_positions + index * static_cast<std::int64_t>(sizeof(float));
    }

    void write(std::int64_t slot, const float* x) const {
        if (shape.type == KvType::q8_0) {
            const std::int64_t step = keys ? kv_block_positions : 1;
            for (std::int64_t d = 0; d < shape.head_dim; d += kv_scaled_values) {
                const float scale = quantize_kv(x + d, reinterpret_cast<std::int8_t*>(at(slot, d)), step);
                std::memcpy(scale_at(slot, d), &scale, sizeof(scale));
            }
            return;
        }
        for (std::int64_t d = 0; d < shape.head_dim; ++d) {
            const std::uint16_t half = quant::f32_to_f16(x[d]);
            const bool wide = shape.type == KvType::f32;
            std::memcpy(at(slot, d), wide ? static_cast<const void*>(x + d) : &half, wide ? 4 : 2);
        }
    }
    float value(std::int64_t slot, std::int64_t dim) const {
        float value = 0;
        std::uint16_t half = 0;
        switch (shape.type) {
            case KvType::f32: std::memcpy(&value, at(slot, dim), 4); return value;
            case KvType::f16: std::memcpy(&half, at(slot, dim), 2); return quant::f16_to_f32(half);
            case KvType::q8_0:
                std::memcpy(&value, scale_at(slot, dim), 4);
                return static_cast<float>(*reinterpret_cast<const std::int8_t*>(at(slot, dim))) * value;
        }
        return value;
    }
};

void kv_write(const KvShape& shape, std::byte* block, std::int64_t slot, const float* k, const float* v) {
    for (std::int64_t h = 0; h < shape.kv_heads; ++h) {
        KvHalf(shape, block, h, true).write(slot, k + h * shape.head_dim);
        KvHalf(shape, block, h, false).write(slot, v + h * shape.head_dim);
    }
}

void kv_read(const KvShape& shape, const std::byte* block, std::int64_t slot, float* k, float* v) {
    for (std::int64_t h = 0; h < shape.kv_heads; ++h) {
        const KvHalf keys(shape, block, h, true);
        const KvHalf values(shape, block, h, false);
        for (std::int64_t d = 0; d < shape.head_dim; ++d) {
            k[h * shape.head_dim + d] = keys.value(slot, d);
            v[h * shape.head_dim + d] = values.value(slot, d);
        }
    }
}

/// One query row over one block of which `valid` positions count: the online softmax of docs/numerics.md (Milakov and
/// Gimelshein 2018; Dao et al. 2022).
void attend_block(const AttentionTask& task, const std::byte* block, std::int64_t row, std::int64_t valid) {
    const std::int64_t dim = task.shape.head_dim;
    const KvHalf keys(task.shape, block, task.kv_head, true);
    const KvHalf values(task.shape, block, task.kv_head, false);
    float* o = task.out.outputs + row * dim;
    float k[max_head_dim];
    float p[kv_block_positions];
    float m = task.out.maxima[row];
    for (std::int64_t t = 0; t < valid; ++t) {
        for (std::int64_t d = 0; d < dim; ++d)
            k[d] = keys.value(t, d);
        p[t] = generic::dot(k, 1, task.queries[row], dim) * task.scale;
        m = p[t] > m ? p[t] : m;
    }
    float lane[generic::lanes] = {};
    for (std::int64_t t = 0; t < kv_block_positions; ++t) {
        p[t] = t < valid ? generic::exponential(p[t] - m) : 0.0F;
        lane[t % generic::lanes] = lane[t % generic::lanes] + p[t];
    }
    const float decay = generic::exponential(task.out.maxima[row] - m);
    task.out.sums[row] = std::fma(task.out.sums[row], decay, generic::reduce_lanes(lane));
    task.out.maxima[row] = m;
    for (std::int64_t d = 0; d < dim; ++d) {
        float value = o[d] * decay;
        for (std::int64_t t = 0; t < valid; ++t) {
            value = std::fma(p[t], values.value(t, d), value);
        }
        o[d] = value;
    }
}

void attend(const AttentionTask& task) {
    for (std::int64_t row = 0; row < task.rows; ++row) {
        for (std::int64_t d = 0; d < task.shape.head_dim; ++d)
            task.out.outputs[row * task.shape.head_dim + d] = 0.0F;
        task.out.maxima[row] = -std::numeric_limits<float>::infinity();
        task.out.sums[row] = 0.0F;
        std::int64_t left = task.row_positions[row] + 1 - task.segment_begin;
        left = left < attention_segment_positions ? left : attention_segment_positions;
        for (std::int64_t b = 0; left > 0; ++b, left -= kv_block_positions) {
            attend_block(task, task.blocks[b], row, left < kv_block_positions ? left : kv_block_positions);
        }
    }
}

void attention_merge(const SoftmaxState& into, const SoftmaxState& segment, std::int64_t rows, std::int64_t head_dim) {
    for (std::int64_t row = 0; row < rows; ++row) {
        if (segment.sums[row] == 0.0F) continue;
        float& m = into.maxima[row];
        const float m2 = segment.maxima[row];
        const float merged = m2 > m ? m2 : m;
        const float decay = generic::exponential(m - merged);
        const float decay2 = generic::exponential(m2 - merged);
        into.sums[row] = std::fma(into.sums[row], decay, segment.sums[row] * decay2);
        m = merged;
        float* o = into.outputs + row * head_dim;
        const float* o2 = segment.outputs + row * head_dim;
        for (std::int64_t d = 0; d < head_dim; ++d)
            o[d] = std::fma(o[d], decay, o2[d] * decay2);
    }
}

void attention_finish(float* o, float l, std::int64_t head_dim) {
    const float inverse = 1.0F / l;
    for (std::int64_t d = 0; d < head_dim; ++d)
        o[d] *= inverse;
}

constexpr KernelTable table = {
    .name = "generic",
    .defaults = Activations::int16,
    .bf16 = Activations::float32,
    .matmul_scratch_bytes = matmul_scratch_bytes,
    .matmul = matmul,
    .activation_group = activation_group,
    .activation_row_bytes = activation_row_bytes,
    .prepare_activations = prepare_activations,
    .rms_norm = rms_norm,
    .silu_multiply = silu_multiply,
    .add = add,
    .rope = rope,
    .kv_block_bytes = kv_block_bytes,
    .kv_write = kv_write,
    .kv_read = kv_read,
    .attend = attend,
    .attention_merge = attention_merge,
    .attention_finish = attention_finish,
};

}  // namespace

const KernelTable& generic_table() {
    return table;
}

}  // namespace puna::kernels
