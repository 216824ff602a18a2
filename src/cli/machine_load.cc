#include "cli/machine_load.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string>

namespace puna::cli {
namespace {

double own_cpu_seconds() {
    rusage usage = {};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

std::optional<CpuTicks> read_cpu_ticks() {
    std::ifstream file("/proc/stat");
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    return parse_cpu_ticks(line);
}

}  // namespace

std::optional<CpuTicks> parse_cpu_ticks(std::string_view stat) {
    constexpr std::string_view start = "cpu ";
    if (!stat.starts_with(start)) return std::nullopt;
    stat.remove_prefix(start.size());
    // user, nice, system, idle, iowait, irq, softirq, steal; guests, which follow, are among user and nice.
    constexpr int fields = 8;
    constexpr int idle = 3;
    constexpr int iowait = 4;
    CpuTicks ticks;
    for (int field = 0; field < fields; ++field) {
        stat.remove_prefix(std::min(stat.find_first_not_of(' '), stat.size()));
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(stat.data(), stat.data() + stat.size(), value);
        if (error != std::errc()) return std::nullopt;
        stat.remove_prefix(static_cast<std::size_t>(end - stat.data()));
        ticks.all += value;
        if (field != idle && field != iowait) ticks.busy += value;
    }
    return ticks;
}

MachineLoad::MachineLoad() : start_(read_cpu_ticks()), own_seconds_(own_cpu_seconds()) {}

std::optional<double> MachineLoad::others_percent() const {
    constexpr double least_ticks = 20;
    const std::optional<CpuTicks> now = read_cpu_ticks();
    if (!start_ || !now) return std::nullopt;
    const auto all = static_cast<double>(now->all - start_->all);
    if (now->all <= start_->all || all < least_ticks) return std::nullopt;
    const auto busy = static_cast<double>(now->busy - start_->busy);
    const double own = (own_cpu_seconds() - own_seconds_) * static_cast<double>(sysconf(_SC_CLK_TCK));
    return std::clamp(100 * (busy - own) / all, 0.0, 100.0);
}

}  // namespace puna::cli
