// What this machine can do at best: the yardstick that results are printed beside.
#pragma once

#include <cstdint>

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

}  // namespace puna::kernels
