// What the machine can do at best, for each number of threads that bench runs on.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/bench_table.h"
#include "cli/console.h"
#include "cli/interrupt.h"
#include "kernels/limits.h"
#include "puna/error.h"

namespace puna::cli {

struct MachineLimits {
    double read_gb_s = 0;
    kernels::MultiplyPeaks gmac_s;
};
using LimitsByThreads = std::map<std::uint32_t, MachineLimits>;

/// The better of each.
MachineLimits best_of(const MachineLimits& a, const MachineLimits& b);

/// What the machine could do before and after something was measured: where others share it, memory may be twice as
/// fast from one minute to the next.
struct LimitsAround {
    MachineLimits before;
    MachineLimits after;
};

/// How long to look for the best: enough to divide by, or, where the limits are what was asked for, longer.
enum class LimitsEffort { quick, thorough };

MachineLimits measure_limits(std::uint32_t threads, LimitsEffort effort);
/// For each of `threads`, thoroughly. Errors: cancelled.
Result<LimitsByThreads> measure_limits(const std::vector<std::uint32_t>& threads, const InterruptWatch& interrupts);

/// `number_type`: "float32", "int16", "int8" or "bf16". 0 where the CPU has no instruction.
double peak_of(const kernels::MultiplyPeaks& peaks, std::string_view number_type);

/// {"read_gb_s": {THREADS: value}, "gmac_s": {of the largest number}, "gmac_s_by_threads": {THREADS: {...}}}
Json limits_json(const LimitsByThreads& limits);
BenchTable limits_table(const LimitsByThreads& limits);

}  // namespace puna::cli
