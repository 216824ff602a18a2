// puna imatrix: which of a model's weights matter most.
#include "formats/imatrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "base/atomic_file.h"
#include "base/text_file.h"
#include "base/thread_pool.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/compute_flags.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/legacy_flags.h"
#include "cli/loaded_model.h"
#include "cli/progress_line.h"
#include "cli/target_file.h"
#include "convert/collect_imatrix.h"
#include "convert/perplexity.h"
#include "formats/printable.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::cli {
namespace {

using convert::ChunkedText;
using formats::Imatrix;
using formats::ImatrixText;

/// A text that is to go into the matrix.
struct Source {
    std::string name;
    std::vector<TokenId> tokens;
    std::string digest;
    std::int64_t done = 0;  // chunks that are in the matrix already
    std::int64_t all = 0;   // chunks that are to be in it
};

class ImatrixCommand : public Command {
  public:
    void declare(Flags& flags) override;
    Result<int> execute(Output& output) override;

  private:
    Result<void> check_flags() const;
    Result<void> start();
    Result<std::vector<Source>> read_sources(const models::Model& model);
    Result<void> evaluate(const std::shared_ptr<const models::Model>& model, std::vector<Source>& sources,
                          const InterruptWatch& interrupts);
    Result<void> evaluate_one(convert::Evaluator& evaluator, const convert::ImatrixCollector& collector, Source& source,
                              ProgressLine& line, const InterruptWatch& interrupts);
    ChunkedText chunked(const Source& source) const { return {source.tokens, begin_, chunk_tokens_}; }
    ImatrixText& record_of(const Source& source);
    Result<void> save();

    std::optional<std::string> positional_;
    std::optional<std::string> model_;
    std::optional<std::string> output_;
    std::vector<std::string> texts_;
    std::vector<std::string> in_files_;
    ComputeFlags compute_;
    LegacyFlags legacy_;
    std::int64_t chunk_tokens_ = 512;
    convert::ImatrixOptions options_;
    std::int64_t save_every_ = 50;
    bool resume_ = false;
    bool force_ = false;
    bool parse_special_ = false;
    bool json_ = false;

    std::shared_ptr<const formats::ModelFile> named_;  // the model's tensors under their names in GGUF
    Imatrix matrix_;
    std::optional<TokenId> begin_;
    std::int64_t evaluated_ = 0;  // chunks, in this run
    std::int64_t unsaved_ = 0;
    std::int64_t before_ = 0;  // chunks of the texts that were evaluated so far, those that were done included
    std::int64_t all_ = 0;     // chunks of all texts
};

void ImatrixCommand::declare(Flags& flags) {
    flags.positional("MODEL", positional_, "The model, best in F16, BF16 or F32.");
    flags.section("Model and text");
    declare_model(flags, model_);
    flags.texts(
        "-f,--prompt-file", "FILE", texts_,
        "A text to evaluate ('-': standard input), less one newline at its end. May be repeated: texts add up.");
    flags.flag("--parse-special", parse_special_, "Read <|...|> and the like in the text as control tokens.");
    flags.texts("--in-file", "FILE", in_files_,
                "Add an importance matrix of the same model, made here or by llama-imatrix. May be repeated.");
    flags.section("Measuring");
    flags.integer("-c,--chunk-tokens", "N", {4, std::numeric_limits<std::int32_t>::max()}, chunk_tokens_,
                  "Cut each text into chunks of N tokens (default 512).");
    flags.integer("--chunks", "N", {1, std::numeric_limits<std::int32_t>::max()}, options_.chunks,
                  "Evaluate only the first N chunks of each text (default: all).");
    flags.flag("--process-output", options_.with_head,
               "The matrix that makes the logits, too; takes longer, and few types gain from it.");
    flags.section("Output");
    flags.text("-o,--output-file", "FILE", output_, "The GGUF file to write.");
    flags.integer("--save-every", "N", {1, std::numeric_limits<std::int32_t>::max()}, save_every_,
                  "Write the file anew after every N chunks (default 50), and when interrupted.");
    flags.flag("--resume", resume_,
               "Go on with the file of -o, if it exists: what it has of each text is not evaluated again.");
    flags.flag("--force", force_, "Replace the file of -o if it exists.");
    flags.flag("--json", json_, "Print one JSON object.");
    compute_.declare(flags);
    legacy_.declare(flags);
    flags.example("puna imatrix model-f16.gguf -f calibration.txt -o imatrix.gguf", "then");
    flags.example("puna quantize model-f16.gguf model.gguf Q3_K_M --imatrix imatrix.gguf", "");
}

Result<void> ImatrixCommand::check_flags() const {
    if (positional_ && model_) {
        return Error{ErrorCode::invalid_argument, "two models are given", "give the file once"};
    }
    if (!output_) return Error{ErrorCode::invalid_argument, "no file to write is given", "give -o FILE"};
    if (texts_.empty() && in_files_.empty()) {
        return Error{ErrorCode::invalid_argument, "no text is given", "give -f FILE, or matrices to add up"};
    }
    if (std::count(texts_.begin(), texts_.end(), "-") > 1) {
        return Error{ErrorCode::invalid_argument, "standard input can be read once", "give -f - once"};
    }
    if (resume_ && force_) {
        return Error{ErrorCode::invalid_argument, "--resume and --force contradict each other", "give one of them"};
    }
    if (resume_ && !in_files_.empty()) {
        return Error{ErrorCode::invalid_argument,
                     "--in-file beside --resume: a matrix that was added before would count twice",
                     "leave --in-file away, or start again with --force"};
    }
    PUNA_CHECK(check_target(*output_, force_ || resume_));
    // Now rather than when the first chunks have been evaluated.
    PUNA_CHECK(base::AtomicFile::create(*output_));
    PUNA_CHECK(compute_.choose());
    return {};
}

/// Fills the matrix with what is there before any text is evaluated.
Result<void> ImatrixCommand::start() {
    std::vector<std::string> paths = in_files_;
    std::error_code ignored;
    if (resume_ && std::filesystem::exists(*output_, ignored)) paths.push_back(*output_);
    for (const std::string& path : paths) {
        PUNA_TRY(const Imatrix other, formats::read_imatrix(path));
        if (other.counts_chunks) {
            return Error{ErrorCode::invalid_argument,
                         fmt::format("{} does not say how many activations it adds up: it is in the format before GGUF",
                                     formats::printable_path(path)),
                         "it serves 'puna quantize --imatrix'; to add matrices up, take them in GGUF"};
        }
        for (const auto& [name, entry] : other.entries) {
            const formats::FoundTensor* tensor = named_->find_tensor(name);
            if (tensor == nullptr) {
                return Error{ErrorCode::invalid_argument,
                             fmt::format("{} is of another model: this one has no tensor '{}'",
                                         formats::printable_path(path), formats::printable(name)),
                             "add up matrices of one model"};
            }
            PUNA_CHECK(formats::check_entry(entry, *tensor));
        }
        if (resume_ && other.chunk_tokens != static_cast<std::uint64_t>(chunk_tokens_)) {
            return Error{ErrorCode::invalid_argument,
                         fmt::format("{} was made with chunks of {} tokens, not {}", formats::printable_path(path),
                                     other.chunk_tokens, chunk_tokens_),
                         fmt::format("give -c {}", other.chunk_tokens)};
        }
        PUNA_CHECK(formats::add_imatrix(matrix_, other));
    }
    matrix_.chunk_tokens = static_cast<std::uint64_t>(chunk_tokens_);
    return {};
}

Result<std::vector<Source>> ImatrixCommand::read_sources(const models::Model& model) {
    const text::Vocabulary& vocabulary = model.file().vocabulary;
    PUNA_TRY(const std::shared_ptr<const text::Tokenizer> tokenizer, text::Tokenizer::create(vocabulary));
    if (vocabulary.add_bos && vocabulary.bos != text::no_token) begin_ = vocabulary.bos;
    std::vector<Source> sources;
    for (const std::string& path : texts_) {
        PUNA_TRY(std::string text, base::read_text_file(path));
        if (text.ends_with('\n')) text.pop_back();
        Source source;
        source.name = path;
        source.tokens = tokenizer->encode(text, {.add_bos = true, .parse_special = parse_special_});
        PUNA_TRY(source.all, convert::imatrix_chunks(chunked(source), options_));
        PUNA_TRY(source.digest, convert::imatrix_text_digest(chunked(source)));
        for (const ImatrixText& known : matrix_.texts) {
            if (known.sha256 == source.digest) {
                source.done = std::min(source.all, static_cast<std::int64_t>(known.chunks));
            }
        }
        for (const Source& other : sources) {
            if (other.digest == source.digest) {
                return Error{ErrorCode::invalid_argument,
                             fmt::format("{} and {} are the same text", formats::printable_path(other.name),
                                         formats::printable_path(path)),
                             "give each text once"};
            }
        }
        if (source.done > 0) {
            note(fmt::format("{}: {} of {} chunks are in the matrix already", formats::printable_path(path),
                             source.done, source.all));
        }
        all_ += source.all;
        sources.push_back(std::move(source));
    }
    return sources;
}

ImatrixText& ImatrixCommand::record_of(const Source& source) {
    for (ImatrixText& text : matrix_.texts) {
        if (text.sha256 == source.digest) return text;
    }
    matrix_.datasets.push_back(source.name);
    return matrix_.texts.emplace_back(ImatrixText{source.digest, source.name, 0});
}

Result<void> ImatrixCommand::save() {
    unsaved_ = 0;
    return formats::write_imatrix(matrix_, *output_);
}

Result<void> ImatrixCommand::evaluate_one(convert::Evaluator& evaluator, const convert::ImatrixCollector& collector,
                                          Source& source, ProgressLine& line, const InterruptWatch& interrupts) {
    options_.first_chunk = source.done;
    const auto progress = [&](std::int64_t done, std::int64_t) -> Result<void> {
        const std::int64_t more = done - source.done;
        source.done = done;
        evaluated_ += more;
        unsaved_ += more;
        matrix_.chunks += static_cast<std::uint64_t>(more);
        ImatrixText& record = record_of(source);
        record.chunks = std::max(record.chunks, static_cast<std::uint64_t>(done));
        line.show(static_cast<std::uint64_t>(before_ + done), static_cast<std::uint64_t>(all_), "chunks");
        if (interrupts.interrupted()) {
            PUNA_CHECK(save());
            return Error{ErrorCode::cancelled,
                         fmt::format("interrupted; {} holds what {} chunks gave", formats::printable_path(*output_),
                                     matrix_.chunks),
                         "give the same command with --resume to go on"};
        }
        return unsaved_ >= save_every_ ? save() : Result<void>();
    };
    return convert::collect_imatrix(evaluator, collector, chunked(source), options_, progress);
}

Result<void> ImatrixCommand::evaluate(const std::shared_ptr<const models::Model>& model, std::vector<Source>& sources,
                                      const InterruptWatch& interrupts) {
    PUNA_TRY(const ComputeFlags::Choice choice, compute_.choose());
    tell_of_idle_threads(compute_.threads.value_or(0), choice.threads);
    PUNA_TRY(const std::unique_ptr<base::ThreadPool> pool,
             base::ThreadPool::create(choice.threads, choice.thread_options));
    const base::CpuScope core = pool->pin_caller();
    convert::ImatrixCollector collector(*named_, options_.with_head, matrix_);
    options_.batch_rows = compute_.batch_size;
    const convert::PerplexityOptions shape = {.chunk_tokens = chunk_tokens_, .batch_rows = options_.batch_rows};
    const convert::EvaluatorOptions options = {.kernels = choice.kernels,
                                               .activations = choice.activations,
                                               .kv_type = choice.kv_type,
                                               .pool = pool.get(),
                                               .batch_rows = options_.batch_rows,
                                               .capacity_positions = convert::perplexity_positions(shape),
                                               .observer = &collector};
    PUNA_TRY(const std::unique_ptr<convert::Evaluator> evaluator, convert::Evaluator::create(model, options));
    ProgressLine line;
    Result<void> result;
    for (Source& source : sources) {
        result = evaluate_one(*evaluator, collector, source, line, interrupts);
        if (!result.ok()) break;
        before_ += source.all;
    }
    line.end();
    return result;
}

Result<int> ImatrixCommand::execute(Output& output) {
    PUNA_CHECK(check_flags());
    PUNA_TRY(const std::string path, required_model(positional_ ? positional_ : model_));
    const InterruptWatch interrupts;
    PUNA_TRY(const std::shared_ptr<const models::Model> model, open_model(path, compute_, legacy_.values()));
    PUNA_TRY(named_, models::in_gguf_dialect(model->shared_file(), models::Defaults::silent));
    PUNA_CHECK(start());
    PUNA_TRY(std::vector<Source> sources, read_sources(*model));
    if (chunk_tokens_ > model->dimensions().context) {
        note(fmt::format("chunks of {} tokens are longer than the {} that the model was made for", chunk_tokens_,
                         model->dimensions().context));
    }
    if (!sources.empty()) PUNA_CHECK(evaluate(model, sources, interrupts));
    PUNA_CHECK(save());
    if (json_) {
        const Json json = {{"entries", matrix_.entries.size()},
                           {"chunks", matrix_.chunks},
                           {"chunk_tokens", matrix_.chunk_tokens},
                           {"evaluated_chunks", evaluated_},
                           {"datasets", matrix_.datasets}};
        PUNA_CHECK(output.write_line(json_line(json)));
    } else {
        note(fmt::format("{}: {} tensors, {} chunks of {} tokens, {} of them evaluated now",
                         formats::printable_path(*output_), matrix_.entries.size(), matrix_.chunks,
                         matrix_.chunk_tokens, evaluated_));
    }
    return exit_ok;
}

}  // namespace

std::unique_ptr<Command> make_imatrix_command() {
    return std::make_unique<ImatrixCommand>();
}

}  // namespace puna::cli
