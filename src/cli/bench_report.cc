#include "cli/bench_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace puna::cli {
namespace {

/// The number type that most multiplies of a model use.
std::string_view multiply_type(const ModelCost& cost, kernels::Activations activations) {
    using kernels::Activations;
    if (activations == Activations::bf16_tiles || activations == Activations::bf16_lanes) {
        return kernels::activations_name(activations);
    }
    const std::uint64_t all = cost.layer_multiplies + cost.head_multiplies;
    const bool quantized = 2 * cost.integer_multiplies > all;
    return kernels::activations_name(quantized ? activations : kernels::Activations::float32);
}

/// "84 % of read, 34.2", and the lesser limit before it where the two are far apart.
std::string share_words(const BenchRow& row) {
    constexpr double far_apart = 1.15;
    const auto [less, more] = std::minmax(row.limit_before, row.limit_after);
    const std::string limit =
        more > less * far_apart ? fmt::format("{:.1f} ... {:.1f}", less, more) : fmt::format("{:.1f}", more);
    return fmt::format("{:.0f} % of {}, {}", row.percent_of_limit, row.bound, limit);
}

}  // namespace

Spread spread_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    return {median, values.front(), values.back()};
}

BenchRow make_row(const ModelCost& model, const BenchTest& test, const BenchTimes& times,
                  kernels::Activations activations) {
    BenchRow row;
    row.test = test;
    const auto tokens = static_cast<double>(test.tokens * test.parallel);
    std::vector<double> speeds;
    for (const double seconds : times.seconds)
        speeds.push_back(tokens / seconds);
    row.tokens_per_second = spread_of(speeds);
    const double seconds = tokens / row.tokens_per_second.median;
    row.gb_s = times.cost.bytes / seconds / 1e9;
    row.gmac_s = times.cost.multiplies / seconds / 1e9;

    // The limit that allows the least speed is the one that binds.
    const std::string_view number_type = multiply_type(model, activations);
    const MachineLimits limits = best_of(times.limits.before, times.limits.after);
    const double peak = peak_of(limits.gmac_s, number_type);
    const double read_share = limits.read_gb_s > 0 ? row.gb_s / limits.read_gb_s : 0;
    const double multiply_share = peak > 0 ? row.gmac_s / peak : 0;
    const bool read_binds = read_share >= multiply_share;
    row.bound = read_binds ? "read" : number_type;
    const auto limit_of = [&](const MachineLimits& l) {
        return read_binds ? l.read_gb_s : peak_of(l.gmac_s, number_type);
    };
    row.limit_before = limit_of(times.limits.before);
    row.limit_after = limit_of(times.limits.after);
    row.percent_of_limit = 100 * std::max(read_share, multiply_share);
    return row;
}

Json row_json(const BenchRow& row, const ComputeFlags::Choice& choice, const BenchSettings& settings) {
    Json entry = {{"model", row.model},
                  {"type", row.type},
                  {"test", row.test.name()},
                  {"depth", row.test.depth},
                  {"parallel", row.test.parallel},
                  {"threads", row.threads},
                  {"kernels", choice.kernels->name},
                  {"activations", kernels::activations_name(choice.activations)},
                  {"kv", kernels::kv_type_name(choice.kv_type)},
                  {"law", kernels::law_id(choice.activations)},
                  {"batch_size", settings.batch_size},
                  {"repetitions", settings.repetitions},
                  {"tokens_per_second",
                   {{"median", row.tokens_per_second.median},
                    {"min", row.tokens_per_second.min},
                    {"max", row.tokens_per_second.max}}}};
    if (row.bound == "read") {
        entry["gb_s"] = row.gb_s;
    } else {
        entry["gmac_s"] = row.gmac_s;
    }
    if (row.large_pages_percent) entry["large_pages_percent"] = *row.large_pages_percent;
    entry["multiply_adds_per_byte"] = row.gmac_s / row.gb_s;
    entry["bound"] = row.bound;
    entry["limit"] = {{"before", row.limit_before}, {"after", row.limit_after}};
    entry["percent_of_limit"] = row.percent_of_limit;
    return entry;
}

BenchTable rows_table(const std::vector<BenchRow>& rows) {
    using enum BenchTable::Align;
    BenchTable table({{"model", left},
                      {"type", left},
                      {"test", left},
                      {"parallel"},
                      {"threads"},
                      {"tokens/s"},
                      {"min ... max"},
                      {"GB/s"},
                      {"GMAC/s"},
                      {"share of limit", left}});
    for (const BenchRow& row : rows) {
        const Spread& speed = row.tokens_per_second;
        table.add({row.model, row.type, row.test.name(), std::to_string(row.test.parallel), std::to_string(row.threads),
                   fmt::format("{:.2f}", speed.median), fmt::format("{:.2f} ... {:.2f}", speed.min, speed.max),
                   fmt::format("{:.1f}", row.gb_s), fmt::format("{:.1f}", row.gmac_s), share_words(row)});
    }
    return table;
}

}  // namespace puna::cli
