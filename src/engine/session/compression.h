// A section of a session's file, compressed by zstd.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "puna/error.h"

namespace puna::engine {

/// How much smaller a section may have become. More is not written, and not believed when a file says so: memory for
/// what a file holds is then bounded by its size. Keys and values shrink by a tenth.
inline constexpr std::uint64_t most_compression = 256;

/// One frame that says how many bytes it holds; empty if it is not smaller than `bytes`, or too much so. Errors:
/// out_of_memory.
Result<std::vector<std::byte>> compress(std::span<const std::byte> bytes);

/// Whether `frame` is one frame, sound and nothing beside it, of exactly as many bytes as `to` has, which it fills.
/// Allocates nothing that depends on what the frame says.
bool decompress(std::span<const std::byte> frame, std::span<std::byte> to);

}  // namespace puna::engine
