// What the CPU, the operating system and the container let this process use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace puna::base {

/// A feature counts only if CPUID names it, XCR0 says that the system saves its registers, and, for AMX, the kernel
/// granted the permission (asked once, on the first call, which must come before any pool starts).
struct CpuFeatures {
    bool avx2 = false;    // with FMA, F16C and BMI2
    bool avx512 = false;  // F, BW, DQ, VL
    bool avx512_vnni = false;
    bool avx512_bf16 = false;
    bool gfni = false;  // on AVX-512 registers
    bool avx_vnni = false;
    bool amx_tile = false;
    bool amx_int8 = false;
    bool amx_bf16 = false;
    bool neon = false;

    /// Names of what is there, for people: {"avx2", "avx512", ...}.
    std::vector<std::string> names() const;
};

struct CacheSizes {
    std::uint64_t l1d = 32u << 10;  // bytes, per core
    std::uint64_t l2 = 256u << 10;  // bytes, per core
    std::uint64_t l3 = 4u << 20;    // bytes, shared
};

const CpuFeatures& cpu_features();
std::string cpu_model_name();
CacheSizes cache_sizes();

/// Cores that this process may use: the least of the affinity mask and the cgroup quota (v1 or v2, rounded up), at
/// least 1.
std::uint32_t usable_cores();
/// Bytes of memory still available to this process: the least of the system's and the cgroup's.
std::uint64_t available_memory();
std::uint64_t total_memory();

}  // namespace puna::base
