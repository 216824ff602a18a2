// The results of bench on whole models: what a row holds, and how it is printed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/bench_cost.h"
#include "cli/bench_limits.h"
#include "cli/bench_measure.h"
#include "cli/bench_table.h"
#include "cli/compute_flags.h"
#include "cli/console.h"

namespace puna::cli {

struct Spread {
    double median = 0;
    double min = 0;
    double max = 0;
};
/// `values` may not be empty.
Spread spread_of(std::vector<double> values);

struct BenchRow {
    std::string model;
    std::string type;
    BenchTest test;
    std::uint32_t threads = 0;
    std::optional<double> large_pages_percent;  // of the weights' bytes, where the system tells
    Spread tokens_per_second;                   // of all sequences together
    double gb_s = 0;
    double gmac_s = 0;
    std::string bound;        // "read", or the number type of the multiplies
    double limit_before = 0;  // GB/s or GMAC/s
    double limit_after = 0;
    double percent_of_limit = 0;  // of the better of the two
};

/// How it was measured, beside what ComputeFlags::Choice says.
struct BenchSettings {
    std::uint32_t batch_size = 0;
    std::uint32_t repetitions = 0;
};

/// A row without the names of its model.
BenchRow make_row(const ModelCost& model, const BenchTest& test, const BenchTimes& times,
                  kernels::Activations activations);

Json row_json(const BenchRow& row, const ComputeFlags::Choice& choice, const BenchSettings& settings);
BenchTable rows_table(const std::vector<BenchRow>& rows);

}  // namespace puna::cli
