#include "cli/chat/conversation.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/rng.h"
#include "base/try.h"

namespace puna::cli {
namespace {

constexpr std::string_view attachment_key = "puna_chat";
constexpr int attachment_version = 1;

Error malformed(std::string message) {
    return {ErrorCode::file_malformed, std::move(message), "`puna run --load-session` goes on from any session"};
}

const Json* member(const Json& json, std::string_view name) {
    const auto found = json.is_object() ? json.find(name) : json.end();
    return json.is_object() && found != json.end() ? &*found : nullptr;
}

Json message_json(const ChatMessage& message) {
    Json json{{"role", message.role}, {"content", message.content}};
    if (!message.reasoning.empty()) json["reasoning"] = message.reasoning;
    if (!message.tool_calls.empty()) json["tool_calls"] = to_json(message.tool_calls);
    if (!message.tool_call_id.empty()) json["tool_call_id"] = message.tool_call_id;
    if (!message.name.empty()) json["name"] = message.name;
    return json;
}

}  // namespace

Result<ChatMessage> chat_message(const Json& json) {
    const auto malformed_at = [](std::string_view what) {
        return Error{ErrorCode::invalid_argument, fmt::format("a message has {}", what),
                     R"(a message is an object like {"role": "user", "content": "Hello"})"};
    };
    ChatMessage message;
    const auto take = [&](const char* name, const Json& from, std::string& text) {
        const Json* const value = member(from, name);
        const std::string* const string = value == nullptr ? nullptr : value->get_ptr<const std::string*>();
        if (string != nullptr) text = *string;
        return string != nullptr;
    };
    const Json* const content = member(json, "content");
    if (!take("role", json, message.role)) return malformed_at("no role");
    if (content == nullptr) return malformed_at("no content");
    if (!take("content", json, message.content) && !content->is_null()) return malformed_at("content that is no text");
    take("reasoning", json, message.reasoning);
    take("tool_call_id", json, message.tool_call_id);
    take("name", json, message.name);
    const Json* const calls = member(json, "tool_calls");
    if (calls == nullptr) return message;
    if (!calls->is_array()) return malformed_at("tool_calls that are no list");
    for (const Json& entry : *calls) {
        const Json* const function = member(entry, "function");
        ToolCall call;
        take("id", entry, call.id);
        if (function == nullptr || !take("name", *function, call.name) || !take("arguments", *function, call.arguments))
            return malformed_at("a call without a function's name and arguments");
        message.tool_calls.push_back(std::move(call));
    }
    return message;
}

namespace {

/// The messages of a session's attachment.
Result<std::vector<ChatMessage>> messages_of(const Json& json) {
    const Json* const list = member(json, "messages");
    if (list == nullptr || !list->is_array()) return malformed("the session's conversation has no list of messages");
    std::vector<ChatMessage> messages;
    for (const Json& entry : *list) {
        auto message = chat_message(entry);
        if (!message.ok())
            return malformed(fmt::format("message {} of the session: {}", messages.size(), message.error().message));
        messages.push_back(std::move(message).value());
    }
    return messages;
}

}  // namespace

Result<FullPolicy> parse_full_policy(std::string_view name) {
    if (name == "error") return FullPolicy::error;
    if (name == "truncate-oldest-turns") return FullPolicy::truncate_oldest_turns;
    if (name == "shift") return FullPolicy::shift;
    return Error{ErrorCode::invalid_argument,
                 fmt::format("--when-full takes error, truncate-oldest-turns or shift, not '{}'", name), ""};
}

Conversation::Conversation(const Model& model, Engine& engine, Settings given)
    : settings(std::move(given)), model_(model), engine_(engine) {
    if (!settings.sampling.seed) settings.sampling.seed = base::random_seed();
}

std::size_t Conversation::first_turn() const {
    return !messages_.empty() && messages_.front().role == "system" ? 1 : 0;
}

std::string Conversation::system() const {
    return first_turn() == 1 ? messages_.front().content : std::string();
}

void Conversation::add(ChatMessage message) {
    messages_.push_back(std::move(message));
    sequence_.clear();
}

void Conversation::set_system(std::string text) {
    if (text == system()) return;
    sequence_.clear();
    if (first_turn() == 1) messages_.erase(messages_.begin());
    if (!text.empty()) messages_.insert(messages_.begin(), {"system", std::move(text)});
}

std::vector<ChatMessage> Conversation::visible() const {
    std::vector<ChatMessage> seen(messages_.begin(), messages_.begin() + static_cast<std::ptrdiff_t>(first_turn()));
    seen.insert(seen.end(), messages_.begin() + static_cast<std::ptrdiff_t>(first_turn() + hidden_), messages_.end());
    return seen;
}

Result<std::vector<TokenId>> Conversation::tokens() const {
    return encode(/*add_generation_prompt=*/false);
}

Result<std::vector<TokenId>> Conversation::encode(bool add_generation_prompt) const {
    ChatOptions options = settings.replies->chat_options();
    options.add_generation_prompt = add_generation_prompt;
    return model_.encode_chat(visible(), options);
}

bool Conversation::has_results() const {
    std::size_t results = 0;
    for (auto message = messages_.rbegin(); message != messages_.rend(); ++message) {
        if (message->role != "tool") return !message->tool_calls.empty() && results == message->tool_calls.size();
        ++results;
    }
    return false;
}

/// Ids of nine letters and digits, which is what Mistral's templates ask for, where the model gave none.
void Conversation::name_calls() {
    std::size_t number = 0;
    for (const ChatMessage& message : messages_)
        number += message.tool_calls.size();
    for (ToolCall& call : parsed_.tool_calls) {
        ++number;
        if (call.id.empty()) call.id = fmt::format("call{:05}", number);
    }
}

/// False: the turn that is left is the one to be answered.
bool Conversation::hide_oldest_turn() {
    const auto begin = messages_.begin() + static_cast<std::ptrdiff_t>(first_turn() + hidden_);
    if (begin == messages_.end()) return false;
    const auto next = std::find_if(begin + 1, messages_.end(), [](const ChatMessage& m) { return m.role == "user"; });
    if (next == messages_.end()) return false;
    hidden_ += static_cast<std::size_t>(next - begin);
    return true;
}

/// Positions that a reply should find free.
std::int64_t Conversation::reserve() const {
    const std::int64_t context = engine_.info().context_tokens;
    return std::min<std::int64_t>(settings.max_tokens.value_or(static_cast<std::uint32_t>(context / 4)), context / 2);
}

Result<std::vector<TokenId>> Conversation::fitting_prompt(const Hooks& hooks) {
    const std::int64_t context = engine_.info().context_tokens;
    PUNA_TRY(std::vector<TokenId> prompt, encode(/*add_generation_prompt=*/true));
    if (settings.when_full != FullPolicy::truncate_oldest_turns || std::ssize(prompt) + reserve() <= context)
        return prompt;
    const std::int64_t before = std::ssize(prompt);
    int turns = 0;
    while (std::ssize(prompt) + reserve() > context && hide_oldest_turn()) {
        ++turns;
        PUNA_TRY(prompt, encode(/*add_generation_prompt=*/true));
    }
    if (turns > 0 && hooks.announce) {
        hooks.announce(fmt::format("the context of {} tokens is full: the model no longer sees the {} ({} tokens)",
                                   context, turns == 1 ? "oldest turn" : fmt::format("{} oldest turns", turns),
                                   before - std::ssize(prompt)));
    }
    return prompt;
}

Result<Transcript> Conversation::generate(std::vector<TokenId> prompt, const Hooks& hooks) {
    const std::uint32_t context = engine_.info().context_tokens;
    text::chat_parse::ChatParser parser(settings.replies->parser_options(prompt));
    const auto tell = [&](const std::vector<ChatEvent>& events) -> Result<void> {
        for (const auto& event : events) {
            if (hooks.heard) PUNA_CHECK(hooks.heard(event));
        }
        return {};
    };
    Request request;
    request.prompt = std::move(prompt);
    request.max_tokens = settings.max_tokens;
    request.sampling = settings.sampling;
    request.sampler_state = sampler_state_;
    request.stop = settings.stop;
    settings.replies->apply(request);
    request.constraint = settings.constraint;
    if (!request.constraint) {
        const bool behind_results = !messages_.empty() && messages_.back().role == "tool";
        const auto* const ids = std::get_if<std::vector<TokenId>>(&request.prompt);
        request.constraint = settings.replies->constraint(*ids, behind_results);
    }
    if (settings.when_full == FullPolicy::shift) {
        request.overflow = OverflowPolicy::truncate_start;
        request.when_full = ContextPolicy::shift;
    }
    const auto announce = [&](std::uint32_t dropped) {
        if (hooks.announce)
            hooks.announce(
                fmt::format("the context of {} tokens is full: the {} oldest are dropped", context, dropped));
    };
    Listener listener;
    listener.started = [&](const Started& started) -> Result<void> {
        if (started.dropped_tokens > 0) announce(started.dropped_tokens);
        return {};
    };
    listener.text = [&](std::string_view text) { return tell(parser.push(text)); };
    listener.shifted = announce;

    PUNA_TRY(Stream stream, engine_.submit(std::move(request)));
    if (hooks.running) hooks.running(&stream);
    auto transcript = follow(stream, listener);
    if (hooks.running) hooks.running(nullptr);
    if (!transcript.ok()) return transcript;
    PUNA_CHECK(tell(parser.finish()));
    parsed_ = parser.message();
    name_calls();
    sampler_state_ = transcript->finished.sampler_state;
    sequence_ = transcript->started.prompt_ids;
    sequence_.insert(sequence_.end(), transcript->ids.begin(), transcript->ids.end());
    if (transcript->shifted_tokens > 0) sequence_.clear();  // the cache holds others
    if (transcript->finished.reason == FinishReason::context && hooks.announce)
        hooks.announce(fmt::format("the context of {} tokens is full: the reply ends here", context));
    return transcript;
}

Result<Transcript> Conversation::reply(const Hooks& hooks) {
    const std::size_t hidden = hidden_;
    auto prompt = fitting_prompt(hooks);
    auto transcript = prompt.ok() ? generate(std::move(prompt).value(), hooks) : Result<Transcript>(prompt.error());
    if (!transcript.ok()) {
        hidden_ = hidden;
        return transcript;
    }
    messages_.push_back({.role = "assistant",
                         .content = parsed_.content,
                         .reasoning = parsed_.reasoning,
                         .tool_calls = parsed_.tool_calls});
    return transcript;
}

Result<Transcript> Conversation::ask(std::string text, const Hooks& hooks) {
    messages_.push_back({"user", std::move(text)});
    auto transcript = reply(hooks);
    if (!transcript.ok()) messages_.pop_back();
    return transcript;
}

const ChatMessage* Conversation::last_reply() const {
    const auto found = std::find_if(messages_.rbegin(), messages_.rend(),
                                    [](const ChatMessage& message) { return message.role == "assistant"; });
    return found == messages_.rend() ? nullptr : &*found;
}

Result<Transcript> Conversation::regenerate(const Hooks& hooks) {
    if (messages_.empty() || messages_.back().role != "assistant")
        return Error{ErrorCode::invalid_argument, "there is no reply to take back", "ask something first"};
    ChatMessage old = std::move(messages_.back());
    messages_.pop_back();
    auto transcript = reply(hooks);
    if (!transcript.ok()) messages_.push_back(std::move(old));
    return transcript;
}

std::optional<std::string> Conversation::undo() {
    const auto found = std::find_if(messages_.rbegin(), messages_.rend(),
                                    [](const ChatMessage& message) { return message.role == "user"; });
    if (found == messages_.rend()) return std::nullopt;
    std::string text = std::move(found->content);
    messages_.erase(found.base() - 1, messages_.end());
    hidden_ = std::min(hidden_, messages_.size() - first_turn());
    sequence_.clear();  // what was taken back is in no session that is saved
    return text;
}

void Conversation::model_changed() {
    hidden_ = 0;
    sequence_.clear();
}

void Conversation::clear() {
    messages_.resize(first_turn());
    hidden_ = 0;
    sequence_.clear();
}

Result<Session> Conversation::snapshot() {
    if (messages_.empty())
        return Error{ErrorCode::invalid_argument, "there is nothing to save yet", "say something first"};
    Request request;
    if (sequence_.empty() || messages_.back().role != "assistant") {
        PUNA_TRY(request.prompt, tokens());
    } else {
        request.prompt = sequence_;
    }
    request.max_tokens = 0;
    request.keep_session = true;
    request.overflow = OverflowPolicy::truncate_start;  // it saves evaluating again; the conversation is its messages
    request.sampling = settings.sampling;
    request.sampler_state = sampler_state_;
    PUNA_TRY(Stream stream, engine_.submit(std::move(request)));
    PUNA_TRY(const Transcript transcript, follow(stream, {}));
    if (!transcript.finished.session) return Error{ErrorCode::cancelled, "the session was not saved: interrupted", ""};
    Json json;
    json[attachment_key] = attachment_version;
    json["hidden"] = hidden_;
    json["messages"] = Json::array();
    for (const ChatMessage& message : messages_)
        json["messages"].push_back(message_json(message));
    return transcript.finished.session->with_attachment(json_line(json));
}

Result<void> Conversation::restore(const Session& session, bool any_law) {
    const Json json = Json::parse(session.attachment(), nullptr, /*allow_exceptions=*/false);
    const Json* const version = member(json, attachment_key);
    if (version == nullptr || *version != attachment_version)
        return malformed("the session holds no conversation of puna chat");
    PUNA_TRY(std::vector<ChatMessage> messages, messages_of(json));

    // A request for nothing puts keys and values in the cache, where the next turn finds them.
    Request request;
    request.prompt = std::vector<TokenId>();
    request.session = session;
    request.any_law = any_law;
    request.max_tokens = 0;
    PUNA_TRY(Stream stream, engine_.submit(std::move(request)));
    const auto loaded = follow(stream, {});
    // One that is longer than this context is read anew, as far as the policy lets it.
    if (!loaded.ok() && loaded.error().code != ErrorCode::context_overflow) return loaded.error();

    messages_ = std::move(messages);
    const Json* const hidden = member(json, "hidden");
    const std::size_t turns = messages_.size() - first_turn();
    hidden_ = hidden != nullptr && hidden->is_number_unsigned() ? std::min(hidden->get<std::size_t>(), turns) : 0;
    settings.sampling.seed = session.sampling().seed;
    sampler_state_ = session.sampler_state();
    sequence_ = session.tokens();
    return {};
}

}  // namespace puna::cli
