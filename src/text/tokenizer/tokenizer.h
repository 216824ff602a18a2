// Text to token ids and back.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "puna/error.h"
#include "text/tokenizer/token_matcher.h"
#include "text/vocabulary.h"

namespace puna::text {

/// Immutable after creation; all members are thread-safe. Encoding takes any bytes and linear time, but for a factor
/// log n in stretches that merge as one.
class Tokenizer {
  public:
    /// Shares the vocabulary, which is large. Errors: unsupported_tokenizer (family or pre-tokenizer unknown, no
    /// vocabulary; the message prints it), file_malformed (lists of different lengths, ids out of range, tokens of text
    /// that occur twice, merges that name no token, scores that are no numbers, nothing to encode unknown characters
    /// with).
    static Result<std::shared_ptr<const Tokenizer>> create(std::shared_ptr<const Vocabulary> vocabulary);
    static Result<std::shared_ptr<const Tokenizer>> create(Vocabulary vocabulary) {
        return create(std::make_shared<const Vocabulary>(std::move(vocabulary)));
    }
    virtual ~Tokenizer() = default;
    Tokenizer(const Tokenizer&) = delete;
    Tokenizer& operator=(const Tokenizer&) = delete;

    struct EncodeOptions {
        bool add_bos = true;         // put the begin token first (and the end token last) where the vocabulary wants it
        bool parse_special = false;  // control tokens spelled out in the text become their ids
    };
    /// User-defined tokens are always found in text, control tokens only with `parse_special`: the leftmost first, of
    /// several the longest. SentencePiece's space prefix is put at the start and after each control token found.
    std::vector<TokenId> encode(std::string_view text, EncodeOptions options) const;

    /// The bytes that `id` stands for in text; empty for control and unknown tokens unless `special`. `id` must be in
    /// range.
    std::string token_bytes(TokenId id, bool special) const;
    /// The bytes of a whole sequence: the family's rules about a leading space apply, which is why a text is
    /// decode(prompt + output) less decode(prompt). May end in half a UTF-8 sequence.
    ///
    /// decode(encode(text)) is `text`, whether it is UTF-8 or not, but for what the vocabulary cannot express: bytes
    /// that it has no token for, and with SentencePiece U+2581, which is how it writes a space. A vocabulary that wants
    /// composed text (`nfc`) gives it back composed.
    std::string decode_bytes(std::span<const TokenId> ids, bool special) const;

    const Vocabulary& vocabulary() const { return vocabulary_; }
    std::size_t size() const { return vocabulary_.tokens.size(); }
    bool is_control(TokenId id) const;
    /// Whether `id` ends a generation: eos, eot, eom and control tokens known by name as ends of turn.
    bool is_end(TokenId id) const;
    /// Ascending.
    const std::vector<TokenId>& end_tokens() const { return end_tokens_; }

  protected:
    /// Whether user-defined tokens cut the text before it is encoded, or stay in it and are the family's affair.
    enum class UserDefined { cut_text, stay_in_text };
    Tokenizer(std::shared_ptr<const Vocabulary> vocabulary, UserDefined user_defined);

    /// Ids of one stretch of text that holds no special token; `at_start`: it begins the text or follows a control
    /// token.
    virtual void encode_text(std::string_view text, bool at_start, std::vector<TokenId>& out) const = 0;
    virtual std::string normal_token_bytes(TokenId id) const = 0;
    /// As normal_token_bytes, where no text stands before it; `at_start` becomes false where that ends with this token.
    virtual std::string first_token_bytes(TokenId id, bool& at_start) const;
    TokenKind kind(TokenId id) const;
    /// Control or unknown: never made from text, not shown in it.
    bool is_special(TokenId id) const;

    const std::shared_ptr<const Vocabulary> shared_vocabulary_;
    const Vocabulary& vocabulary_ = *shared_vocabulary_;
    std::vector<TokenId> end_tokens_;
    TokenMatcher user_defined_tokens_;

  private:
    friend class IncrementalDecoder;
    std::string bytes_in_sequence(TokenId id, bool special, bool& at_start) const;

    TokenMatcher special_tokens_;  // control, unknown and user-defined ones
    UserDefined user_defined_;
};

/// Turns token ids into text as they come: emits whole UTF-8 sequences only, U+FFFD for bytes that can no longer become
/// one. All that it emits together is to_valid_utf8 of decode(context + ids) less decode(context). For one thread at a
/// time; the tokenizer must outlive it.
class IncrementalDecoder {
  public:
    /// `context`: the ids before the first pushed one (they decide about a leading space); may be empty.
    IncrementalDecoder(const Tokenizer& tokenizer, bool special, std::span<const TokenId> context);
    /// What became certain with `id`.
    std::string push(TokenId id);
    /// Whether no text came yet, so that a leading space may be left out.
    bool at_start() const { return at_start_; }
    /// What is left at the end: U+FFFD for half a sequence, or nothing.
    std::string finish();

  private:
    const Tokenizer& tokenizer_;
    bool special_;
    bool at_start_;
    std::string pending_;
};

}  // namespace puna::text
