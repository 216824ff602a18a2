// How long a context the machine's memory allows.
#pragma once

#include <cstdint>

#include "kernels/kernel_table.h"
#include "nn/kv_cache.h"
#include "puna/error.h"

namespace puna::engine {

/// What the choice depends on; bytes all of them.
struct MemoryNeeds {
    std::uint64_t available = 0;  // 0: the system does not say; all is taken to fit
    std::uint64_t file = 0;       // mapped; it should stay in memory while the model runs
    std::uint64_t workspace = 0;
    std::uint64_t kv_block = 0;  // of the KV cache, for `kernels::kv_block_positions` positions
};

struct ContextPlan {
    std::int64_t tokens = 0;
    bool capped_by_memory = false;
};

/// `asked` 0: the model's context, or, where the KV cache would take more than the memory that file and workspace leave
/// (less a tenth, for everyone else), as much as does fit, but at least 512. Memory is used as positions are reached,
/// so that least is no promise of an overflow. Errors: invalid_argument when more is asked than the model was made for;
/// out_of_memory when what is asked does not fit into the available memory.
Result<ContextPlan> plan_context(std::uint32_t asked, std::int64_t model_context, const MemoryNeeds& memory);

/// `kv_bytes(positions)`, saturating; `kv_block` as in MemoryNeeds.
std::uint64_t kv_bytes(std::uint64_t positions, std::uint64_t kv_block);

}  // namespace puna::engine
