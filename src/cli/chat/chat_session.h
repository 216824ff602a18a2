// What the ways to talk share: the conversation, where it is kept, and how a reply is asked for.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "cli/chat/conversation.h"
#include "cli/console.h"
#include "cli/sampling_flags.h"
#include "cli/session_flags.h"
#include "puna/engine.h"
#include "puna/model.h"

namespace puna::cli {

/// All must outlive it.
struct ChatSession {
    const Model& model;
    Engine& engine;
    Conversation& conversation;
    const SamplingFlags& sampling;
    const SessionFlags& files;
    Output& output;
    double load_ms = 0;
    /// Puts another model, a path or a name in the store, in the place of this one, and its engine; the conversation
    /// stays. Errors: what is wrong with it; then all is as before.
    std::function<Result<void>(const std::string&)> change_model = {};

    /// Loads a session, whose parameters hold where no flag was given. Errors: those of Conversation::restore.
    Result<void> restore(const Session& session);
    /// Saves where the flags say, if they do and there is something. Errors: io_error.
    Result<void> save();
};

/// What a reply is asked for with.
enum class Turn {
    question,  ///< another question
    results,   ///< what tools returned, which the conversation has
    again,     ///< the last question: the reply is taken back
};

/// Asks, and stops on Ctrl-C; what came then is the reply. `printer` shows it as it comes; null: nobody does.
/// `question` is for Turn::question.
Result<Transcript> ask(ChatSession& chat, Turn turn, const std::string& question, ReplyPrinter* printer);

/// Talks at a terminal, with line editing and commands, until Ctrl-D or /exit. `history_file` may be empty.
/// Errors: io_error.
Result<int> talk_at_terminal(ChatSession& chat, const std::string& history_file);

/// Turns from standard input, one a line, or one JSON object {role, content} a line; replies to standard output, or an
/// object each. Errors: the first turn that fails ends it.
Result<int> talk_in_lines(ChatSession& chat, bool json);

/// The object of a reply: that of `puna run --json`, and its content, reasoning and calls.
Json reply_json(const ChatSession& chat, const Transcript& transcript);

}  // namespace puna::cli
