// What the process's control groups (v1, v2 or both) let it use. Linux kernel documentation, "Control Group v2" and
// "cgroup-v1".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace puna::base {

struct CgroupLimits {
    std::optional<std::uint32_t> cores;             // CPU quota over its period, rounded up, at least 1
    std::optional<std::uint64_t> memory_limit;      // bytes
    std::optional<std::uint64_t> memory_available;  // bytes left under the limit; the page cache counts as free
};

/// The tightest limits on the way from this process's groups up to the root of the hierarchy. `root` stands before
/// every path that is read, "" for the running system. What is missing or not understood is no limit.
CgroupLimits cgroup_limits(const std::string& root);

}  // namespace puna::base
