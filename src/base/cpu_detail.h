// The parts of cpu.h that depend on nothing but their arguments, for cpu.cc and its tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/cpu.h"

namespace puna::base {

/// What an x86-64 CPU and its system answer. Intel SDM volume 2, CPUID; volume 1, chapters 13 and 18.
struct X86Identity {
    std::uint32_t leaf1_ecx = 0;
    std::uint32_t leaf7_ebx = 0;
    std::uint32_t leaf7_ecx = 0;
    std::uint32_t leaf7_edx = 0;
    std::uint32_t leaf7_1_eax = 0;
    std::uint64_t xcr0 = 0;       // register states that the system saves
    bool amx_permission = false;  // tile data granted to this process
};

CpuFeatures decode_features(const X86Identity& identity);

/// The CPUs that a list such as "0-3,8" names, as in sysfs; those before the first part that is no such list.
std::vector<std::uint32_t> parse_cpu_list(std::string_view list);

/// Cache sizes from sysfs under `root`; a size that is not there keeps the value in `fallback`.
CacheSizes cache_sizes_under(const std::string& root, CacheSizes fallback);

struct Memory {
    std::uint64_t total = 0;      // bytes
    std::uint64_t available = 0;  // bytes
};

/// The least of /proc/meminfo and the control groups under `root`; zeros if there is no meminfo.
Memory memory_under(const std::string& root);

/// The least of `allowed` (the affinity mask's cores) and the control groups' quota under `root`, at least 1.
std::uint32_t cores_under(const std::string& root, std::uint32_t allowed);

}  // namespace puna::base
