// puna perplexity: how well a model predicts a text.
#include "convert/perplexity.h"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <limits>

#include "base/thread_pool.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/compute_flags.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/loaded_model.h"
#include "cli/prompt_source.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::cli {
namespace {

class PerplexityCommand : public Command {
  public:
    void declare(Flags& flags) override;
    Result<int> execute(Output& output) override;

  private:
    Result<convert::PerplexityResult> measure(const std::shared_ptr<const models::Model>& model, std::string_view text,
                                              const InterruptWatch& interrupts);
    std::string sentence(const convert::PerplexityResult& result) const;

    std::optional<std::string> model_;
    PromptSource source_;
    ComputeFlags compute_;
    convert::PerplexityOptions options_;
    std::optional<std::string> kl_to_;
    bool parse_special_ = false;
    bool json_ = false;
};

void PerplexityCommand::declare(Flags& flags) {
    flags.section("Model and text");
    declare_model(flags, model_);
    source_.declare(flags);
    flags.flag("--parse-special", parse_special_, "Read <|...|> and the like in the text as control tokens.");
    flags.section("Measuring");
    flags.integer("-c,--chunk-tokens", "N", {4, std::numeric_limits<std::int32_t>::max()}, options_.chunk_tokens,
                  "Cut the text into chunks of N tokens and score the last half of each (default 512).");
    flags.integer("--chunks", "N", {1, std::numeric_limits<std::int32_t>::max()}, options_.max_chunks,
                  "Measure only the first N chunks (default: all).");
    flags.text("--kl-to", "float32", kl_to_,
               "Run the same chunks beside with float32 activations and f32 keys and values, and print how far the "
               "predictions are from theirs.");
    flags.section("Output");
    flags.flag("--json", json_, "Print one JSON object.");
    compute_.declare(flags);
    flags.example("puna perplexity -m model.gguf -f /usr/share/common-licenses/GFDL-1.3 -c 512",
                  "a text of 8,000 tokens");
}

/// Tells how far the measurement is: over one line on a terminal, else on lines of their own, not more than one in ten
/// seconds.
class ProgressLine {
  public:
    void show(const convert::PerplexityResult& so_far, std::int64_t all_chunks) {
        const auto now = std::chrono::steady_clock::now();
        const bool last = so_far.chunks == all_chunks;
        if (!terminal_ && !last && shown_ && now - last_shown_ < std::chrono::seconds(10)) return;
        shown_ = true;
        last_shown_ = now;
        talk(fmt::format("{}puna: chunk {} of {}: perplexity {:.4f}{}", terminal_ ? "\r" : "", so_far.chunks,
                         all_chunks, so_far.perplexity, terminal_ && !last ? "" : "\n"));
    }
    /// Leaves the line that is being rewritten.
    void end() {
        if (terminal_ && shown_) talk("\n");
    }

  private:
    bool terminal_ = ::isatty(STDERR_FILENO) == 1;
    bool shown_ = false;
    std::chrono::steady_clock::time_point last_shown_;
};

Result<convert::PerplexityResult> PerplexityCommand::measure(const std::shared_ptr<const models::Model>& model,
                                                             std::string_view text, const InterruptWatch& interrupts) {
    PUNA_TRY(const ComputeFlags::Choice choice, compute_.choose());
    PUNA_TRY(const std::shared_ptr<const text::Tokenizer> tokenizer, text::Tokenizer::create(model->file().vocabulary));
    const std::vector<TokenId> tokens = tokenizer->encode(text, {.add_bos = true, .parse_special = parse_special_});
    const text::Vocabulary& vocabulary = tokenizer->vocabulary();
    std::optional<TokenId> begin;
    if (vocabulary.add_bos && vocabulary.bos != text::no_token) begin = vocabulary.bos;

    options_.batch_rows = compute_.batch_size;
    PUNA_TRY(const std::unique_ptr<base::ThreadPool> pool, base::ThreadPool::create(choice.threads));
    convert::EvaluatorOptions measured = {.kernels = choice.kernels,
                                          .activations = choice.activations,
                                          .kv_type = choice.kv_type,
                                          .pool = pool.get(),
                                          .batch_rows = options_.batch_rows,
                                          .capacity_positions = convert::perplexity_positions(options_)};
    convert::EvaluatorOptions reference = measured;
    reference.activations = kernels::Activations::float32;
    reference.kv_type = kernels::KvType::f32;
    PUNA_TRY(const std::unique_ptr<convert::Evaluator> evaluator, convert::Evaluator::create(model, measured));
    std::unique_ptr<convert::Evaluator> reference_evaluator;
    if (kl_to_) {
        PUNA_TRY(reference_evaluator, convert::Evaluator::create(model, reference));
    }
    note(fmt::format("{} tokens in chunks of {}, {} kernels, {} activations, {} KV, law {}, {} threads", tokens.size(),
                     options_.chunk_tokens, choice.kernels->name, kernels::activations_name(choice.activations),
                     kernels::kv_type_name(choice.kv_type), kernels::law_id(choice.activations), choice.threads));

    ProgressLine line;
    const auto progress = [&](const convert::PerplexityResult& so_far, std::int64_t all_chunks) {
        line.show(so_far, all_chunks);
        return !interrupts.interrupted();
    };
    Result<convert::PerplexityResult> result =
        convert::measure_perplexity(*evaluator, reference_evaluator.get(), *pool, tokens, begin, options_, progress);
    if (!result.ok()) line.end();
    return result;
}

std::string PerplexityCommand::sentence(const convert::PerplexityResult& result) const {
    std::string text = fmt::format("perplexity {:.4f} +/- {:.4f} ({} tokens of {} chunks)\n", result.perplexity,
                                   result.standard_error, result.tokens_scored, result.chunks);
    if (result.divergence) {
        text += fmt::format("KL to float32: mean {:.8f} nats, 99th percentile {:.8f}; same first choice {:.2f} %\n",
                            result.divergence->mean, result.divergence->p99, 100 * result.divergence->same_top);
    }
    return text;
}

Json result_json(const convert::PerplexityResult& result) {
    Json json = {{"perplexity", result.perplexity},
                 {"standard_error", result.standard_error},
                 {"tokens_scored", result.tokens_scored},
                 {"chunks", result.chunks}};
    if (result.divergence) {
        json["kl"] = {{"mean", result.divergence->mean},
                      {"p99", result.divergence->p99},
                      {"same_top", result.divergence->same_top}};
    }
    return json;
}

Result<int> PerplexityCommand::execute(Output& output) {
    if (kl_to_ && *kl_to_ != "float32") {
        return Error{ErrorCode::invalid_argument, fmt::format("--kl-to takes float32, not '{}'", *kl_to_), ""};
    }
    PUNA_CHECK(compute_.choose());
    PUNA_TRY(const std::string path, required_model(model_));
    PUNA_TRY(const std::string text, source_.read());
    const InterruptWatch interrupts;
    PUNA_TRY(const std::shared_ptr<const models::Model> model, open_model(path));
    if (options_.chunk_tokens > model->dimensions().context) {
        note(fmt::format("chunks of {} tokens are longer than the {} that the model was made for",
                         options_.chunk_tokens, model->dimensions().context));
    }
    PUNA_TRY(const convert::PerplexityResult result, measure(model, text, interrupts));
    PUNA_CHECK(json_ ? output.write_line(json_line(result_json(result))) : output.write(sentence(result)));
    return exit_ok;
}

}  // namespace

std::unique_ptr<Command> make_perplexity_command() {
    return std::make_unique<PerplexityCommand>();
}

}  // namespace puna::cli
