// puna run: a prompt goes in, text comes out.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <chrono>
#include <variant>

#include "base/try.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/run_options.h"
#include "puna/engine.h"

namespace puna::cli {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double per_second(double count, double milliseconds) {
    return milliseconds > 0 ? 1000 * count / milliseconds : 0;
}

/// What a request has told so far.
struct Transcript {
    Started started;
    std::string text;
    std::vector<TokenId> ids;
    Json logprobs = Json::array();
    Finished finished;
};

Json logprob_json(const TokenLogprob& logprob) {
    return {{"id", logprob.id}, {"logprob", nine_digits(logprob.logprob)}};
}

Json token_json(const Token& token) {
    Json entry = logprob_json(*token.logprob);
    entry["top"] = Json::array();
    for (const TokenLogprob& top : token.top_logprobs)
        entry["top"].push_back(logprob_json(top));
    return entry;
}

class RunCommand : public Command {
  public:
    void declare(Flags& flags) override { options_.declare(flags); }
    Result<int> execute(Output& output) override;

  private:
    Request make_request(const std::optional<Session>& session) const;
    void report_session(const Started& started, const std::optional<Session>& session, const EngineInfo& info) const;
    Result<void> dump_prompt(const Model& model, const std::string& prompt, bool follows_session) const;
    Result<void> follow(Stream& stream, Output& output, Transcript& transcript) const;
    Result<void> on_event(const Started& started, Output& output, Transcript& transcript) const;
    Result<void> on_event(const Token& token, Output& output, Transcript& transcript) const;
    Result<void> on_event(const Finished& finished, Output& output, Transcript& transcript) const;
    Result<void> on_event(const Error& error, Output& output, Transcript& transcript) const;
    Json result_json(const Transcript& transcript, const EngineInfo& info) const;
    void print_summary(const Transcript& transcript) const;

    RunOptions options_;
    std::string prompt_;
    double load_ms_ = 0;
};

Result<int> RunCommand::execute(Output& output) {
    PUNA_CHECK(options_.check());
    PUNA_CHECK(options_.compute.choose());
    PUNA_TRY(const std::string path, required_model(options_.model));
    PUNA_TRY(prompt_, options_.source.read());

    InterruptWatch interrupts;
    const Clock::time_point begin = Clock::now();
    PUNA_TRY(const std::optional<Session> session, options_.session.open());
    PUNA_TRY(const Model model, Model::load(path));
    EngineOptions engine_options = options_.compute.engine_options();
    engine_options.context_tokens = options_.context_tokens.value_or(0);
    PUNA_TRY(Engine engine, Engine::create(model, engine_options));
    load_ms_ = milliseconds_since(begin);
    if (engine.info().context_capped_by_memory) {
        note(fmt::format("memory is short: the context holds {} of the model's {} tokens", engine.info().context_tokens,
                         model.info().context_tokens));
    }
    const Request request = make_request(session);
    if (options_.dump_prompt_tokens) {
        PUNA_CHECK(dump_prompt(model, prompt_, session && request.session_use == SessionUse::append));
    }

    PUNA_TRY(Stream stream, engine.submit(request));
    interrupts.set_action([&stream] { stream.cancel(); });
    Transcript transcript;
    const Result<void> followed = follow(stream, output, transcript);
    interrupts.set_action({});
    PUNA_CHECK(followed);
    if (session) report_session(transcript.started, session, engine.info());
    // Whatever else fails: what was computed is kept.
    if (transcript.finished.session) PUNA_CHECK(options_.session.write(*transcript.finished.session));
    if (output.closed()) return exit_ok;

    const FinishReason reason = transcript.finished.reason;
    if (options_.json) {
        PUNA_CHECK(output.write_line(json_line(result_json(transcript, engine.info()))));
    } else {
        // A terminal's next prompt should begin on a line of its own; a pipe gets the model's text and nothing else.
        if (output.is_terminal() && !transcript.text.ends_with('\n')) PUNA_CHECK(output.write("\n"));
        print_summary(transcript);
    }
    if (output.closed()) return exit_ok;
    if (reason == FinishReason::context) {
        note(fmt::format("the context of {} tokens is full: generation ended", engine.info().context_tokens));
    }
    return reason == FinishReason::cancelled ? exit_interrupted : exit_ok;
}

Request RunCommand::make_request(const std::optional<Session>& session) const {
    Request request = options_.request(prompt_);
    options_.session.apply(session, request);
    // A session that is appended to goes on in every way; of one for its prefix, keys and values alone are used.
    if (session && request.session_use == SessionUse::append)
        request.sampling = options_.sampling.over(session->sampling());
    return request;
}

void RunCommand::report_session(const Started& started, const std::optional<Session>& session,
                                const EngineInfo& info) const {
    note(fmt::format("session loaded: {} of its {} tokens reused", started.reused_tokens, session->tokens().size()));
    if (const std::string law = session->info().law; law != info.law)
        note(fmt::format("it was computed by the law {}, and goes on by {}: the bits are those of neither", law,
                         info.law));
}

Result<void> RunCommand::dump_prompt(const Model& model, const std::string& prompt, bool follows_session) const {
    const EncodeOptions encode = {.add_bos = !options_.no_bos && !follows_session,
                                  .parse_special = options_.parse_special};
    PUNA_TRY(const std::vector<TokenId> ids, model.encode(prompt, encode));
    std::vector<std::string> pieces;
    for (const TokenId id : ids) {
        PUNA_TRY(const std::string piece, model.piece(id));
        pieces.push_back(fmt::format("{}: {}", json_line(piece), id));
    }
    talk(fmt::format("{}\n{{{}}}\n", fmt::join(ids, ", "), fmt::join(pieces, ", ")));
    return {};
}

Result<void> RunCommand::follow(Stream& stream, Output& output, Transcript& transcript) const {
    while (std::optional<Event> event = stream.next()) {
        PUNA_CHECK(std::visit([&](const auto& e) { return on_event(e, output, transcript); }, *event));
        if (output.closed()) stream.cancel();
    }
    return {};
}

Result<void> RunCommand::on_event(const Started& started, Output& output, Transcript& transcript) const {
    transcript.started = started;
    if (!options_.echo || options_.json) return {};
    return output.write(prompt_);
}

Result<void> RunCommand::on_event(const Token& token, Output& output, Transcript& transcript) const {
    transcript.ids.push_back(token.id);
    transcript.text += token.text;
    if (token.logprob) transcript.logprobs.push_back(token_json(token));
    if (options_.json || token.text.empty()) return {};
    return output.write(token.text);
}

Result<void> RunCommand::on_event(const Finished& finished, Output& output, Transcript& transcript) const {
    transcript.finished = finished;
    transcript.text += finished.text;
    if (options_.json || finished.text.empty()) return {};
    return output.write(finished.text);
}

Result<void> RunCommand::on_event(const Error& error, Output&, Transcript&) const {
    return error;
}

Json RunCommand::result_json(const Transcript& transcript, const EngineInfo& info) const {
    Json json;
    if (options_.echo) json["prompt"] = prompt_;
    json["text"] = transcript.text;
    json["prompt_ids"] = transcript.started.prompt_ids;
    json["ids"] = transcript.ids;
    json["finish_reason"] = finish_reason_name(transcript.finished.reason);
    if (options_.logprobs) json["logprobs"] = transcript.logprobs;
    json["seed"] = transcript.started.seed;
    json["reused_tokens"] = transcript.started.reused_tokens;
    json["threads"] = info.threads;
    json["kernels"] = info.kernels;
    json["activations"] = info.activations;
    json["kv"] = info.kv_type;
    json["law"] = info.law;
    const Timings& timings = transcript.finished.timings;
    json["timings"] = {{"load_ms", load_ms_},
                       {"prompt_tokens", timings.prompt_tokens},
                       {"prompt_ms", timings.prompt_ms},
                       {"predicted_tokens", timings.predicted_tokens},
                       {"predicted_ms", timings.predicted_ms},
                       {"first_token_ms", timings.first_token_ms}};
    return json;
}

void RunCommand::print_summary(const Transcript& transcript) const {
    const Timings& timings = transcript.finished.timings;
    // predicted_ms runs from the first token to the last, so it holds one token less.
    const double steps = timings.predicted_tokens > 0 ? timings.predicted_tokens - 1.0 : 0.0;
    talk(fmt::format(
        "puna: prompt {} tokens, {:.1f} tokens/s; generated {} tokens, {:.1f} tokens/s; first token "
        "after {:.0f} ms; seed {}\n",
        timings.prompt_tokens, per_second(timings.prompt_tokens, timings.prompt_ms), timings.predicted_tokens,
        per_second(steps, timings.predicted_ms), timings.first_token_ms, transcript.started.seed));
}

}  // namespace

std::unique_ptr<Command> make_run_command() {
    return std::make_unique<RunCommand>();
}

}  // namespace puna::cli
