#include "nn/attention.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "base/align.h"

namespace puna::nn {
namespace {

using base::round_up_to_line;

constexpr std::int64_t blocks_per_segment = kernels::attention_segment_positions / kernels::kv_block_positions;
constexpr std::int64_t rows_per_tile = 32;  // query rows that share one pass over K and V
constexpr std::int64_t max_partials = 256;  // tile segments computed apart, at most

std::size_t outputs_bytes(std::int64_t rows, std::int64_t head_dim) {
    return round_up_to_line(static_cast<std::size_t>(rows * head_dim) * sizeof(float));
}

std::size_t scalars_bytes(std::int64_t rows) {
    return round_up_to_line(static_cast<std::size_t>(rows) * sizeof(float));
}

/// What the state of `rows` rows takes at `state_at`.
std::size_t state_bytes(std::int64_t rows, std::int64_t head_dim) {
    return outputs_bytes(rows, head_dim) + 2 * scalars_bytes(rows);
}

kernels::SoftmaxState state_at(std::byte* memory, std::int64_t rows, std::int64_t head_dim) {
    std::byte* maxima = memory + outputs_bytes(rows, head_dim);
    return {reinterpret_cast<float*>(memory), reinterpret_cast<float*>(maxima),
            reinterpret_cast<float*>(maxima + scalars_bytes(rows))};
}

}  // namespace

struct Attention::Work {
    const Compute& compute;
    kernels::KvShape shape;
    float scale;
    const float* queries;
    float* outputs;
};

Attention::Attention(std::int64_t heads, std::int64_t kv_heads, std::int64_t head_dim)
    : heads_(heads),
      kv_heads_(kv_heads),
      head_dim_(head_dim),
      group_(heads / kv_heads),
      tile_tokens_(std::max<std::int64_t>(1, rows_per_tile / group_)),
      tile_rows_(tile_tokens_ * group_) {}

std::size_t Attention::one_partial_bytes() const {
    // Segments are split only for tiles of one token.
    return state_bytes(group_, head_dim_) + round_up_to_line(sizeof(std::int64_t));
}

std::size_t Attention::partial_bytes() const {
    return static_cast<std::size_t>(max_partials * kv_heads_) * one_partial_bytes();
}

std::size_t Attention::row_table_bytes() const {
    const auto rows = static_cast<std::size_t>(tile_rows_);
    return round_up_to_line(rows * sizeof(float*)) + round_up_to_line(rows * sizeof(std::int64_t));
}

std::size_t Attention::scratch_bytes() const {
    return row_table_bytes() + 2 * state_bytes(tile_rows_, head_dim_);
}

void Attention::plan(const Batch& batch, std::size_t threads) {
    tiles_.clear();
    block_sequences_.clear();
    block_indices_.clear();
    positions_ = batch.positions;
    std::int64_t partials = 0;
    std::int64_t longest_tile = 0;
    for (std::int64_t row = 0; row < batch.rows();) {
        const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
        std::int64_t end = row + 1;
        while (end < batch.rows() && batch.sequences[at(end)] == batch.sequences[at(row)])
            ++end;
        const auto first_block = static_cast<std::int64_t>(block_indices_.size());
        for (std::int64_t b = 0; b <= batch.positions[at(end - 1)] / kernels::kv_block_positions; ++b) {
            block_sequences_.push_back(batch.sequences[at(row)]);
            block_indices_.push_back(b);
        }
        for (; row < end; row += tile_tokens_) {
            const std::int64_t tokens = std::min(tile_tokens_, end - row);
            const std::int64_t last = batch.positions[at(row + tokens - 1)];
            const std::int64_t segments = last / kernels::attention_segment_positions + 1;
            tiles_.push_back({row, tokens, segments, first_block, partials});
            partials += segments;
            longest_tile = std::max(longest_tile, tokens);
        }
        row = end;
    }
    blocks_.resize(block_indices_.size());
    const auto whole_tasks = tiles_.size() * static_cast<std::size_t>(kv_heads_);
    split_segments_ = longest_tile == 1 && partials <= max_partials && whole_tasks < 4 * threads;
}

Attention::Partial Attention::partial_at(std::byte* memory, std::int64_t index) const {
    std::byte* partial = memory + static_cast<std::size_t>(index) * one_partial_bytes();
    return {state_at(partial, group_, head_dim_),
            reinterpret_cast<std::int64_t*>(partial + state_bytes(group_, head_dim_))};
}

void Attention::run_segment(const Work& work, const Tile& tile, std::int64_t kv_head, std::int64_t segment,
                            std::byte* scratch, const kernels::SoftmaxState& out) const {
    auto** queries = reinterpret_cast<const float**>(scratch);  // [rows]
    auto* row_positions = reinterpret_cast<std::int64_t*>(
        scratch + round_up_to_line(static_cast<std::size_t>(tile_rows_) * sizeof(float*)));
    const std::int64_t begin = segment * kernels::attention_segment_positions;
    std::int64_t rows = 0;
    for (std::int64_t t = 0; t < tile.tokens; ++t) {
        const std::int64_t row = tile.first_row + t;
        for (std::int64_t g = 0; g < group_; ++g, ++rows) {
            queries[rows] = work.queries + (row * heads_ + kv_head * group_ + g) * head_dim_;
            row_positions[rows] = positions_[static_cast<std::size_t>(row)];
        }
    }
    work.compute.kernels.attend({.shape = work.shape,
                                 .kv_head = kv_head,
                                 .blocks = blocks_.data() + tile.first_block + segment * blocks_per_segment,
                                 .segment_begin = begin,
                                 .rows = rows,
                                 .queries = queries,
                                 .row_positions = row_positions,
                                 .scale = work.scale,
                                 .out = out});
}

void Attention::finish(const Work& work, const Tile& tile, std::int64_t kv_head,
                       const kernels::SoftmaxState& result) const {
    for (std::int64_t t = 0; t < tile.tokens; ++t) {
        for (std::int64_t g = 0; g < group_; ++g) {
            const std::int64_t i = t * group_ + g;
            float* o = result.outputs + i * head_dim_;
            work.compute.kernels.attention_finish(o, result.sums[i], head_dim_);
            float* target = work.outputs + ((tile.first_row + t) * heads_ + kv_head * group_ + g) * head_dim_;
            std::memcpy(target, o, static_cast<std::size_t>(head_dim_) * sizeof(float));
        }
    }
}

/// A task for each tile and KV head.
void Attention::run_tiles(const Work& work, const RowStep& before) const {
    const auto attend_tile = [&](std::size_t index, std::size_t worker) {
        const Tile& tile = tiles_[index / static_cast<std::size_t>(kv_heads_)];
        const auto head = static_cast<std::int64_t>(index) % kv_heads_;
        std::byte* scratch = work.compute.thread_scratch(worker);
        std::byte* states = scratch + row_table_bytes();
        const kernels::SoftmaxState result = state_at(states, tile_rows_, head_dim_);
        const kernels::SoftmaxState segment =
            state_at(states + state_bytes(tile_rows_, head_dim_), tile_rows_, head_dim_);
        run_segment(work, tile, head, 0, scratch, result);
        for (std::int64_t s = 1; s < tile.segments; ++s) {
            run_segment(work, tile, head, s, scratch, segment);
            work.compute.kernels.attention_merge(result, segment, tile.tokens * group_, head_dim_);
        }
        finish(work, tile, head, result);
    };
    work.compute.run_after(before, tiles_.size() * static_cast<std::size_t>(kv_heads_), attend_tile);
}

/// A task for each segment too. Those of a head are one stretch, so that most of what is merged was written by the
/// thread that merges it: by the one which ends the head's last segment.
void Attention::run_segments(const Work& work, std::byte* partials, const RowStep& before) const {
    const std::int64_t count = (tiles_.back().first_partial + tiles_.back().segments) * kv_heads_;
    for (const Tile& tile : tiles_) {
        for (std::int64_t head = 0; head < kv_heads_; ++head)
            *partial_at(partials, tile.first_partial * kv_heads_ + head * tile.segments).done = 0;
    }
    const auto attend_segment = [&](std::int64_t index, std::byte* scratch) {
        const auto behind =
            std::upper_bound(tiles_.begin(), tiles_.end(), index,
                             [this](std::int64_t i, const Tile& tile) { return i < tile.first_partial * kv_heads_; });
        const Tile& tile = *(behind - 1);
        const std::int64_t in_tile = index - tile.first_partial * kv_heads_;
        const std::int64_t head = in_tile / tile.segments;
        const std::int64_t segment = in_tile % tile.segments;
        run_segment(work, tile, head, segment, scratch, partial_at(partials, index).state);

        const std::int64_t first = index - segment;  // of the head
        const Partial result = partial_at(partials, first);
        if (std::atomic_ref(*result.done).fetch_add(1, std::memory_order_acq_rel) + 1 < tile.segments) return;
        for (std::int64_t s = 1; s < tile.segments; ++s) {
            work.compute.kernels.attention_merge(result.state, partial_at(partials, first + s).state, group_,
                                                 head_dim_);
        }
        finish(work, tile, head, result.state);
    };
    const auto attend_range = [&](std::size_t begin, std::size_t end, std::size_t worker) {
        for (std::size_t index = begin; index < end; ++index)
            attend_segment(static_cast<std::int64_t>(index), work.compute.thread_scratch(worker));
    };
    work.compute.run_shares_after(before, static_cast<std::size_t>(count), attend_range);
}

void Attention::run(const Compute& compute, const KvCache& cache, std::int64_t layer, float scale, const float* queries,
                    float* outputs, std::byte* partials, const RowStep& before) {
    for (std::size_t b = 0; b < blocks_.size(); ++b) {
        blocks_[b] = cache.block(block_sequences_[b], block_indices_[b], layer);
    }
    const Work work{compute, cache.shape().layer, scale, queries, outputs};
    if (split_segments_) {
        run_segments(work, partials, before);
    } else {
        run_tiles(work, before);
    }
}

}  // namespace puna::nn
