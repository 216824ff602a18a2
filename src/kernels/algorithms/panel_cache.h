// How much of decoded weights is kept at a time: what the second-level cache of this machine holds beside the
// activations that stream past it.
#pragma once

#include <cstddef>

#include "base/cpu.h"

namespace puna::kernels::algorithms {

/// Half of the second-level cache, 128 to 512 KiB: read from the system once.
static inline std::size_t panel_cache_bytes() {
    static const std::size_t bytes = [] {
        constexpr std::size_t least = std::size_t{128} << 10;
        constexpr std::size_t most = std::size_t{512} << 10;
        const auto half = static_cast<std::size_t>(base::cache_sizes().l2 / 2);
        return half < least ? least : half > most ? most : half;
    }();
    return bytes;
}

}  // namespace puna::kernels::algorithms
