// The SIGBUS handler behind FileMapping, and its table of guarded ranges.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>

namespace puna::base {

/// Ranges that can be guarded at a time.
inline constexpr std::size_t kGuardSlots = 4096;

/// Guards a mapping of whole pages, [begin, begin + size): once a fault in it raises SIGBUS, the pages from the fault
/// to the end become zeros and the slot is lost. The first call installs the handler. Returns the slot, or nullopt if
/// the table is full. Thread-safe.
std::optional<std::size_t> guard_range(const std::byte* begin, std::size_t size);

/// Gives the slot back; call it before the range is unmapped, when nobody reads it any more. Thread-safe.
void release_guard(std::size_t slot);

/// Whether a fault was met in the slot's range. The reference is valid forever, its meaning until the slot's release.
const std::atomic<bool>& guard_lost(std::size_t slot);

}  // namespace puna::base
