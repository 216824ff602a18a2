// How much of decoded weights is kept at a time: what the second-level cache of this machine holds beside the
// activations that stream past it.
#pragma once

#include <cstddef>
#include <cstdint>

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

/// How many rows of `row_bytes` are kept together in `cache_bytes`: a multiple of `least_rows`, and at most
/// `most_rows`, which is one too.
static inline std::int64_t rows_of_panel(std::size_t row_bytes, std::int64_t least_rows, std::int64_t most_rows,
                                         std::size_t cache_bytes) {
    const std::int64_t fit = static_cast<std::int64_t>(cache_bytes / row_bytes) / least_rows * least_rows;
    return fit < least_rows ? least_rows : fit > most_rows ? most_rows : fit;
}

/// The most that a panel of at least `least_rows` and at most `most_rows` rows takes where as many are kept as
/// `cache_bytes` holds, for all rows of up to `row_bytes`: shorter rows may fill the cache better than these do.
static inline std::size_t most_panel_bytes(std::size_t row_bytes, std::int64_t least_rows, std::int64_t most_rows,
                                           std::size_t cache_bytes) {
    const std::size_t least = static_cast<std::size_t>(least_rows) * row_bytes;
    const std::size_t most = static_cast<std::size_t>(most_rows) * row_bytes;
    const std::size_t kept = most < cache_bytes ? most : cache_bytes;
    return least > kept ? least : kept;
}

}  // namespace puna::kernels::algorithms
