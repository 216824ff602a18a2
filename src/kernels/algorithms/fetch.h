// Software prefetching.
#pragma once

#include <cstddef>

#include "kernels/algorithms/inline.h"

namespace puna::kernels::algorithms {

/// How far ahead of a straight line of fetches a second one runs into the second-level cache. A fetch from memory holds
/// one of the core's few line buffers for all its latency, and those alone cannot keep memory busy; with the second
/// line the first one finds its data close by, and buffers are free again after a few cycles. Measured with two
/// threads: on Zen 3, 1 to 4 KiB are alike; on Zen 4, 1, 2, 4 and 8 KiB gave 24, 29, 38 and 42 GB/s of Q4_0, and more
/// no more.
inline constexpr std::size_t second_line = 8192;

/// Asks for the line at p, which is used soon.
PUNA_INLINE void fetch_line(const std::byte* p) {
    __builtin_prefetch(p, 0, 3);
}

/// The same into the second-level cache, where it waits.
PUNA_INLINE void fetch_line_nearby(const std::byte* p) {
    __builtin_prefetch(p, 0, 2);
}

/// Asks for `bytes` bytes of weights ahead of their use: into the first-level cache if they are `near`.
PUNA_INLINE void fetch(const std::byte* p, std::size_t bytes, bool near) {
    const auto both_lines = [&](auto fetch_first) PUNA_INLINE_LAMBDA {
        // Else GCC computes all addresses ahead of the branch, and keeps them in vector registers.
        __asm__("" : "+r"(p));
        for (std::size_t at = 0; at < bytes; at += 64) {
            fetch_first(p + at);
            fetch_line_nearby(p + at + second_line);
        }
    };
    if (near) {
        both_lines([](const std::byte* line) PUNA_INLINE_LAMBDA { fetch_line(line); });
    } else {
        both_lines([](const std::byte* line) PUNA_INLINE_LAMBDA { fetch_line_nearby(line); });
    }
}

}  // namespace puna::kernels::algorithms
