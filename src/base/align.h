// Sizes in whole cache lines: what buffers, rows and blocks that vectors read are rounded up to.
#pragma once

#include <cstddef>

namespace puna::base {

inline constexpr std::size_t cache_line_bytes = 64;

constexpr std::size_t round_up_to_line(std::size_t bytes) {
    return (bytes + cache_line_bytes - 1) / cache_line_bytes * cache_line_bytes;
}

}  // namespace puna::base
