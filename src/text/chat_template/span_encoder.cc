#include "text/chat_template/span_encoder.h"

#include <string>
#include <string_view>
#include <utility>

namespace puna::text {
namespace {

TokenKind kind_of(const Tokenizer& tokenizer, std::size_t id) {
    const std::vector<TokenKind>& kinds = tokenizer.vocabulary().kinds;
    return kinds.empty() ? TokenKind::normal : kinds[id];
}

}  // namespace

SpanEncoder::SpanEncoder(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {
    for (std::size_t i = 0; i < tokenizer_->size(); ++i) {
        const TokenKind kind = kind_of(*tokenizer_, i);
        const bool is_special =
            kind == TokenKind::control || kind == TokenKind::unknown || kind == TokenKind::user_defined;
        if (is_special) special_tokens_.add(tokenizer_->vocabulary().tokens[i], static_cast<TokenId>(i));
    }
    special_tokens_.build();
}

std::vector<TokenId> SpanEncoder::encode(const std::vector<TextSpan>& spans) const {
    std::vector<TokenId> ids;
    std::string pending;  // since the last control token
    const auto encode_pending = [&] {
        const std::vector<TokenId> encoded = tokenizer_->encode(pending, {.add_bos = false, .parse_special = false});
        ids.insert(ids.end(), encoded.begin(), encoded.end());
        pending.clear();
    };
    for (const TextSpan& span : spans) {
        std::size_t begin = 0;
        // User-defined tokens are matched too, for they may cover a control token; they stay in the text.
        if (span.from_template) {
            for (const TokenMatcher::Match& match : special_tokens_.find(span.text)) {
                if (kind_of(*tokenizer_, static_cast<std::size_t>(match.id)) == TokenKind::user_defined) continue;
                pending.append(span.text, begin, match.begin - begin);
                encode_pending();
                ids.push_back(match.id);
                begin = match.begin + match.length;
            }
        }
        pending.append(span.text, begin);
    }
    encode_pending();
    return ids;
}

}  // namespace puna::text
