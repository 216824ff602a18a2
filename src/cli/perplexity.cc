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
#include "cli/legacy_flags.h"
#include "cli/loaded_model.h"
#include "cli/perplexity_report.h"
#include "cli/prompt_source.h"
#include "cli/target_file.h"
#include "formats/printable.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::cli {
namespace {

class PerplexityCommand : public Command {
  public:
    void declare(Flags& flags) override;
    Result<int> execute(Output& output) override;

  private:
    /// The tokens to measure, and the begin token where each chunk gets one.
    struct Text {
        std::vector<TokenId> tokens;
        std::optional<TokenId> begin;
    };

    Result<void> check_flags() const;
    Result<Text> read_text(const models::Model& model, std::string_view text, const formats::KlBase* base) const;
    Result<std::optional<formats::KlBaseWriter>> start_recording(const models::Model& model, const Text& text) const;
    Result<convert::PerplexityResult> measure(const std::shared_ptr<const models::Model>& model, const Text& text,
                                              const formats::KlBase* base, const InterruptWatch& interrupts);

    std::optional<std::string> model_;
    PromptSource source_;
    ComputeFlags compute_;
    LegacyFlags legacy_;
    convert::PerplexityOptions options_;
    std::optional<std::int64_t> chunk_tokens_;
    std::optional<std::string> kl_to_;
    std::optional<std::string> kl_from_;
    std::optional<std::string> kl_save_;
    bool force_ = false;
    bool parse_special_ = false;
    bool json_ = false;
};

void PerplexityCommand::declare(Flags& flags) {
    flags.section("Model and text");
    declare_model(flags, model_);
    source_.declare(flags);
    flags.flag("--parse-special", parse_special_, "Read <|...|> and the like in the text as control tokens.");
    flags.section("Measuring");
    flags.integer("-c,--chunk-tokens", "N", {4, std::numeric_limits<std::int32_t>::max()}, chunk_tokens_,
                  "Cut the text into chunks of N tokens and score the last half of each (default 512).");
    flags.integer("--chunks", "N", {1, std::numeric_limits<std::int32_t>::max()}, options_.max_chunks,
                  "Measure only the first N chunks (default: all).");
    flags.text("--kl-to", "float32", kl_to_,
               "Run the same chunks beside with float32 activations and f32 keys and values, and print how far the "
               "predictions are from theirs.");
    flags.text("--kl-save", "FILE", kl_save_,
               "Write the predictions to FILE, for other models to be compared with; llama-perplexity reads it too.");
    flags.text("--kl-from", "FILE", kl_from_,
               "Print how far the predictions are from those that --kl-save, or llama-perplexity, wrote to FILE. The "
               "text is in the file.");
    flags.flag("--force", force_, "Replace the file of --kl-save if it exists.");
    flags.section("Output");
    flags.flag("--json", json_, "Print one JSON object.");
    compute_.declare(flags);
    legacy_.declare(flags);
    flags.example("puna perplexity -m model.gguf -f /usr/share/common-licenses/GFDL-1.3 -c 512",
                  "a text of 8,000 tokens");
    flags.example("puna perplexity -m model-f16.gguf -f text.txt --kl-save base.kld", "a base to compare with, and");
    flags.example("puna perplexity -m model-q4_k_m.gguf --kl-from base.kld", "what quantization changed");
}

/// Tells how far the measurement is: over one line on a terminal, else on lines of their own, not more than one in ten
/// seconds.
class PerplexityLine {
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

Result<void> PerplexityCommand::check_flags() const {
    if (kl_to_ && *kl_to_ != "float32") {
        return Error{ErrorCode::invalid_argument, fmt::format("--kl-to takes float32, not '{}'", *kl_to_), ""};
    }
    if (kl_to_ && kl_from_) {
        return Error{ErrorCode::invalid_argument, "--kl-to and --kl-from name two references", "give one of them"};
    }
    if (kl_from_ && (source_.prompt || source_.file || chunk_tokens_ || parse_special_)) {
        return Error{ErrorCode::invalid_argument, "with --kl-from, the text and its chunks are those of that file",
                     "leave -p, -f, -c and --parse-special away"};
    }
    if (kl_save_) PUNA_CHECK(check_target(*kl_save_, force_));
    PUNA_CHECK(compute_.choose());
    return {};
}

Result<PerplexityCommand::Text> PerplexityCommand::read_text(const models::Model& model, std::string_view text,
                                                             const formats::KlBase* base) const {
    const text::Vocabulary& vocabulary = model.file().vocabulary;
    Text out;
    if (vocabulary.add_bos && vocabulary.bos != text::no_token) out.begin = vocabulary.bos;
    if (base != nullptr) {
        out.tokens = base->tokens();
        return out;
    }
    PUNA_TRY(const std::shared_ptr<const text::Tokenizer> tokenizer, text::Tokenizer::create(vocabulary));
    out.tokens = tokenizer->encode(text, {.add_bos = true, .parse_special = parse_special_});
    return out;
}

Result<std::optional<formats::KlBaseWriter>> PerplexityCommand::start_recording(const models::Model& model,
                                                                                const Text& text) const {
    if (!kl_save_) return std::optional<formats::KlBaseWriter>();
    PUNA_TRY(const std::int64_t chunks, convert::perplexity_chunks(text.tokens.size(), options_));
    const formats::KlBaseShape shape = {options_.chunk_tokens, model.dimensions().vocabulary, chunks};
    PUNA_TRY(const std::uint64_t bytes, formats::kl_base_file_bytes(shape));
    PUNA_CHECK(check_room(*kl_save_, bytes));
    const auto used = static_cast<std::size_t>(chunks * options_.chunk_tokens);
    PUNA_TRY(formats::KlBaseWriter writer,
             formats::KlBaseWriter::create(*kl_save_, shape, std::span(text.tokens).first(used)));
    return std::optional<formats::KlBaseWriter>(std::move(writer));
}

Result<convert::PerplexityResult> PerplexityCommand::measure(const std::shared_ptr<const models::Model>& model,
                                                             const Text& text, const formats::KlBase* base,
                                                             const InterruptWatch& interrupts) {
    PUNA_TRY(const ComputeFlags::Choice choice, compute_.choose());
    tell_of_idle_threads(compute_.threads.value_or(0), choice.threads);
    PUNA_TRY(const std::unique_ptr<base::ThreadPool> pool,
             base::ThreadPool::create(choice.threads, choice.thread_options));
    const base::CpuScope core = pool->pin_caller();
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
    note(fmt::format("{} tokens in chunks of {}, {} kernels, {} activations, {} KV, law {}, {} threads",
                     text.tokens.size(), options_.chunk_tokens, choice.kernels->name,
                     kernels::activations_name(choice.activations), kernels::kv_type_name(choice.kv_type),
                     kernels::law_id(choice.activations), choice.threads));

    PUNA_TRY(std::optional<formats::KlBaseWriter> recording, start_recording(*model, text));
    PerplexityLine line;
    const auto progress = [&](const convert::PerplexityResult& so_far, std::int64_t all_chunks) {
        line.show(so_far, all_chunks);
        return !interrupts.interrupted();
    };
    const convert::PerplexityPeers peers = {
        .reference = reference_evaluator.get(), .base = base, .recording = recording ? &*recording : nullptr};
    Result<convert::PerplexityResult> result =
        convert::measure_perplexity(*evaluator, peers, *pool, text.tokens, text.begin, options_, progress);
    if (!result.ok()) line.end();
    if (base != nullptr) PUNA_CHECK(base->check());
    if (result.ok() && recording) PUNA_CHECK(recording->commit());
    return result;
}

Result<int> PerplexityCommand::execute(Output& output) {
    PUNA_CHECK(check_flags());
    PUNA_TRY(const std::string path, required_model(model_));
    std::string text;
    std::optional<formats::KlBase> base;
    if (kl_from_) {
        PUNA_TRY(base, formats::KlBase::open(*kl_from_));
        options_.chunk_tokens = base->shape().chunk_tokens;
    } else {
        PUNA_TRY(text, source_.read());
        options_.chunk_tokens = chunk_tokens_.value_or(options_.chunk_tokens);
    }
    options_.batch_rows = compute_.batch_size;
    const InterruptWatch interrupts;
    PUNA_TRY(const std::shared_ptr<const models::Model> model, open_model(path, compute_, legacy_.values()));
    if (options_.chunk_tokens > model->dimensions().context) {
        note(fmt::format("chunks of {} tokens are longer than the {} that the model was made for",
                         options_.chunk_tokens, model->dimensions().context));
    }
    const formats::KlBase* const from = base ? &*base : nullptr;
    PUNA_TRY(const Text tokens, read_text(*model, text, from));
    PUNA_TRY(const convert::PerplexityResult result, measure(model, tokens, from, interrupts));
    PUNA_CHECK(json_ ? output.write_line(json_line(perplexity_json(result)))
                     : output.write(perplexity_text(
                           result, kl_from_ ? formats::printable_path(*kl_from_) : std::string("float32"))));
    return exit_ok;
}

}  // namespace

std::unique_ptr<Command> make_perplexity_command() {
    return std::make_unique<PerplexityCommand>();
}

}  // namespace puna::cli
