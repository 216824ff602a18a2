#include "nn/kv_cache.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>

#include "base/checked.h"
#include "base/large_pages.h"
#include "base/try.h"
#include "kernels/kv_storage.h"

namespace puna::nn {
namespace {

std::int64_t blocks_for(std::int64_t positions) {
    return (positions + kernels::kv_block_positions - 1) / kernels::kv_block_positions;
}

}  // namespace

Result<void> KvCache::check(const Shape& shape) {
    if (shape.layer.type != kernels::KvType::q8_0 || shape.layer.head_dim % kernels::kv_scaled_values == 0) return {};
    return Error{ErrorCode::invalid_argument,
                 fmt::format("KV type q8_0 needs heads of a multiple of {} values; this model's have {}",
                             kernels::kv_scaled_values, shape.layer.head_dim),
                 "choose f16 or f32"};
}

Result<std::unique_ptr<KvCache>> KvCache::create(const kernels::KernelTable& kernels, Shape shape,
                                                 std::int64_t capacity_positions) {
    if (capacity_positions < 1) {
        return Error{ErrorCode::invalid_argument, "a KV cache needs room for at least one position", ""};
    }
    PUNA_CHECK(check(shape));
    std::unique_ptr<KvCache> cache(new KvCache());
    cache->kernels_ = &kernels;
    cache->shape_ = shape;
    cache->layer_bytes_ = kernels.kv_block_bytes(shape.layer);
    cache->block_bytes_ = cache->layer_bytes_ * static_cast<std::size_t>(shape.layers);
    const std::int64_t blocks = blocks_for(capacity_positions);
    const auto bytes = base::checked_multiply(static_cast<std::uint64_t>(blocks), cache->block_bytes_);
    void* memory = MAP_FAILED;
    if (bytes)
        memory = mmap(nullptr, *bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return Error{ErrorCode::out_of_memory,
                     fmt::format("no address space for a KV cache of {} positions", capacity_positions),
                     "ask for a smaller context"};
    }
    base::prefer_large_pages(memory, *bytes);
    cache->memory_ = static_cast<std::byte*>(memory);
    cache->memory_bytes_ = *bytes;
    for (std::int64_t b = blocks; b > 0; --b)
        cache->free_blocks_.push_back(static_cast<std::int32_t>(b - 1));
    return cache;
}

KvCache::~KvCache() {
    if (memory_ != nullptr) munmap(memory_, memory_bytes_);
}

std::uint64_t KvCache::bytes_for(const kernels::KernelTable& kernels, Shape shape, std::int64_t positions) {
    return static_cast<std::uint64_t>(blocks_for(positions)) * kernels.kv_block_bytes(shape.layer) *
           static_cast<std::uint64_t>(shape.layers);
}

std::int32_t KvCache::add_sequence() {
    if (!free_sequences_.empty()) {
        const std::int32_t sequence = free_sequences_.back();
        free_sequences_.pop_back();
        return sequence;
    }
    tables_.emplace_back();
    return static_cast<std::int32_t>(tables_.size() - 1);
}

void KvCache::remove_sequence(std::int32_t sequence) {
    truncate(sequence, 0);
    free_sequences_.push_back(sequence);
}

Result<void> KvCache::reserve(std::int32_t sequence, std::int64_t length) {
    auto& table = tables_[static_cast<std::size_t>(sequence)];
    const auto wanted = static_cast<std::size_t>(blocks_for(length));
    if (wanted > table.size() && wanted - table.size() > free_blocks_.size()) {
        return Error{ErrorCode::context_overflow,
                     fmt::format("the KV cache has {} free positions, {} more are needed", free_positions(),
                                 static_cast<std::int64_t>(wanted - table.size()) * kernels::kv_block_positions),
                     "ask for a larger context or fewer sequences"};
    }
    while (table.size() < wanted) {
        table.push_back(free_blocks_.back());
        free_blocks_.pop_back();
    }
    return {};
}

void KvCache::truncate(std::int32_t sequence, std::int64_t length) {
    auto& table = tables_[static_cast<std::size_t>(sequence)];
    while (table.size() > static_cast<std::size_t>(blocks_for(length))) {
        free_blocks_.push_back(table.back());
        table.pop_back();
    }
}

std::int64_t KvCache::free_positions() const {
    return static_cast<std::int64_t>(free_blocks_.size()) * kernels::kv_block_positions;
}

std::byte* KvCache::block(std::int32_t sequence, std::int64_t index, std::int64_t layer) const {
    const std::int32_t block = tables_[static_cast<std::size_t>(sequence)][static_cast<std::size_t>(index)];
    return memory_ + static_cast<std::size_t>(block) * block_bytes_ + static_cast<std::size_t>(layer) * layer_bytes_;
}

void KvCache::read(std::int32_t sequence, std::int64_t layer, std::int64_t position, float* k, float* v) const {
    kernels_->kv_read(shape_.layer, block(sequence, position / kernels::kv_block_positions, layer),
                      position % kernels::kv_block_positions, k, v);
}

void KvCache::write(std::int32_t sequence, std::int64_t layer, std::int64_t position, const float* k, const float* v) {
    kernels_->kv_write(shape_.layer, block(sequence, position / kernels::kv_block_positions, layer),
                       position % kernels::kv_block_positions, k, v);
}

}  // namespace puna::nn
