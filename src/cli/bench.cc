// puna bench: the speed of prompt and generation, beside what this machine can do.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/cpu.h"
#include "base/large_pages.h"
#include "base/thread_pool.h"
#include "base/try.h"
#include "cli/bench_limits.h"
#include "cli/bench_measure.h"
#include "cli/bench_products.h"
#include "cli/bench_report.h"
#include "cli/commands.h"
#include "cli/compute_flags.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/loaded_model.h"
#include "cli/machine_load.h"
#include "cli/target_file.h"
#include "cli/units.h"
#include "convert/random_model.h"
#include "formats/printable.h"
#include "nn/kv_cache.h"
#include "puna/version.h"

namespace puna::cli {
namespace {

Result<convert::RandomModel> make_random(const convert::RandomModelSpec& spec, std::size_t threads,
                                         const InterruptWatch& interrupts) {
    PUNA_TRY(const std::unique_ptr<base::ThreadPool> pool, base::ThreadPool::create(threads));
    return convert::make_random_model(spec, *pool, [&] { return interrupts.interrupted(); });
}

/// Each number once, in the order given.
std::vector<std::uint32_t> without_repeats(const std::vector<std::uint32_t>& numbers) {
    std::vector<std::uint32_t> unique;
    for (const std::uint32_t number : numbers) {
        if (std::find(unique.begin(), unique.end(), number) == unique.end()) unique.push_back(number);
    }
    return unique;
}

/// How much of a model's mapped files lies in large pages now; none where the system does not tell.
std::optional<double> large_pages_percent(const formats::ModelFile& file) {
    std::uint64_t large = 0;
    std::uint64_t all = 0;
    for (const auto& mapping : file.mappings) {
        const std::optional<std::uint64_t> bytes = base::bytes_in_large_pages(mapping->bytes());
        if (!bytes) return std::nullopt;
        large += *bytes;
        all += mapping->bytes().size();
    }
    if (all == 0) return std::nullopt;
    return std::min(100.0, 100.0 * static_cast<double>(large) / static_cast<double>(all));
}

void tell_of_small_pages(const BenchRow& row, std::uint64_t read_bytes) {
    constexpr double few_percent = 50;
    constexpr std::uint64_t in_no_cache = std::uint64_t{256} << 20;
    if (read_bytes < in_no_cache || row.large_pages_percent.value_or(100) > few_percent) return;
    note(fmt::format(
        "{:.0f} % of {} lies in large pages, and the rest is read more slowly; docs/performance.md says why "
        "and what helps",
        *row.large_pages_percent, row.model));
}

class BenchCommand : public Command {
  public:
    void declare(Flags& flags) override;
    Result<int> execute(Output& output) override;

  private:
    std::vector<BenchTest> tests() const;
    Result<void> check_flags();
    Result<void> check_purpose() const;
    Result<void> check_memory(const std::string& name, const models::Model& model,
                              const ComputeFlags::Choice& choice) const;
    bool disturbed() const { return others_percent_.value_or(0) > 5; }
    bool has_models() const { return !models_.empty() || !shapes_.empty(); }
    Result<void> settle_threads(const ComputeFlags::Choice& choice);
    MachineLimits look_again(std::uint32_t threads);
    Result<int> write(const ComputeFlags::Choice& choice, const InterruptWatch& interrupts, Output& output) const;
    Result<void> measure(const ComputeFlags::Choice& choice, const InterruptWatch& interrupts);
    Result<void> bench_models(const ComputeFlags::Choice& choice, const InterruptWatch& interrupts);
    Result<void> bench_products(const ComputeFlags::Choice& choice, const InterruptWatch& interrupts);
    Result<void> bench_model(const std::string& name, const std::shared_ptr<const models::Model>& model,
                             const ComputeFlags::Choice& choice, const InterruptWatch& interrupts);
    Json json(const ComputeFlags::Choice& choice) const;
    std::string text(const ComputeFlags::Choice& choice) const;

    const Flags* flags_ = nullptr;
    std::vector<std::string> models_;
    std::vector<std::string> shape_names_;
    std::optional<std::string> write_path_;
    bool force_ = false;
    std::optional<std::string> type_list_;
    ComputeFlags compute_;
    std::vector<std::uint32_t> threads_;
    std::vector<std::uint32_t> prompt_tokens_ = {512};
    std::vector<std::uint32_t> generated_tokens_ = {64};
    std::vector<std::uint32_t> depths_ = {0};
    std::vector<std::uint32_t> parallel_ = {1};
    std::uint32_t repetitions_ = 3;
    bool limits_only_ = false;
    bool json_ = false;
    bool markdown_ = false;

    std::vector<convert::RandomModelSpec> shapes_;
    ProductSpec products_ = {.types = {}, .columns = {2048}, .rows = {1, 2, 4, 8, 16, 512}};
    LimitsByThreads limits_;
    std::optional<double> others_percent_;  // of the CPU, while bench measured
    std::vector<BenchRow> rows_;
    std::vector<ProductRow> product_rows_;
};

void BenchCommand::declare(Flags& flags) {
    constexpr std::uint64_t most_tokens = 1 << 24;
    constexpr std::uint64_t most_sequences = 1024;
    constexpr std::uint64_t most_columns = 1 << 17;
    constexpr std::uint64_t most_rows = 1 << 13;
    flags_ = &flags;
    flags.section("What to measure");
    flags.texts("-m,--model-path", "FILE", models_, "A model; may be given several times.");
    flags.texts("--shape", "SHAPE:TYPE", shape_names_,
                "A model of random weights in memory, as quantize would make it: 1b:Q4_0, 135m:Q4_1, 1b:pure:Q4_K; may "
                "be given several times.");
    flags.text("--write", "FILE", write_path_, "Write the model of --shape to FILE as GGUF, and measure nothing.");
    flags.flag("--force", force_, "Replace the file of --write if it exists.");
    flags.text("--types", "TYPE,...", type_list_,
               "Products of single matrices with weights of these types, or of 'all'.");
    flags.integers("--columns", "N,...", {32, most_columns}, products_.columns,
                   "Columns of the matrices of --types (default 2048).");
    flags.integers("--rows", "N,...", {1, most_rows}, products_.rows,
                   "Rows of activations that they meet (default 1,2,4,8,16,512).");
    flags.flag("--limits", limits_only_, "Measure what the machine can do at best, and nothing else.");
    flags.integers("-p,--prompt-tokens", "N,...", {0, most_tokens}, prompt_tokens_,
                   "Evaluate prompts of N tokens; 0 leaves it out (default 512).");
    flags.integers("-n,--num-predict", "N,...", {0, most_tokens}, generated_tokens_,
                   "Generate N tokens; 0 leaves it out (default 64).");
    flags.integers("-d,--depth", "N,...", {0, most_tokens}, depths_, "Behind N tokens of context (default 0).");
    flags.integers("--parallel", "N,...", {1, most_sequences}, parallel_,
                   "Generate in N sequences together (default 1).");
    flags.integer("-r,--repetitions", "N", {1, 1000}, repetitions_, "Repetitions after a warm-up (default 3).");
    flags.section("Output");
    flags.flag("--json", json_, "Print one JSON object.");
    flags.flag("--markdown", markdown_, "Print tables in Markdown.");
    compute_.declare(flags, threads_);
    flags.example("puna bench -m model.gguf", "a prompt of 512 tokens, and 64 tokens one by one");
    flags.example("puna bench -m model.gguf -p 0 -n 32 -d 0,4096 -t 1,2", "generation on one and two threads, far in");
    flags.example("puna bench -m model.gguf -p 0 --parallel 1,4,16", "what several users get together");
    flags.example("puna bench --shape 1b:Q4_0", "a model of random weights, without a download");
    flags.example("puna bench --types all --isa avx2", "every type of weights with every number of rows");
    flags.example("puna bench --limits", "what this machine can read and multiply in a second");
}

std::vector<BenchTest> BenchCommand::tests() const {
    std::vector<BenchTest> tests;
    for (const std::uint32_t depth : depths_) {
        for (const std::uint32_t tokens : prompt_tokens_) {
            if (tokens > 0) tests.push_back({BenchTest::Kind::prompt, tokens, depth});
        }
        for (const std::uint32_t tokens : generated_tokens_) {
            for (const std::uint32_t parallel : parallel_) {
                if (tokens > 0) tests.push_back({BenchTest::Kind::generation, tokens, depth, parallel});
            }
        }
    }
    return tests;
}

/// A flag that would change nothing is an error.
Result<void> BenchCommand::check_purpose() const {
    struct Rule {
        bool holds;
        std::vector<std::string> flags;
        std::string_view about;
    };
    const bool sequences = std::ranges::any_of(parallel_, [](std::uint32_t n) { return n > 1; });
    const bool generation = std::ranges::any_of(generated_tokens_, [](std::uint32_t n) { return n > 0; });
    const std::vector<Rule> rules = {
        {write_path_.has_value(), {"--force"}, "the file of --write, and none is written"},
        {type_list_.has_value(), {"--columns", "--rows"}, "the products of --types, which is not given"},
        {has_models() && !write_path_,
         {"--prompt-tokens", "--num-predict", "--depth", "--parallel", "--repetitions"},
         "the speed of a model, and none is measured"},
        {!sequences || generation, {"--parallel"}, "generation, which -n 0 leaves out"},
        {!models_.empty(), {"--mlock", "--no-mmap"}, "a model's file, and none is given (-m)"},
        {!write_path_, {"--markdown"}, "what is measured, and --write measures nothing"}};
    for (const Rule& rule : rules) {
        if (rule.holds) continue;
        for (const std::string& flag : rule.flags) {
            if (flags_->given(flag))
                return usage_error(fmt::format("{} is about {}", flag, rule.about), "leave it out");
        }
    }
    return {};
}

Result<void> BenchCommand::check_flags() {
    const auto wrong = [](const char* message, const char* hint) {
        return Error{ErrorCode::invalid_argument, message, hint};
    };
    for (const std::string& name : shape_names_) {
        PUNA_TRY(const convert::RandomModelSpec spec, convert::parse_random_model(name));
        shapes_.push_back(spec);
    }
    if (type_list_) {
        PUNA_TRY(products_.types, parse_product_types(*type_list_));
        products_.columns = without_repeats(products_.columns);
        products_.rows = without_repeats(products_.rows);
    }
    if (json_ && markdown_) return wrong("--json and --markdown are two forms of the same output", "give one of them");
    if (write_path_ && (shapes_.size() != 1 || !models_.empty() || type_list_ || limits_only_)) {
        return wrong("--write takes the model of one --shape", "give one --shape, and measure without --write");
    }
    if (limits_only_) {
        if (!has_models() && !type_list_) return check_purpose();
        return wrong("--limits measures the machine alone", "leave it out: the limits are printed always");
    }
    if (!has_models() && !type_list_) {
        return wrong("no model is given", "give -m FILE, or --shape 1b:Q4_0 for one of random weights");
    }
    if (has_models() && tests().empty()) return wrong("-p and -n are both 0: nothing is left to measure", "");
    if (write_path_) PUNA_CHECK(check_target(*write_path_, force_));
    return check_purpose();
}

/// Whether keys and values of all tests, and the work beside them, fit into memory: the system would promise it, and
/// end the process that uses it.
Result<void> BenchCommand::check_memory(const std::string& name, const models::Model& model,
                                        const ComputeFlags::Choice& choice) const {
    const std::uint64_t available = base::available_memory();
    const std::uint32_t most_threads = *std::max_element(threads_.begin(), threads_.end());
    for (const BenchTest& test : tests()) {
        const std::int64_t rows = std::max<std::int64_t>(compute_.batch_size, test.parallel);
        const std::uint64_t needed =
            nn::KvCache::bytes_for(*choice.kernels, model.kv_shape(choice.kv_type), test.positions()) +
            model.workspace_bytes(rows, most_threads);
        if (available != 0 && needed > available) {
            return Error{ErrorCode::out_of_memory,
                         fmt::format("{} {}: {} positions in batches of {} need {}, and {} are available", name,
                                     test.words(), test.positions(), rows, bytes_words(needed), bytes_words(available)),
                         "ask for fewer tokens or sequences, a smaller --batch-size or another --kv-type"};
        }
        if (test.depth + test.tokens > model.dimensions().context) {
            note(fmt::format("{} {} goes beyond the {} tokens that the model was made for", name, test.words(),
                             model.dimensions().context));
        }
    }
    return {};
}

/// Without a wish, the cores, and on the way to them 1, 2, 4, ... where the limits themselves were asked for.
Result<void> BenchCommand::settle_threads(const ComputeFlags::Choice& choice) {
    if (threads_.empty()) {
        for (std::uint32_t count = 1; limits_only_ && count < choice.threads; count *= 2)
            threads_.push_back(count);
        threads_.push_back(choice.threads);
        return {};
    }
    std::vector<std::uint32_t> working;
    for (const std::uint32_t asked : threads_) {
        if (compute_.pin_threads) PUNA_CHECK(base::ThreadPool::check_pinned(asked));
        const std::uint32_t threads = base::working_threads(asked);
        tell_of_idle_threads(asked, threads);
        if (std::find(working.begin(), working.end(), threads) == working.end()) working.push_back(threads);
    }
    threads_ = std::move(working);
    return {};
}

/// What the machine can do now; the limits that stand above all rows are the best of the run.
MachineLimits BenchCommand::look_again(std::uint32_t threads) {
    const MachineLimits now = measure_limits(threads, LimitsEffort::quick);
    limits_[threads] = best_of(limits_[threads], now);
    return now;
}

Result<void> BenchCommand::bench_model(const std::string& name, const std::shared_ptr<const models::Model>& model,
                                       const ComputeFlags::Choice& choice, const InterruptWatch& interrupts) {
    const ModelCost cost = count_model(*model);
    PUNA_CHECK(check_memory(name, *model, choice));
    for (const std::uint32_t threads : threads_) {
        PUNA_TRY(const std::unique_ptr<base::ThreadPool> pool,
                 base::ThreadPool::create(threads, choice.thread_options));
        const base::CpuScope core = pool->pin_caller();
        for (const BenchTest& test : tests()) {
            const std::int64_t batch_rows = compute_.batch_size;
            PUNA_TRY(const std::unique_ptr<convert::Evaluator> evaluator,
                     convert::Evaluator::create(model, {.kernels = choice.kernels,
                                                        .activations = choice.activations,
                                                        .kv_type = choice.kv_type,
                                                        .pool = pool.get(),
                                                        .batch_rows = std::max(batch_rows, test.parallel),
                                                        .capacity_positions = test.positions()}));
            PUNA_TRY(const BenchTimes times, measure_speed(*evaluator, test, batch_rows, repetitions_, choice.kv_type,
                                                           interrupts, [&] { return look_again(threads); }));
            BenchRow row = make_row(cost, test, times, choice.activations);
            row.model = name;
            row.type = cost.main_type;
            row.threads = threads;
            row.large_pages_percent = large_pages_percent(model->file());
            note(fmt::format("{} {} on {}: {:.2f} tokens/s", name, test.words(), counted(threads, "thread"),
                             row.tokens_per_second.median));
            rows_.push_back(std::move(row));
        }
    }
    tell_of_small_pages(rows_.back(), cost.read_bytes);
    return {};
}

Result<void> BenchCommand::bench_models(const ComputeFlags::Choice& choice, const InterruptWatch& interrupts) {
    std::vector<std::string> paths;  // names are looked up before the first is measured
    for (const std::string& word : models_) {
        PUNA_TRY(paths.emplace_back(), required_model(word));
    }
    for (const std::string& path : paths) {
        PUNA_TRY(const std::shared_ptr<const models::Model> model, open_model(path, compute_));
        PUNA_CHECK(bench_model(std::filesystem::path(path).filename().string(), model, choice, interrupts));
    }
    for (const convert::RandomModelSpec& spec : shapes_) {
        PUNA_TRY(const convert::RandomModel random, make_random(spec, choice.threads, interrupts));
        PUNA_TRY(const std::shared_ptr<const models::Model> model, models::create_model(random.file));
        PUNA_CHECK(bench_model(random.file->path, model, choice, interrupts));
    }
    return {};
}

Result<void> BenchCommand::bench_products(const ComputeFlags::Choice& choice, const InterruptWatch& interrupts) {
    if (!type_list_) return {};
    for (const std::uint32_t threads : threads_) {
        PUNA_TRY(const std::unique_ptr<base::ThreadPool> pool,
                 base::ThreadPool::create(threads, choice.thread_options));
        const base::CpuScope core = pool->pin_caller();
        const auto look = [&] { return look_again(threads); };
        PUNA_CHECK(measure_products(products_, choice, *pool, look, interrupts, product_rows_));
    }
    if (!product_rows_.empty()) return {};
    return usage_error("--types: none of them can be measured with these --columns and --activations");
}

Json BenchCommand::json(const ComputeFlags::Choice& choice) const {
    Json object = {{"version", version},
                   {"machine",
                    {{"cpu", base::cpu_model_name()},
                     {"cores", base::usable_cores()},
                     {"kernels", choice.kernels->name},
                     {"others_percent", others_percent_ ? Json(*others_percent_) : Json()}}},
                   {"limits", limits_json(limits_)}};
    for (const BenchRow& row : rows_)
        object["rows"].push_back(row_json(row, choice, {compute_.batch_size, repetitions_}));
    for (const ProductRow& row : product_rows_)
        object["products"].push_back(product_json(row, choice));
    return object;
}

std::string BenchCommand::text(const ComputeFlags::Choice& choice) const {
    std::string text =
        fmt::format("{}, {} cores, {} kernels, {} activations, {} KV, law {}\n", base::cpu_model_name(),
                    base::usable_cores(), choice.kernels->name, kernels::activations_name(choice.activations),
                    kernels::kv_type_name(choice.kv_type), kernels::law_id(choice.activations));
    if (disturbed()) text += fmt::format("disturbed: other processes took {:.0f} % of the CPU\n", *others_percent_);
    for (const BenchTable& table : {limits_table(limits_), rows_table(rows_), products_table(product_rows_)}) {
        if (!table.empty()) text += fmt::format("\n{}", markdown_ ? table.markdown() : table.plain());
    }
    return text;
}

Result<int> BenchCommand::write(const ComputeFlags::Choice& choice, const InterruptWatch& interrupts,
                                Output& output) const {
    PUNA_TRY(const convert::RandomModel random, make_random(shapes_.front(), choice.threads, interrupts));
    const std::uint64_t bytes = random.layout.file_bytes;
    PUNA_CHECK(check_room(*write_path_, bytes));
    PUNA_CHECK(convert::write_random_model(random, *write_path_, [&] { return interrupts.interrupted(); }));
    note(fmt::format("{}: {}", formats::printable_path(*write_path_), bytes_words(bytes)));
    if (json_) PUNA_CHECK(output.write_line(json_line({{"path", *write_path_}, {"bytes", bytes}})));
    return exit_ok;
}

/// What was measured before an error stands in the rows too.
Result<void> BenchCommand::measure(const ComputeFlags::Choice& choice, const InterruptWatch& interrupts) {
    if (limits_only_) {
        PUNA_TRY(limits_, measure_limits(threads_, interrupts));
        return {};
    }
    PUNA_CHECK(bench_models(choice, interrupts));
    return bench_products(choice, interrupts);
}

Result<int> BenchCommand::execute(Output& output) {
    PUNA_TRY(const ComputeFlags::Choice choice, compute_.choose());
    PUNA_CHECK(check_flags());
    PUNA_CHECK(settle_threads(choice));
    const InterruptWatch interrupts;
    if (write_path_) return write(choice, interrupts, output);
    const MachineLoad load;
    const Result<void> outcome = measure(choice, interrupts);
    if (!outcome.ok() && rows_.empty() && product_rows_.empty()) return outcome.error();
    others_percent_ = load.others_percent();
    if (disturbed()) {
        note(fmt::format("other processes took {:.0f} % of the CPU meanwhile: an idle machine would show more",
                         *others_percent_));
    }
    PUNA_CHECK(json_ ? output.write_line(json_line(json(choice))) : output.write(text(choice)));
    if (!outcome.ok()) return outcome.error();
    return exit_ok;
}

}  // namespace

std::unique_ptr<Command> make_bench_command() {
    return std::make_unique<BenchCommand>();
}

}  // namespace puna::cli
