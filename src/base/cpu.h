// What the CPU, the operating system and the container let this process use.
#pragma once

#include <cstdint>
#include <span>
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

/// The numbers of the CPUs that the calling thread may run on, ascending; empty where the system does not say.
std::vector<std::uint32_t> allowed_cpus();
/// While it lives, the thread that made it, and those that it starts, run on some CPUs alone.
class CpuScope {
  public:
    CpuScope() = default;
    /// Changes nothing where the system refuses.
    explicit CpuScope(std::span<const std::uint32_t> cpus);
    CpuScope(CpuScope&&) noexcept = default;
    CpuScope& operator=(CpuScope&&) = delete;
    ~CpuScope();

  private:
    std::vector<std::uint32_t> before_;  // empty: nothing was changed
};
/// Cores that this process may use: the least of the affinity mask and the cgroup quota (v1 or v2, rounded up), at
/// least 1.
std::uint32_t usable_cores();
/// The threads that are put to work where `asked` are asked for (0: no wish): no more than usable cores. Those beyond
/// would share a core with another, for which all wait then at the end of every call.
std::uint32_t working_threads(std::uint32_t asked);
/// Bytes of memory still available to this process: the least of the system's and the cgroup's.
std::uint64_t available_memory();
std::uint64_t total_memory();
/// The most memory that this process held at a time (its peak resident set), bytes; 0 where the system does not say.
std::uint64_t peak_memory();

}  // namespace puna::base
