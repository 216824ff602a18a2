#include "cli/bench_products.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <tuple>

#include "base/cpu.h"
#include "base/large_pages.h"
#include "base/rng.h"
#include "base/try.h"
#include "cli/bench_report.h"
#include "cli/units.h"
#include "convert/random_model.h"
#include "formats/printable.h"
#include "kernels/instruction_peaks.h"
#include "nn/linear.h"

namespace puna::cli {
namespace {

using Clock = std::chrono::steady_clock;
using kernels::Activations;

/// Memory for the weights: twice the last cache, within reason.
std::uint64_t weight_bytes() {
    const std::uint64_t wanted =
        std::clamp<std::uint64_t>(2 * base::cache_sizes().l3, std::uint64_t{256} << 20, std::uint64_t{1} << 30);
    return std::min(wanted, base::available_memory() / 4);
}

/// Rows of one matrix: as a feed-forward layer of this width has them.
std::int64_t matrix_rows(std::int64_t columns) {
    return std::max<std::int64_t>(1, columns * 11 / 4 / kernels::row_tile) * kernels::row_tile;
}

/// Matrices of one type and width, one behind the other, that are multiplied in turn.
class Products {
  public:
    Products(const ComputeFlags::Choice& choice, base::ThreadPool& pool, nn::Buffer<std::byte>& weights,
             const quant::TypeInfo& type, std::int64_t columns)
        : choice_(choice),
          pool_(pool),
          weights_(weights),
          type_(type),
          activations_(nn::activations_for(type.type, choice.activations)),
          columns_(columns),
          row_bytes_(static_cast<std::size_t>(columns) / type.block_elements * type.block_bytes) {
        const std::vector<std::byte> rows = convert::make_random_rows(type, static_cast<std::uint64_t>(columns), pool);
        all_rows_ = static_cast<std::int64_t>(weights.size() / row_bytes_);
        pool.run(static_cast<std::size_t>(all_rows_), [&](std::size_t row, std::size_t) {
            std::memcpy(weights.data() + row * row_bytes_, rows.data() + row % convert::random_rows * row_bytes_,
                        row_bytes_);
        });
    }

    /// Seconds for a multiply-add, from several stretches of time; the median of them. 0 if it was interrupted.
    Result<double> seconds_per_product(std::int64_t rows, const InterruptWatch& interrupts);
    Activations activations() const { return activations_; }

  private:
    const ComputeFlags::Choice& choice_;
    base::ThreadPool& pool_;
    nn::Buffer<std::byte>& weights_;
    const quant::TypeInfo& type_;
    Activations activations_;
    std::int64_t columns_;
    std::size_t row_bytes_;
    std::int64_t all_rows_ = 0;  // that the memory holds
    std::int64_t next_row_ = 0;  // where the next matrix begins
};

Result<double> Products::seconds_per_product(std::int64_t rows, const InterruptWatch& interrupts) {
    constexpr int stretches = 5;
    constexpr double stretch_seconds = 0.05;
    constexpr double enough_seconds = 1.5;           // for sets that take long
    constexpr std::int64_t most_products = 1 << 30;  // of one matrix with all rows
    const std::int64_t by_work = most_products / (rows * columns_) / kernels::row_tile * kernels::row_tile;
    const std::int64_t height =
        std::min({matrix_rows(columns_), std::max<std::int64_t>(by_work, 16 * kernels::row_tile), all_rows_});

    nn::LinearForms forms;
    nn::add_form(forms, type_.type, choice_.activations);
    const kernels::KernelTable& set = *choice_.kernels;
    const std::size_t scratch_bytes = (set.matmul_scratch_bytes(columns_) + 63) / 64 * 64;
    const nn::Buffer<std::byte> scratch(scratch_bytes * pool_.size());
    const nn::Buffer<std::byte> memory(nn::LinearInput::bytes(set, choice_.activations, forms, rows, columns_));
    const nn::Buffer<float> results(static_cast<std::size_t>(rows * height));
    if (!scratch || !memory || !results) {
        return Error{ErrorCode::out_of_memory, fmt::format("not enough memory for {} rows of activations", rows),
                     "ask for fewer rows"};
    }
    const nn::Compute compute{set, choice_.activations, pool_, scratch.data(), scratch_bytes};
    std::vector<float> values(static_cast<std::size_t>(rows * columns_));
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = static_cast<float>(2 * base::uniform_draw(1, i) - 1);
    nn::LinearInput input(memory.data());
    input.begin(compute, forms, rows, columns_);
    input.set_rows(compute, 0, rows, values.data());

    const auto multiply_next = [&] {
        if (next_row_ + height > all_rows_) next_row_ = 0;
        const std::byte* data = weights_.data() + static_cast<std::size_t>(next_row_) * row_bytes_;
        const kernels::WeightMatrix matrix{type_.type, height, columns_, data, row_bytes_};
        nn::linear(compute, input, {{&matrix, results.data(), height}});
        next_row_ += height;
    };
    const auto seconds_since = [](Clock::time_point start) {
        return std::chrono::duration<double>(Clock::now() - start).count();
    };
    multiply_next();
    std::vector<double> times;
    const Clock::time_point begin = Clock::now();
    while (times.size() < stretches && (times.empty() || seconds_since(begin) < enough_seconds)) {
        const Clock::time_point start = Clock::now();
        std::int64_t matrices = 0;
        do {
            if (interrupts.interrupted()) return Error{ErrorCode::cancelled, "interrupted", ""};
            multiply_next();
            ++matrices;
        } while (seconds_since(start) < stretch_seconds);
        times.push_back(seconds_since(start) / static_cast<double>(matrices * height * columns_ * rows));
    }
    return spread_of(times).median;
}

}  // namespace

Result<std::vector<const quant::TypeInfo*>> parse_product_types(const std::string& list) {
    std::vector<const quant::TypeInfo*> types;
    std::string names;
    for (const quant::TypeInfo& type : quant::all_types()) {
        if (type.from_float != nullptr || type.law_width > 0) {
            types.push_back(&type);
            names += fmt::format("{}{}", names.empty() ? "" : ", ", type.name);
        }
    }
    std::vector<const quant::TypeInfo*> chosen;
    for (const std::string_view name : split_list(list)) {
        if (quant::same_name(name, "all")) return types;
        const quant::TypeInfo* type = quant::find_type(name);
        if (std::find(types.begin(), types.end(), type) == types.end()) {
            return Error{ErrorCode::invalid_argument,
                         fmt::format("--types: '{}' is no type that can be measured", formats::printable(name)),
                         fmt::format("there are: all, {}", names)};
        }
        if (std::find(chosen.begin(), chosen.end(), type) == chosen.end()) chosen.push_back(type);
    }
    return chosen;
}

Result<void> measure_products(const ProductSpec& spec, const ComputeFlags::Choice& choice, base::ThreadPool& pool,
                              base::FunctionRef<MachineLimits()> look, const InterruptWatch& interrupts,
                              std::vector<ProductRow>& results) {
    nn::Buffer<std::byte> weights(weight_bytes());
    if (!weights) return Error{ErrorCode::out_of_memory, "not enough memory for the matrices of --types", ""};
    base::prefer_large_pages(weights.data(), weight_bytes());
    kernels::InstructionPeaks peaks(pool);
    MachineLimits before = look();
    for (const std::uint32_t columns : spec.columns) {
        for (const quant::TypeInfo* type : spec.types) {
            if (columns % type->block_elements != 0) {
                note(fmt::format("{} has blocks of {}, which do not divide {} columns: left out", type->name,
                                 type->block_elements, columns));
                continue;
            }
            if (choice.kernels->matmul(type->type, nn::activations_for(type->type, choice.activations)) == nullptr) {
                note(fmt::format("{} has no product under {} activations: left out", type->name,
                                 kernels::activations_name(choice.activations)));
                continue;
            }
            Products products(choice, pool, weights, *type, columns);
            const double weight = static_cast<double>(type->block_bytes) / type->block_elements;  // bytes
            const std::size_t first_result = results.size();
            const auto set_limit = [&](ProductRow& row, const MachineLimits& limits) {
                const kernels::Instruction instruction =
                    kernels::instruction_of(*choice.kernels, products.activations(), row.rows);
                const double peak = peaks.gmac_s(instruction);
                const double read_limit = static_cast<double>(row.rows) * limits.read_gb_s / weight;
                const bool read_binds = peak <= 0 || read_limit < peak;
                const double limit = read_binds ? read_limit : peak;
                row.bound = read_binds ? "read" : instruction.name;
                row.percent_of_limit = limit > 0 ? 100 * row.gmac_s / limit : 0;
            };
            for (const std::uint32_t rows : spec.rows) {
                PUNA_TRY(const double seconds, products.seconds_per_product(rows, interrupts));
                ProductRow row = {.type = type, .columns = columns, .rows = rows};
                row.threads = static_cast<std::uint32_t>(pool.size());
                row.activations = kernels::activations_name(products.activations());
                row.gmac_s = 1e-9 / seconds;
                row.gb_s = row.gmac_s / rows * weight;
                set_limit(row, before);  // for now: an interruption keeps it
                results.push_back(std::move(row));
            }
            const MachineLimits after = look();
            for (std::size_t i = first_result; i < results.size(); ++i)
                set_limit(results[i], best_of(before, after));
            before = after;
            note(fmt::format("{}, {} columns, {}: measured", type->name, columns, counted(pool.size(), "thread")));
        }
    }
    return {};
}

Json product_json(const ProductRow& row, const ComputeFlags::Choice& choice) {
    return {{"type", row.type->name},
            {"columns", row.columns},
            {"rows", row.rows},
            {"threads", row.threads},
            {"kernels", choice.kernels->name},
            {"activations", row.activations},
            {"gb_s", row.gb_s},
            {"gmac_s", row.gmac_s},
            {"bound", row.bound},
            {"percent_of_limit", row.percent_of_limit}};
}

BenchTable products_table(const std::vector<ProductRow>& rows) {
    using enum BenchTable::Align;
    std::vector<std::int64_t> regimes;
    for (const ProductRow& row : rows) {
        if (std::find(regimes.begin(), regimes.end(), row.rows) == regimes.end()) regimes.push_back(row.rows);
    }
    std::vector<BenchTable::Column> columns = {{"type", left}, {"activations", left}, {"columns"}, {"threads"}};
    for (const std::int64_t regime : regimes)
        columns.push_back({fmt::format("{} {}", regime, regime == 1 ? "row" : "rows")});
    BenchTable table(std::move(columns));
    const auto line_of = [](const ProductRow& row) { return std::tie(row.type, row.columns, row.threads); };
    for (std::size_t i = 0; i < rows.size();) {
        const ProductRow& first = rows[i];
        std::vector<std::string> cells = {std::string(first.type->name), first.activations,
                                          std::to_string(first.columns), std::to_string(first.threads)};
        for (; i < rows.size() && line_of(rows[i]) == line_of(first); ++i) {
            const ProductRow& row = rows[i];
            cells.push_back(row.bound == "read"
                                ? fmt::format("{:.1f} GB/s, {:.0f} %", row.gb_s, row.percent_of_limit)
                                : fmt::format("{:.0f} GMAC/s, {:.0f} %", row.gmac_s, row.percent_of_limit));
        }
        cells.resize(4 + regimes.size());
        table.add(std::move(cells));
    }
    return table;
}

}  // namespace puna::cli
