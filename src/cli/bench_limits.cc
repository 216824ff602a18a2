#include "cli/bench_limits.h"

#include <fmt/format.h>

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

Result<LimitsByThreads> measure_limits(const std::vector<std::uint32_t>& threads, LimitsEffort effort,
                                       const InterruptWatch& interrupts) {
    const bool quick = effort == LimitsEffort::quick;
    LimitsByThreads limits;
    for (const std::uint32_t count : threads) {
        MachineLimits& machine = limits[count];
        machine.read_gb_s = kernels::measure_read_bandwidth(count, quick ? 0.2 : 1.0);
        if (!interrupts.interrupted()) machine.gmac_s = kernels::measure_multiply_peaks(count, quick ? 0.1 : 0.8);
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
