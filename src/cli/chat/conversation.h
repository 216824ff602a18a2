// A conversation with a model: messages, what of them the model sees, and replies.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/chat/reply_format.h"
#include "cli/transcript.h"
#include "puna/engine.h"
#include "puna/model.h"
#include "puna/session.h"

namespace puna::cli {

/// What happens when the context is full.
enum class FullPolicy {
    error,                  ///< a turn that does not fit is an error, and a reply ends where the context does
    truncate_oldest_turns,  ///< the model no longer sees the oldest turns; the system message stays
    shift,                  ///< as tokens are generated, the oldest make room (ContextPolicy::shift)
};

/// Errors: invalid_argument.
Result<FullPolicy> parse_full_policy(std::string_view name);

/// From {"role", "content"} and, where it has them, "reasoning", "tool_calls", "tool_call_id", "name". Errors:
/// invalid_argument.
Result<ChatMessage> chat_message(const Json& json);

/// For one thread at a time. Keys and values of earlier turns are reused as far as the template writes them alike; the
/// engine sees to that.
class Conversation {
  public:
    struct Settings {
        SamplingOptions sampling;
        std::optional<std::uint32_t> max_tokens;
        std::vector<std::string> stop;
        std::optional<Constraint> constraint;  // of each reply, from its first byte to its last
        FullPolicy when_full = FullPolicy::truncate_oldest_turns;
        const ReplyFormat* replies = nullptr;  // never null for a conversation
    };
    struct Hooks {
        std::function<Result<void>(const ChatEvent&)> heard;
        /// One sentence about what was dropped.
        std::function<void(const std::string&)> announce;
        /// Called with the request under way, and with null before it goes.
        std::function<void(Stream*)> running;
    };

    /// Model and engine must outlive it. Draws a seed if the settings have none.
    Conversation(const Model& model, Engine& engine, Settings settings);

    Settings settings;
    const std::vector<ChatMessage>& messages() const { return messages_; }
    /// Replaces the system message; empty: there is none.
    void set_system(std::string text);
    std::string system() const;
    /// A message that asks for no reply.
    void add(ChatMessage message);

    /// The reply to `text`, which is among the messages then, as is `text`. An interrupted reply is kept as far as it
    /// came. After an error the conversation is as before. Errors: context_overflow, invalid_argument (the template
    /// refuses the messages), those of the engine.
    Result<Transcript> ask(std::string text, const Hooks& hooks);
    /// The reply to what tools returned; the results are messages by then.
    Result<Transcript> go_on(const Hooks& hooks) { return reply(hooks); }
    /// Whether every call of the last reply has its result.
    bool has_results() const;
    /// Takes the last reply back and gives another. Errors: also invalid_argument if there is none.
    Result<Transcript> regenerate(const Hooks& hooks);
    /// Takes the last turn back: the user's message, which is returned, and what followed. nullopt: there is none.
    std::optional<std::string> undo();
    /// Model and engine are others now: what the engine had computed is gone, and all messages are for the model to
    /// see.
    void model_changed();
    /// All but the system message goes.
    void clear();
    const ChatMessage* last_reply() const;
    /// The last reply that was given, as it was read. Its calls have ids.
    const ParsedMessage& parsed_reply() const { return parsed_; }

    /// Tokens that the next turn begins with. Errors: what the template says.
    Result<std::vector<TokenId>> tokens() const;
    /// Messages that the model no longer sees.
    std::size_t hidden_messages() const { return hidden_; }

    /// The conversation as a session: its messages are the attachment. Errors: as `ask`; invalid_argument if it is
    /// empty.
    Result<Session> snapshot();
    /// Becomes what was saved. Seed and the sampler's state are the session's, the other parameters stay for the caller
    /// to set. Errors: file_malformed (a session that holds no conversation), session_mismatch.
    Result<void> restore(const Session& session, bool any_law);

  private:
    std::vector<ChatMessage> visible() const;
    std::size_t first_turn() const;
    void name_calls();
    Result<std::vector<TokenId>> encode(bool add_generation_prompt) const;
    bool hide_oldest_turn();
    Result<std::vector<TokenId>> fitting_prompt(const Hooks& hooks);
    Result<Transcript> reply(const Hooks& hooks);
    Result<Transcript> generate(std::vector<TokenId> prompt, const Hooks& hooks);
    std::int64_t reserve() const;

    const Model& model_;
    Engine& engine_;
    std::vector<ChatMessage> messages_;  // a system message, if there is one, comes first
    std::size_t hidden_ = 0;             // messages behind the system message that the model does not see
    SamplerState sampler_state_;
    ParsedMessage parsed_;
    std::vector<TokenId> sequence_;  // the conversation as the cache has it; empty if that is not known
};

}  // namespace puna::cli
