#include "models/workspace.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/align.h"
#include "base/try.h"

namespace puna::models {
namespace {

using base::round_up_to_line;

/// Scratch of one thread: the most that any step takes.
std::size_t thread_scratch_bytes(const Dimensions& dims, const kernels::KernelTable& kernels,
                                 const nn::Attention& attention) {
    const std::int64_t widest = std::max({dims.embedding, dims.feed_forward, dims.heads * dims.head_dim});
    constexpr std::int64_t most_rows = kernels::row_tile;  // of a claim
    const std::size_t normed_rows = static_cast<std::size_t>(most_rows * dims.embedding) * sizeof(float);
    return round_up_to_line(std::max({kernels.matmul_scratch_bytes(widest), normed_rows, attention.scratch_bytes()}));
}

}  // namespace

Workspace::Places Workspace::lay_out(const Dimensions& dims, nn::LinearForms forms, const Model::RunnerOptions& options,
                                     std::size_t threads, std::byte* memory) {
    const nn::Attention attention(dims.heads, dims.kv_heads, dims.head_dim);
    const std::int64_t head_values = dims.heads * dims.head_dim;
    const std::int64_t kv_values = dims.kv_heads * dims.head_dim;
    const std::int64_t widest = std::max({dims.embedding, dims.feed_forward, head_values});
    Places at;
    const auto take_bytes = [&](std::size_t bytes) {
        std::byte* place = memory == nullptr ? nullptr : memory + at.bytes;
        at.bytes += round_up_to_line(bytes);
        return place;
    };
    const auto take = [&](std::int64_t values_per_row) {
        const auto values = static_cast<std::size_t>(options.max_batch_rows * values_per_row);
        return reinterpret_cast<float*>(take_bytes(values * sizeof(float)));
    };
    at.x = take(dims.embedding);
    // What attention needs, what the feed-forward part needs, and what either adds to x are not needed together, but
    // for the inputs of products, which are prepared elsewhere.
    const std::size_t shared = at.bytes;
    std::size_t end = shared;
    const auto begin_again = [&] {
        end = std::max(end, at.bytes);
        at.bytes = shared;
    };
    at.q = take(head_values);
    at.k = take(kv_values);
    at.v = take(kv_values);
    at.attended = take(head_values);
    begin_again();
    at.gate = take(dims.feed_forward);
    at.up = take(dims.feed_forward);
    begin_again();
    at.delta = take(dims.embedding);
    begin_again();
    at.bytes = end;
    at.cosines = take(dims.head_dim / 2);
    at.sines = take(dims.head_dim / 2);
    at.input = take_bytes(
        nn::LinearInput::bytes(*options.kernels, options.activations, forms, options.max_batch_rows, widest));
    at.partials = take_bytes(attention.partial_bytes());
    at.scratch = take_bytes(threads * thread_scratch_bytes(dims, *options.kernels, attention));
    return at;
}

std::uint64_t Workspace::bytes(const Dimensions& dims, nn::LinearForms forms, const Model::RunnerOptions& options,
                               std::size_t threads) {
    return lay_out(dims, forms, options, threads, nullptr).bytes;
}

Workspace::Workspace(const Dimensions& dims, nn::LinearForms forms, const Model::RunnerOptions& options)
    : dims_(dims),
      forms_(forms),
      options_(options),
      attention_(dims.heads, dims.kv_heads, dims.head_dim),
      compute_{*options.kernels,
               options.activations,
               *options.pool,
               nullptr,
               thread_scratch_bytes(dims, *options.kernels, attention_),
               options.observer} {
    if (options.observer != nullptr) forms_.float32 = true;  // which is what it sees
}

Result<void> Workspace::allocate() {
    const std::size_t bytes = lay_out(dims_, forms_, options_, options_.pool->size(), nullptr).bytes;
    memory_ = nn::Buffer<std::byte>(bytes);
    if (!memory_) {
        return Error{ErrorCode::out_of_memory, fmt::format("no memory for a workspace of {} bytes", bytes),
                     "ask for a smaller batch size"};
    }
    at_ = lay_out(dims_, forms_, options_, options_.pool->size(), memory_.data());
    input_ = nn::LinearInput(at_.input);
    compute_.scratch = at_.scratch;
    return {};
}

void Workspace::begin(const nn::Batch& batch) {
    rows_ = batch.rows();
    not_finite_ = false;
    attention_.plan(batch, compute_.pool.size());
}

void Workspace::set_input(std::int64_t first, std::int64_t count, const float* rows) {
    if (!input_.set_rows(compute_, first, count, rows)) {
        not_finite_.store(true, std::memory_order_relaxed);
    }
}

nn::RowStep Workspace::norm_input(std::int64_t rows, const Norm& norm) {
    input_.begin(compute_, forms_, rows, dims_.embedding);
    return {rows, [this, norm](std::int64_t first, std::int64_t count, std::size_t worker) {
                const std::int64_t d = dims_.embedding;
                auto* normed = reinterpret_cast<float*>(compute_.thread_scratch(worker));  // [count][d]
                for (std::int64_t i = 0; i < count; ++i) {
                    const std::int64_t row = norm.rows == nullptr ? first + i : norm.rows[first + i];
                    float* x = at_.x + row * d;
                    if (norm.delta != nullptr) compute_.kernels.add(x, norm.delta + row * d, d);
                    compute_.kernels.rms_norm(x, norm.weight, norm.eps, d, normed + i * d);
                }
                set_input(first, count, normed);
            }};
}

nn::RowStep Workspace::norm(const std::vector<float>& weight, float eps) {
    return norm_input(rows_, {nullptr, nullptr, weight.data(), eps});
}

nn::RowStep Workspace::add_and_norm(const float* delta, const std::vector<float>& weight, float eps) {
    return norm_input(rows_, {nullptr, delta, weight.data(), eps});
}

nn::RowStep Workspace::add_and_norm_rows(const std::vector<std::int64_t>& rows, const float* delta,
                                         const std::vector<float>& weight, float eps) {
    return norm_input(static_cast<std::int64_t>(rows.size()), {rows.data(), delta, weight.data(), eps});
}

nn::RowStep Workspace::take_input(const float* rows, std::int64_t columns) {
    input_.begin(compute_, forms_, rows_, columns);
    return {rows_, [this, rows, columns](std::int64_t first, std::int64_t count, std::size_t) {
                set_input(first, count, rows + first * columns);
            }};
}

nn::RowStep Workspace::swiglu_input(float* gate, const float* up) {
    input_.begin(compute_, forms_, rows_, dims_.feed_forward);
    return {rows_, [this, gate, up](std::int64_t first, std::int64_t count, std::size_t) {
                const std::int64_t ff = dims_.feed_forward;
                for (std::int64_t row = first; row < first + count; ++row)
                    compute_.kernels.silu_multiply(gate + row * ff, up + row * ff, ff);
                set_input(first, count, gate + first * ff);
            }};
}

nn::RowStep Workspace::rotate_and_store(const nn::RopeAngles& angles, bool interleaved, const nn::Batch& batch,
                                        nn::KvCache& cache, std::int64_t layer) {
    const auto rotate = [this, &angles, interleaved, &batch, &cache, layer](std::int64_t row) {
        const std::int64_t dim = dims_.head_dim;
        const std::int64_t half = angles.rotated() / 2;
        const auto index = static_cast<std::size_t>(row);
        float* cosines = at_.cosines + row * half;
        float* sines = at_.sines + row * half;
        if (layer == 0) angles.at(batch.positions[index], cosines, sines);  // the same for all layers
        float* k = at_.k + row * dims_.kv_heads * dim;
        compute_.kernels.rope(at_.q + row * dims_.heads * dim, dims_.heads, dim, 2 * half, cosines, sines, interleaved);
        compute_.kernels.rope(k, dims_.kv_heads, dim, 2 * half, cosines, sines, interleaved);
        cache.write(batch.sequences[index], layer, batch.positions[index], k, at_.v + row * dims_.kv_heads * dim);
    };
    return {rows_, [rotate](std::int64_t first, std::int64_t count, std::size_t) {
                for (std::int64_t row = first; row < first + count; ++row)
                    rotate(row);
            }};
}

std::vector<std::int64_t> Workspace::select_logit_rows(const nn::Batch& batch) {
    std::vector<std::int64_t> rows;
    for (std::int64_t row = 0; row < batch.rows(); ++row) {
        if (batch.wants_logits[static_cast<std::size_t>(row)] != 0) rows.push_back(row);
    }
    return rows;
}

Result<void> Workspace::check(const formats::ModelFile& file, std::span<const float> logits) const {
    PUNA_CHECK(file.check_mappings());
    const bool finite =
        !not_finite_ && std::all_of(logits.begin(), logits.end(), [](float l) { return std::isfinite(l); });
    if (!finite) {
        return Error{ErrorCode::invalid_number,
                     fmt::format("{}: the computation met a value that is NaN or infinite", file.path),
                     "the weights may be damaged, or outside the range of their type"};
    }
    return {};
}

}  // namespace puna::models
