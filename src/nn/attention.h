// Causal attention of a batch over the KV cache, grouped-query heads included.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "nn/batch.h"
#include "nn/compute.h"
#include "nn/kv_cache.h"

namespace puna::nn {

/// Cuts a batch's attention into tasks for the pool: tiles of consecutive tokens of a sequence, times KV heads, and,
/// for few tokens over long contexts, times segments of 512 positions. How it is cut never changes a bit: the law
/// orders the blocks of a segment and the segments of a row. For one thread at a time.
class Attention {
  public:
    /// `heads` query heads share `kv_heads` KV heads evenly.
    Attention(std::int64_t heads, std::int64_t kv_heads, std::int64_t head_dim);

    /// Scratch that each thread needs.
    std::size_t scratch_bytes() const;
    /// Bytes of partial results, for `partials`.
    std::size_t partial_bytes() const;

    /// Lays out the work of one batch; the same for all layers.
    void plan(const Batch& batch, std::size_t threads);

    /// queries: [rows][heads][head_dim], rotated; outputs: the same shape. Keys and values up to each row's own
    /// position lie in the cache. `partials`: partial_bytes() of memory, 64-byte aligned. Begins with `before`, which
    /// may be what rotates the queries and fills the cache.
    void run(const Compute& compute, const KvCache& cache, std::int64_t layer, float scale, const float* queries,
             float* outputs, std::byte* partials, const RowStep& before = {});

  private:
    struct Tile {
        std::int64_t first_row;  // in the batch
        std::int64_t tokens;
        std::int64_t segments;
        std::int64_t first_block;  // in blocks_, of the tile's sequence
        std::int64_t first_partial;
    };
    /// What one segment gives for one KV head of a tile of one token.
    struct Partial {
        kernels::SoftmaxState state;  // of the group's rows
        std::int64_t* done;           // of a head's first segment: how many of its segments are
    };
    struct Work;  // what run() hands to its tasks

    std::size_t one_partial_bytes() const;
    std::size_t row_table_bytes() const;  // of scratch: a tile's queries and positions
    Partial partial_at(std::byte* memory, std::int64_t index) const;
    void run_tiles(const Work& work, const RowStep& before) const;
    void run_segments(const Work& work, std::byte* partials, const RowStep& before) const;
    void run_segment(const Work& work, const Tile& tile, std::int64_t kv_head, std::int64_t segment, std::byte* scratch,
                     const kernels::SoftmaxState& out) const;
    void finish(const Work& work, const Tile& tile, std::int64_t kv_head, const kernels::SoftmaxState& result) const;

    std::int64_t heads_;
    std::int64_t kv_heads_;
    std::int64_t head_dim_;
    std::int64_t group_;        // query heads that share a KV head
    std::int64_t tile_tokens_;  // at most, in a tile
    std::int64_t tile_rows_;    // query rows of a full tile: tile_tokens_ * group_
    bool split_segments_ = false;
    std::vector<Tile> tiles_;
    std::vector<std::int64_t> positions_;        // [batch rows]
    std::vector<std::int32_t> block_sequences_;  // [blocks]: whose table
    std::vector<std::int64_t> block_indices_;    // [blocks]: index in that table
    std::vector<const std::byte*> blocks_;       // [blocks]: of the current layer
};

}  // namespace puna::nn
