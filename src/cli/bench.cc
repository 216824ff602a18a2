// puna bench: the speed of prompt and generation, beside what this machine can do.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <map>

#include "base/cpu.h"
#include "base/thread_pool.h"
#include "base/try.h"
#include "cli/bench_measure.h"
#include "cli/commands.h"
#include "cli/compute_flags.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/loaded_model.h"
#include "kernels/limits.h"

namespace puna::cli {
namespace {

/// What the machine can do at best on one number of threads.
struct Limits {
    double read_gb_s = 0;
    kernels::MultiplyPeaks gmac_s;
};

struct Spread {
    double median;
    double min;
    double max;
};

struct Row {
    std::string model;
    std::string type;
    BenchTest test;
    std::uint32_t threads = 0;
    Spread tokens_per_second = {};
    double gb_s = 0;
    double gmac_s = 0;
    std::string bound;  // "read", or the number type of the multiplies
    double percent_of_limit = 0;
};

class BenchCommand : public Command {
  public:
    void declare(Flags& flags) override;
    Result<int> execute(Output& output) override;

  private:
    std::vector<BenchTest> tests() const;
    Result<void> bench_model(const std::string& path, const ComputeFlags::Choice& choice,
                             const InterruptWatch& interrupts);
    Row make_row(const models::Model& model, const BenchTest& test, std::uint32_t threads,
                 const ComputeFlags::Choice& choice, const BenchTimes& times) const;
    Json json(const ComputeFlags::Choice& choice) const;
    std::string table(const ComputeFlags::Choice& choice) const;

    std::vector<std::string> models_;
    ComputeFlags compute_;
    std::vector<std::uint32_t> threads_;
    std::vector<std::uint32_t> prompt_tokens_ = {512};
    std::vector<std::uint32_t> generated_tokens_ = {64};
    std::vector<std::uint32_t> depths_ = {0};
    std::uint32_t repetitions_ = 3;
    bool json_ = false;

    std::map<std::uint32_t, Limits> limits_;  // by threads
    std::vector<Row> rows_;
};

void BenchCommand::declare(Flags& flags) {
    constexpr std::uint64_t most_tokens = 1 << 24;
    flags.section("What to measure");
    flags.texts("-m,--model-path", "FILE", models_, "A model; may be given several times.");
    flags.integers("-p,--prompt-tokens", "N,...", {0, most_tokens}, prompt_tokens_,
                   "Evaluate prompts of N tokens; 0 leaves it out (default 512).");
    flags.integers("-n,--num-predict", "N,...", {0, most_tokens}, generated_tokens_,
                   "Generate N tokens; 0 leaves it out (default 64).");
    flags.integers("-d,--depth", "N,...", {0, most_tokens}, depths_, "Behind N tokens of context (default 0).");
    flags.integer("-r,--repetitions", "N", {1, 1000}, repetitions_, "Repetitions after a warm-up (default 3).");
    flags.section("Output");
    flags.flag("--json", json_, "Print one JSON object.");
    compute_.declare(flags, threads_);
    flags.example("puna bench -m model.gguf", "a prompt of 512 tokens, and 64 tokens one by one");
    flags.example("puna bench -m model.gguf -p 0 -n 32 -d 0,4096 -t 1,2", "generation on one and two threads, far in");
}

std::vector<BenchTest> BenchCommand::tests() const {
    std::vector<BenchTest> tests;
    for (const std::uint32_t depth : depths_) {
        for (const std::uint32_t tokens : prompt_tokens_) {
            if (tokens > 0) tests.push_back({BenchTest::Kind::prompt, tokens, depth});
        }
        for (const std::uint32_t tokens : generated_tokens_) {
            if (tokens > 0) tests.push_back({BenchTest::Kind::generation, tokens, depth});
        }
    }
    return tests;
}

double peak_of(const kernels::MultiplyPeaks& peaks, std::string_view number_type) {
    if (number_type == "int16") return peaks.int16;
    if (number_type == "bf16") return peaks.bf16;
    return number_type == "int8" ? peaks.int8 : peaks.float32;
}

/// The number type that most multiplies of a model use.
std::string_view multiply_type(const ModelCost& cost, kernels::Activations activations) {
    if (activations == kernels::Activations::bf16_tiles) return kernels::activations_name(activations);
    const std::uint64_t all = cost.layer_multiplies + cost.head_multiplies;
    const bool quantized = 2 * cost.integer_multiplies > all;
    return kernels::activations_name(quantized ? activations : kernels::Activations::float32);
}

Spread spread_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    const double median = values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
    return {median, values.front(), values.back()};
}

Row BenchCommand::make_row(const models::Model& model, const BenchTest& test, std::uint32_t threads,
                           const ComputeFlags::Choice& choice, const BenchTimes& times) const {
    const ModelCost cost = count_model(model);
    Row row;
    row.model = std::filesystem::path(model.file().path).filename().string();
    row.type = cost.main_type;
    row.test = test;
    row.threads = threads;
    std::vector<double> speeds;
    for (const double seconds : times.seconds)
        speeds.push_back(static_cast<double>(test.tokens) / seconds);
    row.tokens_per_second = spread_of(speeds);
    const double seconds = static_cast<double>(test.tokens) / row.tokens_per_second.median;
    row.gb_s = times.cost.bytes / seconds / 1e9;
    row.gmac_s = times.cost.multiplies / seconds / 1e9;

    // The limit that allows the least speed is the one that binds.
    const Limits& limits = limits_.at(threads);
    const std::string_view number_type = multiply_type(cost, choice.activations);
    const double peak = peak_of(limits.gmac_s, number_type);
    const double read_share = limits.read_gb_s > 0 ? row.gb_s / limits.read_gb_s : 0;
    const double multiply_share = peak > 0 ? row.gmac_s / peak : 0;
    row.bound = read_share >= multiply_share ? "read" : number_type;
    row.percent_of_limit = 100 * std::max(read_share, multiply_share);
    return row;
}

Result<void> BenchCommand::bench_model(const std::string& path, const ComputeFlags::Choice& choice,
                                       const InterruptWatch& interrupts) {
    PUNA_TRY(const std::shared_ptr<const models::Model> model, open_model(path));
    for (const std::uint32_t threads : threads_) {
        PUNA_TRY(const std::unique_ptr<base::ThreadPool> pool, base::ThreadPool::create(threads));
        for (const BenchTest& test : tests()) {
            PUNA_TRY(const std::unique_ptr<convert::Evaluator> evaluator,
                     convert::Evaluator::create(model, {.kernels = choice.kernels,
                                                        .activations = choice.activations,
                                                        .kv_type = choice.kv_type,
                                                        .pool = pool.get(),
                                                        .batch_rows = compute_.batch_size,
                                                        .capacity_positions = test.depth + test.tokens}));
            PUNA_TRY(const BenchTimes times,
                     measure_speed(*evaluator, test, compute_.batch_size, repetitions_, choice.kv_type, interrupts));
            rows_.push_back(make_row(*model, test, threads, choice, times));
            note(fmt::format("{} {} on {} threads: {:.2f} tokens/s", rows_.back().model, test.name(), threads,
                             rows_.back().tokens_per_second.median));
        }
    }
    return {};
}

Json number_or_null(double value) {
    return value > 0 ? Json(value) : Json();
}

Json BenchCommand::json(const ComputeFlags::Choice& choice) const {
    Json read = Json::object();
    for (const auto& [threads, limits] : limits_)
        read[std::to_string(threads)] = limits.read_gb_s;
    const kernels::MultiplyPeaks& peaks = limits_.rbegin()->second.gmac_s;  // on the most threads
    Json rows = Json::array();
    for (const Row& row : rows_) {
        Json entry = {{"model", row.model},
                      {"type", row.type},
                      {"test", row.test.name()},
                      {"depth", row.test.depth},
                      {"parallel", 1},
                      {"threads", row.threads},
                      {"kernels", choice.kernels->name},
                      {"activations", kernels::activations_name(choice.activations)},
                      {"kv", kernels::kv_type_name(choice.kv_type)},
                      {"tokens_per_second",
                       {{"median", row.tokens_per_second.median},
                        {"min", row.tokens_per_second.min},
                        {"max", row.tokens_per_second.max}}}};
        if (row.bound == "read") {
            entry["gb_s"] = row.gb_s;
        } else {
            entry["gmac_s"] = row.gmac_s;
        }
        entry["bound"] = row.bound;
        entry["percent_of_limit"] = row.percent_of_limit;
        rows.push_back(std::move(entry));
    }
    return {{"machine",
             {{"cpu", base::cpu_model_name()}, {"cores", base::usable_cores()}, {"kernels", choice.kernels->name}}},
            {"limits",
             {{"read_gb_s", read},
              {"gmac_s",
               {{"float32", number_or_null(peaks.float32)},
                {"int16", number_or_null(peaks.int16)},
                {"int8", number_or_null(peaks.int8)},
                {"bf16", number_or_null(peaks.bf16)}}}}},
            {"rows", rows}};
}

std::string limit_lines(std::uint32_t threads, const Limits& limits) {
    const auto words = [](double peak) { return peak > 0 ? fmt::format("{:.0f}", peak) : std::string("none"); };
    return fmt::format(
        "limits on {} threads: read {:.1f} GB/s; multiply-adds, G/s: float32 {}, int16 {}, int8 {}, bf16 {}\n", threads,
        limits.read_gb_s, words(limits.gmac_s.float32), words(limits.gmac_s.int16), words(limits.gmac_s.int8),
        words(limits.gmac_s.bf16));
}

std::string BenchCommand::table(const ComputeFlags::Choice& choice) const {
    std::string text =
        fmt::format("{}, {} cores, {} kernels, {} activations, {} KV, law {}\n", base::cpu_model_name(),
                    base::usable_cores(), choice.kernels->name, kernels::activations_name(choice.activations),
                    kernels::kv_type_name(choice.kv_type), kernels::law_id(choice.activations));
    std::size_t width = 5;
    for (const Row& row : rows_)
        width = std::max(width, row.model.size());
    for (const auto& [threads, limits] : limits_)
        text += limit_lines(threads, limits);
    text += fmt::format("\n{:<{}}  {:<6}  {:<12}{:>8}{:>12}{:>20}{:>9}{:>9}  {}\n", "model", width, "type", "test",
                        "threads", "tokens/s", "min ... max", "GB/s", "GMAC/s", "share of limit");
    for (const Row& row : rows_) {
        const Spread& speed = row.tokens_per_second;
        text += fmt::format("{:<{}}  {:<6}  {:<12}{:>8}{:>12.2f}{:>20}{:>9.1f}{:>9.1f}  {:.0f} % of {}\n", row.model,
                            width, row.type, row.test.name(), row.threads, speed.median,
                            fmt::format("{:.2f} ... {:.2f}", speed.min, speed.max), row.gb_s, row.gmac_s,
                            row.percent_of_limit, row.bound);
    }
    return text;
}

Result<int> BenchCommand::execute(Output& output) {
    PUNA_TRY(const ComputeFlags::Choice choice, compute_.choose());
    if (models_.empty()) PUNA_CHECK(required_model(std::nullopt));
    if (tests().empty()) {
        return Error{ErrorCode::invalid_argument, "-p and -n are both 0: nothing is left to measure", ""};
    }
    if (threads_.empty()) threads_.push_back(choice.threads);
    const InterruptWatch interrupts;
    for (const std::uint32_t threads : threads_) {
        limits_[threads] = {kernels::measure_read_bandwidth(threads), kernels::measure_multiply_peaks(threads)};
    }
    for (const std::string& path : models_)
        PUNA_CHECK(bench_model(path, choice, interrupts));
    PUNA_CHECK(json_ ? output.write_line(json_line(json(choice))) : output.write(table(choice)));
    return exit_ok;
}

}  // namespace

std::unique_ptr<Command> make_bench_command() {
    return std::make_unique<BenchCommand>();
}

}  // namespace puna::cli
