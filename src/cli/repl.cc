#include "cli/repl.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "base/rng.h"
#include "base/try.h"
#include "cli/chat/line_editor.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/line_source.h"
#include "cli/ready_model.h"
#include "cli/terminal_text.h"
#include "cli/transcript.h"
#include "puna/engine.h"

namespace puna::cli {
namespace {

/// The tokens so far, and turns that are put behind them.
class Repl {
  public:
    Repl(const RunOptions& options, const Model& model, Engine& engine, Output& output, double load_ms)
        : options_(options),
          model_(model),
          engine_(engine),
          output_(output),
          load_ms_(load_ms),
          sampling_(options.sampling.options()) {
        if (!sampling_.seed) sampling_.seed = base::random_seed();
    }

    Result<void> restore(const Session& session);
    /// False: the reply was interrupted.
    Result<bool> turn(const std::string& text);
    Result<void> save();
    std::uint64_t seed() const { return sampling_.seed.value_or(0); }

  private:
    const RunOptions& options_;
    const Model& model_;
    Engine& engine_;
    Output& output_;
    double load_ms_;
    SamplingOptions sampling_;
    SamplerState sampler_state_;
    std::vector<TokenId> tokens_;
};

Result<void> Repl::restore(const Session& session) {
    // A request for nothing puts keys and values in the cache, where the first turn finds them.
    Request request;
    request.prompt = std::vector<TokenId>();
    request.max_tokens = 0;
    options_.session.apply(session, request);
    PUNA_TRY(Stream stream, engine_.submit(std::move(request)));
    const auto loaded = follow(stream, {});
    // One that is longer than this context is read anew, less its oldest tokens, where it may shift.
    const bool may_shift = options_.when_full == "shift";
    if (!loaded.ok() && !(may_shift && loaded.error().code == ErrorCode::context_overflow)) return loaded.error();
    PUNA_TRY(sampling_, options_.sampling.over(session.sampling()));
    sampler_state_ = session.sampler_state();
    tokens_ = session.tokens();
    note(fmt::format("session loaded: {} tokens", tokens_.size()));
    return {};
}

Result<bool> Repl::turn(const std::string& text) {
    Request request = options_.request({});
    const bool first = tokens_.empty();
    PUNA_TRY(const std::vector<TokenId> ids,
             model_.encode(text, {.add_bos = first && !options_.no_bos, .parse_special = options_.parse_special}));
    std::vector<TokenId> prompt = tokens_;
    prompt.insert(prompt.end(), ids.begin(), ids.end());
    request.prompt = std::move(prompt);
    request.sampling = sampling_;
    request.sampler_state = sampler_state_;
    if (options_.when_full == "shift") {
        request.overflow = OverflowPolicy::truncate_start;
        request.when_full = ContextPolicy::shift;
    }
    const std::uint32_t context = engine_.info().context_tokens;
    const auto announce = [&](std::uint32_t dropped) {
        if (dropped > 0)
            note(fmt::format("the context of {} tokens is full: the {} oldest are dropped", context, dropped));
    };

    InterruptWatch interrupts(InterruptWatch::Second::is_ignored);
    PUNA_TRY(Stream stream, engine_.submit(std::move(request)));
    interrupts.set_action([&stream] { stream.cancel(); });
    Listener listener;
    listener.started = [&](const Started& started) -> Result<void> {
        announce(started.dropped_tokens);
        return {};
    };
    listener.shifted = announce;
    listener.text = [&](std::string_view piece) -> Result<void> {
        if (options_.json) return {};
        auto written = output_.write(output_.is_terminal() ? terminal_text(piece) : std::string(piece));
        if (output_.closed()) stream.cancel();
        return written;
    };
    const auto transcript = follow(stream, listener);
    interrupts.set_action({});
    PUNA_CHECK(transcript);
    tokens_ = transcript->started.prompt_ids;
    tokens_.insert(tokens_.end(), transcript->ids.begin(), transcript->ids.end());
    sampler_state_ = transcript->finished.sampler_state;
    if (transcript->finished.reason == FinishReason::context)
        note(fmt::format("the context of {} tokens is full: the reply ends here", context));
    if (options_.json) {
        PUNA_CHECK(
            output_.write_line(json_line(to_json(*transcript, engine_.info(), load_ms_, /*with_logprobs=*/false))));
    } else if (!transcript->text.ends_with('\n')) {
        PUNA_CHECK(output_.write("\n"));
    }
    return transcript->finished.reason != FinishReason::cancelled;
}

Result<void> Repl::save() {
    if (!options_.session.writes() || tokens_.empty()) return {};
    Request request;
    request.prompt = tokens_;
    request.max_tokens = 0;
    request.keep_session = true;
    request.sampling = sampling_;
    request.sampler_state = sampler_state_;
    request.overflow = options_.when_full == "shift" ? OverflowPolicy::truncate_start : OverflowPolicy::error;
    PUNA_TRY(Stream stream, engine_.submit(std::move(request)));
    PUNA_TRY(const Transcript transcript, follow(stream, {}));
    return transcript.finished.session ? options_.session.write(*transcript.finished.session) : Result<void>();
}

std::string in_template(const std::optional<std::string>& wrapper, const std::string& line) {
    return wrapper ? substitute_prompt(*wrapper, line) : line;
}

Result<bool> at_terminal(Repl& repl, const std::optional<std::string>& wrapper, const Output& output) {
    using Line = LineEditor::Line;
    const ReadingInterrupts interrupts;
    const auto no_words = [](const std::string&) { return std::vector<std::string>(); };
    PUNA_TRY(const auto editor, LineEditor::create(interrupts, no_words, {}));
    while (!output.closed()) {
        const Line entry = read_entry(*editor, ">> ", ".. ");
        if (entry.kind == Line::Kind::end) break;
        if (entry.kind == Line::Kind::interrupted || entry.text.empty()) continue;
        editor->remember(entry.text);
        if (const auto done = repl.turn(in_template(wrapper, entry.text)); !done.ok())
            report_error(done.error(), /*json=*/false);
    }
    return true;
}

/// False: it was interrupted.
Result<bool> in_lines(Repl& repl, const std::optional<std::string>& wrapper, const Output& output) {
    const ReadingInterrupts interrupts;
    LineSource lines(interrupts);
    while (!output.closed()) {
        PUNA_TRY(const std::optional<std::string> line, lines.next());
        if (!line) return !lines.interrupted();
        if (line->empty()) continue;
        PUNA_TRY(const bool whole, repl.turn(in_template(wrapper, *line)));
        if (!whole) return output.closed();
    }
    return true;
}

}  // namespace

Result<int> run_repl(const RunOptions& options, const std::string& model_path, Output& output) {
    PUNA_TRY(const std::optional<std::string> wrapper, options.source.read_template());
    PUNA_TRY(const std::optional<Session> session, options.session.open());
    PUNA_TRY(ReadyModel ready, make_ready(model_path, options.compute, options.legacy, options.context_tokens));
    Repl repl(options, ready.model, ready.engine, output, ready.load_ms);
    if (session) PUNA_CHECK(repl.restore(*session));
    if (options.source.prompt) PUNA_CHECK(repl.turn(in_template(wrapper, *options.source.prompt)));

    const bool terminal = ::isatty(STDIN_FILENO) == 1 && output.is_terminal() && !options.json;
    const Result<bool> ended = terminal ? at_terminal(repl, wrapper, output) : in_lines(repl, wrapper, output);
    PUNA_CHECK(repl.save());  // whatever ended it
    PUNA_CHECK(ended);
    if (!options.json) note(fmt::format("seed {}", repl.seed()));
    return *ended ? exit_ok : exit_interrupted;
}

}  // namespace puna::cli
