#include "text/chat_template/chat_encoder.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "base/try.h"
#include "text/chat_template/from_json.h"

namespace puna::text {
namespace {

using jinja::Dict;
using jinja::Value;

/// How a call's arguments stand in a message: some templates want a value that they write as JSON, some the text.
enum class ArgumentsAs { value, text };

Value dict_value(std::shared_ptr<Dict> dict) {
    return {jinja::DictPtr(std::move(dict))};
}

/// As the API of chat completions has it, which Transformers' templates expect.
Value call_value(const ToolCall& call, ArgumentsAs as) {
    auto function = std::make_shared<Dict>();
    function->set("name", Value::input(call.name));
    const auto json = nlohmann::ordered_json::parse(call.arguments, nullptr, /*allow_exceptions=*/false);
    auto arguments = jinja::from_json(json);
    const bool as_value = as == ArgumentsAs::value && !json.is_discarded() && arguments.ok();
    function->set("arguments", as_value ? std::move(arguments).value() : Value::input(call.arguments));
    auto dict = std::make_shared<Dict>();
    if (!call.id.empty()) dict->set("id", Value::input(call.id));
    dict->set("type", Value::input("function"));
    dict->set("function", dict_value(std::move(function)));
    return dict_value(std::move(dict));
}

Value message_value(const ChatMessage& message, ArgumentsAs as) {
    auto dict = std::make_shared<Dict>();
    dict->set("role", Value::input(message.role));
    dict->set("content", Value::input(message.content));
    const auto set_text = [&](std::string_view name, const std::string& text) {
        if (!text.empty()) dict->set(name, Value::input(text));
    };
    set_text("reasoning_content", message.reasoning);
    set_text("thinking", message.reasoning);  // as the template of gpt-oss names it
    set_text("tool_call_id", message.tool_call_id);
    set_text("name", message.name);
    if (!message.tool_calls.empty()) {
        std::vector<Value> calls;
        for (const ToolCall& call : message.tool_calls)
            calls.push_back(call_value(call, as));
        dict->set("tool_calls", Value::list(std::move(calls)));
    }
    return dict_value(std::move(dict));
}

Result<Value> tools_value(const std::string& tools) {
    const auto json = nlohmann::ordered_json::parse(tools, nullptr, /*allow_exceptions=*/false);
    if (!json.is_array())
        return Error{ErrorCode::invalid_argument, "the tools are no JSON array", "give a list of functions"};
    return jinja::from_json(json);
}

/// As Transformers names them; a token that the vocabulary lacks is undefined.
void set_special_token(Dict& variables, std::string_view name, const Vocabulary& vocabulary, TokenId id) {
    if (id == no_token) return;
    variables.set(name, Value::trusted(vocabulary.tokens[static_cast<std::size_t>(id)]));
}

}  // namespace

ChatEncoder::ChatEncoder(std::shared_ptr<const Tokenizer> tokenizer, ChatTemplate chat_template)
    : tokenizer_(std::move(tokenizer)), template_(std::move(chat_template)), spans_(tokenizer_) {}

Result<ChatEncoder> ChatEncoder::create(std::shared_ptr<const Tokenizer> tokenizer) {
    const std::string& source = tokenizer->vocabulary().chat_template;
    if (source.empty()) {
        return Error{ErrorCode::unsupported_format, "the model brings no chat template, so it was not made for talking",
                     "take an instruction-tuned model, or let `puna run` continue a text"};
    }
    PUNA_TRY(ChatTemplate chat_template, ChatTemplate::parse(source));
    return ChatEncoder(std::move(tokenizer), std::move(chat_template));
}

Result<std::vector<TextSpan>> ChatEncoder::render(std::span<const ChatMessage> messages, const ChatOptions& options,
                                                  const std::optional<std::tm>& now) const {
    Dict variables;
    variables.set("add_generation_prompt", Value(options.add_generation_prompt));
    const Vocabulary& vocabulary = tokenizer_->vocabulary();
    set_special_token(variables, "bos_token", vocabulary, vocabulary.bos);
    set_special_token(variables, "eos_token", vocabulary, vocabulary.eos);
    set_special_token(variables, "unk_token", vocabulary, vocabulary.unk);
    set_special_token(variables, "pad_token", vocabulary, vocabulary.pad);
    if (!options.tools.empty()) {
        PUNA_TRY(Value tools, tools_value(options.tools));
        variables.set("tools", std::move(tools));
    }
    const auto render_with = [&](ArgumentsAs as) {
        std::vector<Value> values;
        for (const ChatMessage& message : messages)
            values.push_back(message_value(message, as));
        variables.set("messages", Value::list(std::move(values)));
        return template_.render(variables, {.now = now, .limits = {}});
    };
    auto spans = render_with(ArgumentsAs::value);
    const bool has_calls =
        std::ranges::any_of(messages, [](const ChatMessage& message) { return !message.tool_calls.empty(); });
    if (spans.ok() || !has_calls) return spans;
    // Such as a template that joins the arguments with text.
    auto with_text = render_with(ArgumentsAs::text);
    return with_text.ok() ? std::move(with_text) : std::move(spans);
}

Result<std::vector<TokenId>> ChatEncoder::encode(std::span<const ChatMessage> messages, const ChatOptions& options,
                                                 const std::optional<std::tm>& now) const {
    PUNA_TRY(const std::vector<TextSpan> spans, render(messages, options, now));
    return spans_.encode(spans);
}

}  // namespace puna::text
