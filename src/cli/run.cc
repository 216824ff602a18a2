// puna run: a prompt goes in, text comes out.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/try.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/ready_model.h"
#include "cli/repl.h"
#include "cli/run_options.h"
#include "cli/transcript.h"
#include "puna/engine.h"

namespace puna::cli {
namespace {

class RunCommand : public Command {
  public:
    void declare(Flags& flags) override { options_.declare(flags); }
    Result<int> execute(Output& output) override;

  private:
    Result<Request> make_request(const std::optional<Session>& session) const;
    void report_session(const Started& started, const std::optional<Session>& session, const EngineInfo& info) const;
    Listener listener(Stream& stream, Output& output) const;
    Result<void> dump_prompt(const Model& model, const std::string& prompt, bool follows_session) const;
    RunOptions options_;
    std::string prompt_;
    double load_ms_ = 0;
};

Result<int> RunCommand::execute(Output& output) {
    PUNA_CHECK(options_.check());
    PUNA_CHECK(options_.compute.choose());
    PUNA_TRY(const std::string path, required_model(options_.model));
    if (options_.repl) return run_repl(options_, path, output);
    PUNA_TRY(prompt_, options_.source.read());

    InterruptWatch interrupts;
    PUNA_TRY(const std::optional<Session> session, options_.session.open());
    PUNA_TRY(ReadyModel ready, make_ready(path, options_.compute, options_.legacy, options_.context_tokens));
    const Model& model = ready.model;
    Engine& engine = ready.engine;
    load_ms_ = ready.load_ms;
    PUNA_TRY(const Request request, make_request(session));
    if (options_.dump_prompt_tokens) {
        PUNA_CHECK(dump_prompt(model, prompt_, session && request.session_use == SessionUse::append));
    }

    PUNA_TRY(Stream stream, engine.submit(request));
    interrupts.set_action([&stream] { stream.cancel(); });
    const auto followed = follow(stream, listener(stream, output));
    interrupts.set_action({});
    PUNA_CHECK(followed);
    const Transcript& transcript = *followed;
    if (session) report_session(transcript.started, session, engine.info());
    // What was computed is kept, whatever becomes of the output, and printed, whatever becomes of the session.
    const auto saved =
        transcript.finished.session ? options_.session.write(*transcript.finished.session) : Result<void>();
    if (output.closed()) {
        PUNA_CHECK(saved);
        return exit_ok;
    }

    const FinishReason reason = transcript.finished.reason;
    if (options_.json) {
        Json json;
        if (options_.echo) json["prompt"] = prompt_;
        json.update(to_json(transcript, engine.info(), load_ms_, options_.logprobs.has_value()));
        PUNA_CHECK(output.write_line(json_line(json)));
    } else {
        // A terminal's next prompt should begin on a line of its own; a pipe gets the model's text and nothing else.
        if (output.is_terminal() && !transcript.text.ends_with('\n')) PUNA_CHECK(output.write("\n"));
        note(summary(transcript));
    }
    if (output.closed()) return exit_ok;
    if (reason == FinishReason::context) {
        note(fmt::format("the context of {} tokens is full: generation ended", engine.info().context_tokens));
    }
    PUNA_CHECK(saved);
    return reason == FinishReason::cancelled ? exit_interrupted : exit_ok;
}

Result<Request> RunCommand::make_request(const std::optional<Session>& session) const {
    Request request = options_.request(prompt_);
    options_.session.apply(session, request);
    // A session that is appended to goes on in every way; of one for its prefix, keys and values alone are used.
    if (session && request.session_use == SessionUse::append) {
        PUNA_TRY(request.sampling, options_.sampling.over(session->sampling()));
    }
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

Listener RunCommand::listener(Stream& stream, Output& output) const {
    Listener listener;
    if (options_.json) return listener;
    if (options_.echo) listener.started = [&](const Started&) { return output.write(prompt_); };
    listener.text = [&](std::string_view text) {
        Result<void> written = output.write(text);
        if (output.closed()) stream.cancel();
        return written;
    };
    return listener;
}

}  // namespace

std::unique_ptr<Command> make_run_command() {
    return std::make_unique<RunCommand>();
}

}  // namespace puna::cli
