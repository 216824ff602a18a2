// The KV cache: blocks of 32 positions, and a table of blocks per sequence.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "kernels/kernel_table.h"
#include "puna/error.h"

namespace puna::nn {

/// For one thread at a time (kernels read and write blocks in parallel during a forward pass).
///
/// Address space for `capacity_positions` is reserved at creation; memory is used as positions are reached.
class KvCache {
  public:
    struct Shape {
        kernels::KvShape layer;  // the same for all layers
        std::int64_t layers;
    };
    /// Errors: invalid_argument, out_of_memory.
    static Result<std::unique_ptr<KvCache>> create(const kernels::KernelTable& kernels, Shape shape,
                                                   std::int64_t capacity_positions);
    ~KvCache();
    KvCache(const KvCache&) = delete;
    KvCache& operator=(const KvCache&) = delete;

    /// Whether keys and values can be stored so. Errors: invalid_argument (q8_0 with heads of no multiple of 32).
    static Result<void> check(const Shape& shape);
    /// Bytes of cache for `positions` positions of one sequence.
    static std::uint64_t bytes_for(const kernels::KernelTable& kernels, Shape shape, std::int64_t positions);

    /// A new, empty sequence: its slot.
    std::int32_t add_sequence();
    /// Gives the sequence's blocks back.
    void remove_sequence(std::int32_t sequence);
    /// Makes room for positions [0, length). Errors: context_overflow when no block is free.
    Result<void> reserve(std::int32_t sequence, std::int64_t length);
    /// Keeps positions [0, length), gives whole blocks beyond back.
    void truncate(std::int32_t sequence, std::int64_t length);

    const Shape& shape() const { return shape_; }
    std::int64_t free_positions() const;
    /// The layer's share of block `index` of a sequence's table.
    std::byte* block(std::int32_t sequence, std::int64_t index, std::int64_t layer) const;

    /// Copies one position's K and V, [kv_heads][head_dim] each, out of or into the cache, whatever the inner layout.
    void read(std::int32_t sequence, std::int64_t layer, std::int64_t position, float* k, float* v) const;
    void write(std::int32_t sequence, std::int64_t layer, std::int64_t position, const float* k, const float* v);

  private:
    KvCache() = default;
    const kernels::KernelTable* kernels_ = nullptr;
    Shape shape_{};
    std::size_t layer_bytes_ = 0;  // of one layer's share of a block
    std::size_t block_bytes_ = 0;  // of a block: all layers
    std::byte* memory_ = nullptr;
    std::size_t memory_bytes_ = 0;
    std::vector<std::int32_t> free_blocks_;
    std::vector<std::vector<std::int32_t>> tables_;  // [sequence][index] -> block
    std::vector<std::int32_t> free_sequences_;
};

}  // namespace puna::nn
