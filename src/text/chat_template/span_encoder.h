// Rendered conversations as tokens.
#pragma once

#include <memory>
#include <vector>

#include "text/chat_template/chat_template.h"
#include "text/tokenizer/token_matcher.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::text {

/// Encodes what a ChatTemplate rendered. Control tokens are found where one stretch of the template's own text spells
/// them out, and nowhere else: what comes from outside is text, whatever it looks like, alone or joined with what
/// stands beside it. Between control tokens the text is encoded as a whole: the borders of spans do not show, so that a
/// conversation without control tokens in its messages gives the ids that `Tokenizer::encode` with `parse_special`
/// gives for the joined text. User-defined tokens are found everywhere, as always. Thread-safe.
class SpanEncoder {
  public:
    explicit SpanEncoder(std::shared_ptr<const Tokenizer> tokenizer);

    /// Adds no begin or end token: templates write their own.
    std::vector<TokenId> encode(const std::vector<TextSpan>& spans) const;

  private:
    std::shared_ptr<const Tokenizer> tokenizer_;
    TokenMatcher special_tokens_;  // all that are found in text with `parse_special`
};

}  // namespace puna::text
