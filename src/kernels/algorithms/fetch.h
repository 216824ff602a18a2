// Software prefetching.
#pragma once

#include <cstddef>

#include "kernels/algorithms/inline.h"

namespace puna::kernels::algorithms {

/// Asks for `bytes` bytes of weights ahead of their use: into the first-level cache if they are `near`.
PUNA_INLINE void fetch(const std::byte* p, std::size_t bytes, bool near) {
    if (near) {
        for (std::size_t at = 0; at < bytes; at += 64)
            __builtin_prefetch(p + at, 0, 3);
    } else {
        for (std::size_t at = 0; at < bytes; at += 64)
            __builtin_prefetch(p + at, 0, 2);
    }
}

}  // namespace puna::kernels::algorithms
