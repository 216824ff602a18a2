#include "text/tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>
#include <utility>

#include "base/try.h"
#include "text/tokenizer/bpe_merge.h"
#include "text/tokenizer/families.h"
#include "text/unicode/utf8.h"

namespace puna::text {
namespace {

/// Tokens by which models end a turn or a message, whatever the file says about them.
constexpr std::array<std::string_view, 15> end_token_texts{
    "</s>",    "<|endoftext|>", "<|end_of_text|>",       "<|eot_id|>", "<|eom_id|>",         "<|im_end|>",
    "<|end|>", "<end_of_turn>", "<|end_of_turn|>",       "<turn|>",    "<end_of_utterance>", "<EOT>",
    "<|EOT|>", "<|return|>",    "<｜end▁of▁sentence｜>",
};

Result<void> check_lists(const Vocabulary& vocabulary) {
    const std::size_t size = vocabulary.tokens.size();
    if (size > static_cast<std::size_t>(std::numeric_limits<TokenId>::max())) {
        return malformed_vocabulary(fmt::format("the vocabulary has {} tokens, more than ids can count", size));
    }
    const auto check_length = [size](std::string_view name, std::size_t length) -> Result<void> {
        if (length == 0 || length == size) return {};
        return malformed_vocabulary(fmt::format("the vocabulary has {} tokens, but {} {}", size, length, name));
    };
    PUNA_CHECK(check_length("scores", vocabulary.scores.size()));
    PUNA_CHECK(check_length("token types", vocabulary.kinds.size()));
    const std::array<std::pair<std::string_view, TokenId>, 6> special_ids{{{"begin", vocabulary.bos},
                                                                           {"end", vocabulary.eos},
                                                                           {"end of turn", vocabulary.eot},
                                                                           {"end of message", vocabulary.eom},
                                                                           {"unknown", vocabulary.unk},
                                                                           {"padding", vocabulary.pad}}};
    for (const auto& [name, id] : special_ids) {
        if (id == no_token || (id >= 0 && static_cast<std::size_t>(id) < size)) continue;
        return malformed_vocabulary(
            fmt::format("the {} token is {}, but the vocabulary has {} tokens", name, id, size));
    }
    for (const TokenId id : vocabulary.more_ends) {
        if (id >= 0 && static_cast<std::size_t>(id) < size) continue;
        return malformed_vocabulary(fmt::format("an end token is {}, but the vocabulary has {} tokens", id, size));
    }
    return {};
}

Result<std::shared_ptr<const Tokenizer>> make_tokenizer(std::shared_ptr<const Vocabulary> vocabulary) {
    PUNA_CHECK(check_lists(*vocabulary));
    switch (vocabulary->family) {
        case TokenizerFamily::sentencepiece_bpe: return make_sentencepiece_bpe(std::move(vocabulary));
        case TokenizerFamily::byte_level_bpe: return make_byte_level_bpe(std::move(vocabulary));
        case TokenizerFamily::none:
            return Error{ErrorCode::unsupported_tokenizer, "the file holds no vocabulary",
                         "use a model file that brings its tokenizer"};
        case TokenizerFamily::other: break;
    }
    return Error{ErrorCode::unsupported_tokenizer,
                 fmt::format("the tokenizer family {} is not known", quoted(vocabulary->family_name)),
                 "known are SentencePiece BPE (\"llama\") and byte-level BPE (\"gpt2\")"};
}

}  // namespace

Error malformed_vocabulary(std::string message) {
    return {ErrorCode::file_malformed, std::move(message),
            "the file may be damaged or badly converted: fetch it again, or convert it anew"};
}

std::string quoted(std::string_view token) {
    constexpr std::size_t limit = 64;
    if (token.size() <= limit) return fmt::format("'{}'", to_valid_utf8(token));
    return fmt::format("'{}...' ({} bytes)", to_valid_utf8(token.substr(0, limit)), token.size());
}

Result<std::shared_ptr<const Tokenizer>> Tokenizer::create(std::shared_ptr<const Vocabulary> shared) {
    if (shared->family == TokenizerFamily::other && shared->why_not) return *shared->why_not;
    const std::string origin = shared->origin;
    auto made = make_tokenizer(std::move(shared));
    if (made.ok() || origin.empty()) return made;
    Error error = std::move(made).error();
    error.message = fmt::format("{}: {}", origin, error.message);
    return error;
}

Tokenizer::Tokenizer(std::shared_ptr<const Vocabulary> vocabulary, UserDefined user_defined)
    : shared_vocabulary_(std::move(vocabulary)), user_defined_(user_defined) {
    end_tokens_ = {vocabulary_.eos, vocabulary_.eot, vocabulary_.eom};
    end_tokens_.insert(end_tokens_.end(), vocabulary_.more_ends.begin(), vocabulary_.more_ends.end());
    std::erase(end_tokens_, no_token);
    for (std::size_t i = 0; i < size(); ++i) {
        const auto id = static_cast<TokenId>(i);
        const std::string& token = vocabulary_.tokens[i];
        const bool is_user_defined = kind(id) == TokenKind::user_defined;
        if (!is_user_defined && !is_special(id)) continue;
        if (is_user_defined) user_defined_tokens_.add(token, id);
        special_tokens_.add(token, id);
        if (std::ranges::find(end_token_texts, token) != end_token_texts.end()) end_tokens_.push_back(id);
    }
    user_defined_tokens_.build();
    special_tokens_.build();
    std::ranges::sort(end_tokens_);
    end_tokens_.erase(std::unique(end_tokens_.begin(), end_tokens_.end()), end_tokens_.end());
}

TokenKind Tokenizer::kind(TokenId id) const {
    assert(id >= 0 && static_cast<std::size_t>(id) < size());
    return vocabulary_.kinds.empty() ? TokenKind::normal : vocabulary_.kinds[static_cast<std::size_t>(id)];
}

bool Tokenizer::is_control(TokenId id) const {
    return kind(id) == TokenKind::control;
}

bool Tokenizer::is_special(TokenId id) const {
    return is_control(id) || kind(id) == TokenKind::unknown;
}

bool Tokenizer::is_end(TokenId id) const {
    return std::ranges::binary_search(end_tokens_, id);
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
    std::vector<TokenId> ids;
    if (options.add_bos && vocabulary_.add_bos && vocabulary_.bos != no_token) ids.push_back(vocabulary_.bos);

    std::vector<TokenMatcher::Match> matches;
    if (options.parse_special) {
        matches = special_tokens_.find(text);
    } else if (user_defined_ == UserDefined::cut_text) {
        matches = user_defined_tokens_.find(text);
    }
    std::size_t begin = 0;
    bool at_start = true;
    const auto encode_until = [&](std::size_t end) {
        while (begin < end) {
            const std::size_t length = std::min(end - begin, longest_text);
            encode_text(text.substr(begin, length), at_start, ids);
            begin += length;
            at_start = false;
        }
    };
    for (const TokenMatcher::Match& match : matches) {
        const bool is_user_defined = kind(match.id) == TokenKind::user_defined;
        if (is_user_defined && user_defined_ == UserDefined::stay_in_text) continue;
        encode_until(match.begin);
        ids.push_back(match.id);
        begin = match.begin + match.length;
        at_start = !is_user_defined;
    }
    encode_until(text.size());

    if (options.add_bos && vocabulary_.add_eos && vocabulary_.eos != no_token) ids.push_back(vocabulary_.eos);
    return ids;
}

std::string Tokenizer::token_bytes(TokenId id, bool special) const {
    bool at_start = false;
    return bytes_in_sequence(id, special, at_start);
}

std::string Tokenizer::decode_bytes(std::span<const TokenId> ids, bool special) const {
    std::string bytes;
    bool at_start = true;
    for (const TokenId id : ids)
        bytes += bytes_in_sequence(id, special, at_start);
    return bytes;
}

std::string Tokenizer::first_token_bytes(TokenId id, bool& at_start) const {
    at_start = false;
    return normal_token_bytes(id);
}

/// A control token that is shown begins a new stretch, as it does in `encode`; one that is not shown is not there.
std::string Tokenizer::bytes_in_sequence(TokenId id, bool special, bool& at_start) const {
    if (is_special(id)) {
        if (!special) return {};
        at_start = true;
        return vocabulary_.tokens[static_cast<std::size_t>(id)];
    }
    return at_start ? first_token_bytes(id, at_start) : normal_token_bytes(id);
}

IncrementalDecoder::IncrementalDecoder(const Tokenizer& tokenizer, bool special, std::span<const TokenId> context)
    : tokenizer_(tokenizer), special_(special), at_start_(true) {
    for (const TokenId id : context)
        tokenizer_.bytes_in_sequence(id, special_, at_start_);
}

std::string IncrementalDecoder::push(TokenId id) {
    pending_ += tokenizer_.bytes_in_sequence(id, special_, at_start_);
    const std::size_t settled = settled_length(pending_);
    std::string text = to_valid_utf8(std::string_view(pending_).substr(0, settled));
    pending_.erase(0, settled);
    return text;
}

std::string IncrementalDecoder::finish() {
    return to_valid_utf8(std::exchange(pending_, {}));
}

}  // namespace puna::text
