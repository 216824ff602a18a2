// Keys and values out of the cache, and into it.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/session/session_data.h"
#include "nn/kv_cache.h"

namespace puna::engine {

/// Positions [0, positions) of a sequence, as stored: nothing is rounded. May throw std::bad_alloc.
std::shared_ptr<const KvRows> copy_rows(const nn::KvCache& cache, std::int32_t sequence, std::int64_t positions);

/// Writes positions [0, positions) of `rows`, which hold `stored` positions of the cache's shape, to a sequence that
/// has room for them. The cache then holds the bits that it held when the rows were copied.
void restore_rows(nn::KvCache& cache, std::int32_t sequence, const KvRows& rows, std::int64_t stored,
                  std::int64_t positions);

}  // namespace puna::engine
