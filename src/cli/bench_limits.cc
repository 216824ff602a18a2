#include "cli/bench_limits.h"

#include <fmt/format.h>

#include <algorithm>

namespace puna::cli {
namespace {

Json number_or_null(double value) {
    return value > 0 ? Json(value) : Json();
}

Json peaks_json(const kernels::MultiplyPeaks& peaks) {
    return {{"float32", number_or_null(peaks.float32)},
            {"int16", number_or_null(peaks.int16)},
            {"int8", number_or_null(peaks.int8)},
            {"bf16", number_or_null(peaks.bf16)}};
}

}  // namespace

MachineLimits best_of(const MachineLimits& a, const MachineLimits& b) {
    const kernels::MultiplyPeaks& x = a.gmac_s;
    const kernels::MultiplyPeaks& y = b.gmac_s;
    return {std::max(a.read_gb_s, b.read_gb_s),
            {std::max(x.float32, y.float32), std::max(x.int16, y.int16), std::max(x.int8, y.int8),
             std::max(x.bf16, y.bf16)}};
}

MachineLimits measure_limits(std::uint32_t threads, LimitsEffort effort) {
    const bool quick = effort == LimitsEffort::quick;
    return {kernels::measure_read_bandwidth(threads, quick ? 0.2 : 1.0),
            kernels::measure_multiply_peaks(threads, quick ? 0.1 : 0.8)};
}

Result<LimitsByThreads> measure_limits(const std::vector<std::uint32_t>& threads, const InterruptWatch& interrupts) {
    LimitsByThreads limits;
    for (const std::uint32_t count : threads) {
        limits[count] = measure_limits(count, LimitsEffort::thorough);
        if (interrupts.interrupted()) return Error{ErrorCode::cancelled, "interrupted", ""};
    }
    return limits;
}

double peak_of(const kernels::MultiplyPeaks& peaks, std::string_view number_type) {
    if (number_type == "int16") return peaks.int16;
    if (number_type == "bf16") return peaks.bf16;
    return number_type == "int8" ? peaks.int8 : peaks.float32;
}

Json limits_json(const LimitsByThreads& limits) {
    Json read = Json::object();
    Json by_threads = Json::object();
    for (const auto& [threads, machine] : limits) {
        read[std::to_string(threads)] = number_or_null(machine.read_gb_s);
        by_threads[std::to_string(threads)] = peaks_json(machine.gmac_s);
    }
    return {
        {"read_gb_s", read}, {"gmac_s", peaks_json(limits.rbegin()->second.gmac_s)}, {"gmac_s_by_threads", by_threads}};
}

BenchTable limits_table(const LimitsByThreads& limits) {
    BenchTable table({{"limits: threads"}, {"read GB/s"}, {"float32 GMAC/s"}, {"int16"}, {"int8"}, {"bf16"}});
    const auto words = [](double peak) { return peak > 0 ? fmt::format("{:.0f}", peak) : std::string("none"); };
    for (const auto& [threads, machine] : limits) {
        const kernels::MultiplyPeaks& peaks = machine.gmac_s;
        table.add({std::to_string(threads), fmt::format("{:.1f}", machine.read_gb_s), words(peaks.float32),
                   words(peaks.int16), words(peaks.int8), words(peaks.bf16)});
    }
    return table;
}

}  // namespace puna::cli
