// The products of single matrices, by type of the weights and rows of activations: `puna bench --types`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "cli/bench_limits.h"
#include "cli/bench_table.h"
#include "cli/compute_flags.h"
#include "cli/console.h"
#include "cli/interrupt.h"
#include "puna/error.h"
#include "quant/tensor_type.h"

namespace puna::cli {

struct ProductRow {
    const quant::TypeInfo* type = nullptr;
    std::int64_t columns = 0;  // K
    std::int64_t rows = 0;     // of activations
    std::uint32_t threads = 0;
    std::string activations;  // as the weights take them: F16 asked for int16 takes float32
    double gb_s = 0;          // of weights
    double gmac_s = 0;
    std::string bound;  // "read", or the instruction's name
    double percent_of_limit = 0;
};

/// The types that `list` names between commas, each once; "all" are those that this build computes. Letter case does
/// not matter. Errors: invalid_argument.
Result<std::vector<const quant::TypeInfo*>> parse_product_types(const std::string& list);

struct ProductSpec {
    std::vector<const quant::TypeInfo*> types;
    std::vector<std::uint32_t> columns;
    std::vector<std::uint32_t> rows;
};

/// Measures every type x columns x rows on the pool, weights streamed from memory that is far larger than the caches,
/// as generation reads them. The limit is what the machine would allow: min(rows x read bandwidth / bytes of a weight,
/// peak of the instruction), of the better of what `look` measures before and after a type. Types whose blocks do not
/// divide the columns are left out, with a note on stderr. What was measured before an error is in `results` too.
/// Errors: cancelled, out_of_memory.
Result<void> measure_products(const ProductSpec& spec, const ComputeFlags::Choice& choice, base::ThreadPool& pool,
                              base::FunctionRef<MachineLimits()> look, const InterruptWatch& interrupts,
                              std::vector<ProductRow>& results);

Json product_json(const ProductRow& row, const ComputeFlags::Choice& choice);
/// A line for each type, columns and threads; a column for each number of rows, empty where the measurement ended
/// before it.
BenchTable products_table(const std::vector<ProductRow>& rows);

}  // namespace puna::cli
