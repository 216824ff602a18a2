// What this machine can do at best: the yardstick that results are printed beside.
#pragma once

#include <cstdint>

#include "base/thread_pool.h"
#include "kernels/peaks.h"

namespace puna::kernels {

/// Read bandwidth in GB/s (10^9 bytes) over a buffer far larger than the caches, on `threads` threads. Takes about
/// `seconds`. 0 if no memory or threads could be had.
double measure_read_bandwidth(std::uint32_t threads, double seconds = 0.2);

/// Billions of multiply-adds a second that the fastest instructions for a number type reach, on `threads` threads, with
/// everything in registers.
struct MultiplyPeaks {
    double float32 = 0;
    double int16 = 0;
    double int8 = 0;
    double bf16 = 0;  // 0 where the CPU has no instruction for it
};
MultiplyPeaks measure_multiply_peaks(std::uint32_t threads, double seconds = 0.1);

/// The best rate of `loop` on all threads of the pool, in billions of multiply-adds a second: the best of several
/// passes within about `seconds`. 0 for a null loop.
double measure_loop(base::ThreadPool& pool, PeakLoop loop, double seconds);

}  // namespace puna::kernels
