// puna chat: talking with a model.
#include <fmt/format.h>
#include <unistd.h>

#include <limits>

#include "base/text_file.h"
#include "base/try.h"
#include "cli/chat/chat_session.h"
#include "cli/commands.h"
#include "cli/compute_flags.h"
#include "cli/constraint_flags.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/legacy_flags.h"
#include "cli/ready_model.h"
#include "sampling/check_options.h"

namespace puna::cli {
namespace {

/// Where programs keep their state, by the XDG Base Directory Specification; empty if there is no home.
std::string default_history_file() {
    if (const auto state = base::environment_variable("XDG_STATE_HOME")) return *state + "/puna/chat_history";
    if (const auto home = base::environment_variable("HOME")) return *home + "/.local/state/puna/chat_history";
    return {};
}

class ChatCommand : public Command {
  public:
    void declare(Flags& flags) override;
    Result<int> execute(Output& output) override;

  private:
    Result<void> check();
    Result<int> answer_once(ChatSession& chat) const;
    Conversation::Settings settings() const;

    std::optional<std::string> model_word_;
    std::optional<std::string> model_;
    std::optional<std::string> prompt_;
    std::optional<std::string> system_;
    std::optional<std::uint32_t> max_tokens_;
    std::optional<std::uint32_t> context_tokens_;
    std::vector<std::string> stop_;
    std::string when_full_ = "truncate-oldest-turns";
    FullPolicy policy_ = FullPolicy::truncate_oldest_turns;
    bool json_ = false;
    bool no_history_ = false;
    SamplingFlags sampling_;
    ReplyFormat replies_;
    ConstraintFlags constraint_flags_;
    std::optional<Constraint> constraint_;
    SessionFlags files_;
    ComputeFlags compute_;
    LegacyFlags legacy_;
};

void ChatCommand::declare(Flags& flags) {
    flags.positional("MODEL", model_word_, "The model's file; the same as -m.");
    flags.section("Model and messages");
    declare_model(flags, model_);
    flags.text("-p,--prompt", "TEXT", prompt_, "Answer this, and exit.");
    flags.text("--system", "TEXT", system_, "What the model is told before all else.");

    flags.section("How much");
    flags.integer("-n,--num-predict", "N", {1, std::numeric_limits<std::int32_t>::max()}, max_tokens_,
                  "At most N tokens a reply (default: until the model ends it).");
    flags.integer("--num-ctx-tokens", "N", {1, std::numeric_limits<std::int32_t>::max()}, context_tokens_,
                  "Size of the context (default: the model's, less if memory is short).");
    flags.text("--when-full", "POLICY", when_full_,
               "When the context is full: error, truncate-oldest-turns, shift (default truncate-oldest-turns). What is "
               "dropped is told.");
    flags.texts("--stop", "TEXT", stop_, "End a reply before this text; may be given several times.");
    sampling_.declare(flags);
    replies_.declare(flags);
    constraint_flags_.declare(flags, "Constraints: each reply matches, or there is an error", "each reply");

    flags.section("Output");
    flags.flag("--json", json_,
               "Messages in, one a line, as {\"role\", \"content\"}; a JSON object a line for each reply.");
    flags.flag("--no-history", no_history_, "Keep no file of what was typed.");
    compute_.declare(flags);
    files_.declare_for_chat(flags);
    legacy_.declare(flags);

    flags.example("puna chat model.gguf", "talk; /help lists commands");
    flags.example("puna chat model.gguf -p \"Name three llamas.\" --system \"Be brief.\"", "one answer");
    flags.example("puna chat model.gguf -p \"A llama's name and age?\" --json-schema person.json",
                  "an object, and no more");
    flags.example("puna chat model.gguf --persist-session talk.session", "go on tomorrow where today ended");
}

Result<void> ChatCommand::check() {
    PUNA_CHECK(files_.check());
    PUNA_CHECK(sampling_.check());
    PUNA_CHECK(replies_.check());
    PUNA_TRY(policy_, parse_full_policy(when_full_));
    PUNA_TRY(constraint_, constraint_flags_.read(/*standard_input_is_taken=*/!prompt_));
    PUNA_CHECK(compute_.choose());
    if (model_word_ && model_) {
        return Error{ErrorCode::invalid_argument, "two models are given", "name it once, as MODEL or by -m"};
    }
    for (const std::string& text : stop_) {
        if (text.empty())
            return Error{ErrorCode::invalid_argument, "--stop takes a text, not an empty one", "leave it away"};
    }
    return {};
}

Conversation::Settings ChatCommand::settings() const {
    return {.sampling = sampling_.options(),
            .max_tokens = max_tokens_,
            .stop = stop_,
            .constraint = constraint_,
            .when_full = policy_,
            .replies = &replies_};
}

Result<int> ChatCommand::execute(Output& output) {
    PUNA_CHECK(check());
    PUNA_TRY(const std::string path, required_model(model_word_ ? model_word_ : model_));
    PUNA_TRY(const std::optional<Session> session, files_.open());

    PUNA_TRY(ReadyModel ready, make_ready(path, compute_, legacy_, context_tokens_));
    const Model& model = ready.model;
    Engine& engine = ready.engine;
    // Before the first question: a model that has no template, or none that can be read. (What a template says about
    // the messages, for which `invalid_argument` stands, comes with them.)
    if (const auto empty = model.encode_chat({}); !empty.ok() && empty.error().code != ErrorCode::invalid_argument)
        return empty.error();
    PUNA_CHECK(replies_.choose(model));
    PUNA_CHECK(sampling::check_options(sampling_.options(), model.info().vocabulary_tokens));
    if (constraint_) PUNA_CHECK(engine.check(*constraint_));
    Conversation conversation(model, engine, settings());
    ChatSession chat{model, engine, conversation, sampling_, files_, output, ready.load_ms};
    if (session) PUNA_CHECK(chat.restore(*session));
    if (system_) conversation.set_system(*system_);

    if (prompt_) return answer_once(chat);
    if (json_ || ::isatty(STDIN_FILENO) != 1 || !output.is_terminal()) return talk_in_lines(chat, json_);
    return talk_at_terminal(chat, no_history_ ? std::string() : default_history_file());
}

Result<int> ChatCommand::answer_once(ChatSession& chat) const {
    ReplyPrinter printer(chat.output, chat.output.is_terminal());
    const auto transcript = ask(chat, Turn::question, *prompt_, json_ ? nullptr : &printer);
    PUNA_CHECK(transcript);
    if (json_) {
        PUNA_CHECK(chat.output.write_line(json_line(reply_json(chat, *transcript))));
    } else {
        if (chat.output.is_terminal()) PUNA_CHECK(printer.finish());
        note(summary(*transcript));
    }
    PUNA_CHECK(chat.save());
    return transcript->finished.reason == FinishReason::cancelled && !chat.output.closed() ? exit_interrupted : exit_ok;
}

}  // namespace

std::unique_ptr<Command> make_chat_command() {
    return std::make_unique<ChatCommand>();
}

}  // namespace puna::cli
