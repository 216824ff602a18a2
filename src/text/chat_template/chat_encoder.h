// From messages to tokens: a vocabulary's own template, rendered and encoded.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "puna/chat.h"
#include "puna/error.h"
#include "text/chat_template/chat_template.h"
#include "text/chat_template/span_encoder.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::text {

/// What the user writes never becomes a control token, whatever it looks like. Immutable, so thread-safe.
class ChatEncoder {
  public:
    /// Errors: unsupported_format (the vocabulary has no template), file_malformed (one that cannot be read).
    static Result<ChatEncoder> create(std::shared_ptr<const Tokenizer> tokenizer);

    /// The template sees `reasoning_content` (and `thinking`, the same), `tool_calls`, `tool_call_id` and `name` where
    /// a message has them, and `tools` if there are any. A call's arguments are a value, or, if the template fails on
    /// that, text. `now`: the date that templates may ask for. Errors: invalid_argument, with what the template says;
    /// tools that are no JSON array.
    Result<std::vector<TextSpan>> render(std::span<const ChatMessage> messages, const ChatOptions& options,
                                         const std::optional<std::tm>& now) const;
    /// No begin token is added but where the template writes one.
    Result<std::vector<TokenId>> encode(std::span<const ChatMessage> messages, const ChatOptions& options,
                                        const std::optional<std::tm>& now) const;

  private:
    ChatEncoder(std::shared_ptr<const Tokenizer> tokenizer, ChatTemplate chat_template);

    std::shared_ptr<const Tokenizer> tokenizer_;
    ChatTemplate template_;
    SpanEncoder spans_;
};

}  // namespace puna::text
