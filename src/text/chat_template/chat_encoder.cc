#include "text/chat_template/chat_encoder.h"

#include <string_view>
#include <utility>

#include "base/try.h"

namespace puna::text {
namespace {

using jinja::Dict;
using jinja::Value;

Value message_value(const ChatMessage& message) {
    auto dict = std::make_shared<Dict>();
    dict->set("role", Value::input(message.role));
    dict->set("content", Value::input(message.content));
    return {jinja::DictPtr(std::move(dict))};
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
    std::vector<Value> values;
    for (const ChatMessage& message : messages)
        values.push_back(message_value(message));
    Dict variables;
    variables.set("messages", Value::list(std::move(values)));
    variables.set("add_generation_prompt", Value(options.add_generation_prompt));
    const Vocabulary& vocabulary = tokenizer_->vocabulary();
    set_special_token(variables, "bos_token", vocabulary, vocabulary.bos);
    set_special_token(variables, "eos_token", vocabulary, vocabulary.eos);
    set_special_token(variables, "unk_token", vocabulary, vocabulary.unk);
    set_special_token(variables, "pad_token", vocabulary, vocabulary.pad);
    return template_.render(variables, {.now = now, .limits = {}});
}

Result<std::vector<TokenId>> ChatEncoder::encode(std::span<const ChatMessage> messages, const ChatOptions& options,
                                                 const std::optional<std::tm>& now) const {
    PUNA_TRY(const std::vector<TextSpan> spans, render(messages, options, now));
    return spans_.encode(spans);
}

}  // namespace puna::text
