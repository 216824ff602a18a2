// puna chat: talking with a model.
#include <fmt/format.h>
#include <fmt/ranges.h>
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
#include "store/models.h"

namespace puna::cli {
namespace {

/// The store's only model. Errors: invalid_argument, which lists them.
Result<std::string> only_model() {
    const auto folder = store::models_folder();
    std::vector<store::StoredModel> models;
    if (folder) {
        PUNA_TRY(models, store::list_models(*folder));
    }
    if (models.size() == 1) return models.front().path;
    std::vector<std::string> names;
    for (const store::StoredModel& model : models)
        names.push_back(model.name);
    return Error{ErrorCode::invalid_argument, "no model is given",
                 models.empty() ? fmt::format("give a file; there are no models in {}", folder.value_or("the store"))
                                : fmt::format("give a file, or one of {}'s: {}", *folder, fmt::join(names, ", "))};
}

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
    Result<std::string> model_path() const;
    Result<void> check_fit(const ReadyModel& ready, const ReplyFormat& replies, const SamplingOptions& sampling) const;
    Result<void> change_model(const std::string& word, ReadyModel& ready, ChatSession& chat);
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
    flags.positional("MODEL", model_word_,
                     "The model's file, or its name; the same as -m (default: the only model that 'puna list' shows).");
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
    PUNA_CHECK(files_.check(/*has_commands=*/!prompt_));
    PUNA_CHECK(sampling_.check());
    PUNA_CHECK(replies_.check());
    PUNA_TRY(policy_, parse_full_policy(when_full_));
    PUNA_TRY(constraint_, constraint_flags_.read(/*standard_input_is_taken=*/!prompt_));
    if (constraint_ && replies_.holds_to_tools())
        return Error{ErrorCode::invalid_argument, "--tool-choice is a constraint too, and a reply has one",
                     "give it, or --grammar, --json-schema or --regex"};
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
    PUNA_TRY(const std::string path, model_path());
    PUNA_TRY(const std::optional<Session> session, files_.open());

    PUNA_TRY(ReadyModel ready, make_ready(path, compute_, legacy_, context_tokens_));
    PUNA_CHECK(replies_.choose(ready.model));
    PUNA_CHECK(check_fit(ready, replies_, sampling_.options()));
    Conversation conversation(ready.model, ready.engine, settings());
    ChatSession chat{ready.model, ready.engine, conversation, sampling_, files_, output, ready.load_ms};
    chat.change_model = [&](const std::string& word) { return change_model(word, ready, chat); };
    if (session) PUNA_CHECK(chat.restore(*session));
    if (system_) conversation.set_system(*system_);

    if (prompt_) return answer_once(chat);
    if (json_ || ::isatty(STDIN_FILENO) != 1 || !output.is_terminal()) return talk_in_lines(chat, json_);
    return talk_at_terminal(chat, no_history_ ? std::string() : default_history_file());
}

Result<std::string> ChatCommand::model_path() const {
    if (!model_word_ && !model_) return only_model();
    return required_model(model_word_ ? model_word_ : model_);
}

/// Before the first question: whether the model can talk, and can do so as the flags say.
Result<void> ChatCommand::check_fit(const ReadyModel& ready, const ReplyFormat& replies,
                                    const SamplingOptions& sampling) const {
    // A model that has no template, or none that can be read. (What a template says about the messages, for which
    // `invalid_argument` stands, comes with them.)
    if (const auto empty = ready.model.encode_chat({});
        !empty.ok() && empty.error().code != ErrorCode::invalid_argument)
        return empty.error();
    PUNA_CHECK(sampling::check_options(sampling, ready.model.info().vocabulary_tokens));
    if (constraint_) PUNA_CHECK(ready.engine.check(*constraint_));
    if (const auto tools = replies.constraint({}, /*behind_results=*/false)) PUNA_CHECK(ready.engine.check(*tools));
    return {};
}

/// After an error all is as before. Conversation and chat refer to the members of `ready`.
Result<void> ChatCommand::change_model(const std::string& word, ReadyModel& ready, ChatSession& chat) {
    PUNA_TRY(const std::string path, required_model(word));
    PUNA_TRY(ReadyModel other, make_ready(path, compute_, legacy_, context_tokens_));
    ReplyFormat replies = replies_;
    PUNA_CHECK(replies.choose(other.model));
    PUNA_CHECK(check_fit(other, replies, chat.conversation.settings.sampling));
    ready = std::move(other);
    chat.load_ms = ready.load_ms;
    PUNA_CHECK(replies_.choose(ready.model));
    chat.conversation.model_changed();
    return {};
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
