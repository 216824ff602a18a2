#include "engine/context_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/checked.h"

namespace puna::engine {
namespace {

constexpr std::int64_t least_context = 512;
constexpr auto block_positions = static_cast<std::uint64_t>(kernels::kv_block_positions);

std::uint64_t less(std::uint64_t from, std::uint64_t amount) {
    return from > amount ? from - amount : 0;
}

std::int64_t positions_in(std::uint64_t bytes, std::uint64_t kv_block) {
    const std::uint64_t blocks = kv_block == 0 ? 0 : bytes / kv_block;
    return static_cast<std::int64_t>(std::min<std::uint64_t>(blocks, 1U << 30) * block_positions);
}

}  // namespace

std::uint64_t kv_bytes(std::uint64_t positions, std::uint64_t kv_block) {
    const std::uint64_t blocks = positions / block_positions + (positions % block_positions != 0 ? 1 : 0);
    return base::checked_multiply(blocks, kv_block).value_or(std::numeric_limits<std::uint64_t>::max());
}

Result<ContextPlan> plan_context(std::uint32_t asked, std::int64_t model_context, const MemoryNeeds& memory) {
    if (asked > model_context) {
        return Error{
            ErrorCode::invalid_argument,
            fmt::format("a context of {} tokens is asked for, and the model was made for {}", asked, model_context),
            "ask for less, or leave it out to take what the model was made for"};
    }
    if (memory.available == 0) return ContextPlan{asked == 0 ? model_context : asked};
    if (asked == 0) {
        const std::uint64_t others = memory.available / 10;
        const std::uint64_t room = less(memory.available, memory.file + memory.workspace + others);
        if (kv_bytes(static_cast<std::uint64_t>(model_context), memory.kv_block) <= room)
            return ContextPlan{model_context};
        const std::int64_t fits = std::max(positions_in(room, memory.kv_block), least_context);
        return ContextPlan{std::min(fits, model_context), fits < model_context};
    }
    const std::uint64_t room = less(memory.available, memory.workspace);
    const std::uint64_t needed = kv_bytes(asked, memory.kv_block);
    if (needed > room) {
        return Error{
            ErrorCode::out_of_memory,
            fmt::format("a context of {} tokens needs {} bytes of KV cache, and {} are available", asked, needed, room),
            fmt::format("a context of up to {} tokens fits", positions_in(room, memory.kv_block))};
    }
    return ContextPlan{asked};
}

}  // namespace puna::engine
