// What else the machine did while something was measured on it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace puna::cli {

/// CPU time since the start of the machine, of all its cores, in clock ticks.
struct CpuTicks {
    std::uint64_t busy = 0;  // processes, the system, and what a host took for itself
    std::uint64_t all = 0;   // with idle time
};
/// The first line of /proc/stat (proc(5)); nullopt if it is none.
std::optional<CpuTicks> parse_cpu_ticks(std::string_view stat);

/// Begins to look when it is made.
class MachineLoad {
  public:
    MachineLoad();
    /// The percentage of the machine's CPU time since then that other processes had; nullopt where the system does not
    /// say, or too little time has passed.
    std::optional<double> others_percent() const;

  private:
    std::optional<CpuTicks> start_;
    double own_seconds_;  // of CPU time, at the start
};

}  // namespace puna::cli
