// SentencePiece BPE: the whole text merges by score, spaces are written as U+2581, and characters without a token
// become their bytes. Kudo and Richardson 2018, "SentencePiece: A simple and language independent subword tokenizer".
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/try.h"
#include "text/tokenizer/bpe_merge.h"
#include "text/tokenizer/families.h"
#include "text/tokenizer/token_ids.h"
#include "text/unicode/utf8.h"

namespace puna::text {
namespace {

constexpr std::string_view space_symbol = "\xE2\x96\x81";  // U+2581

/// The byte of a token "<0xHH>".
std::optional<unsigned char> byte_of_token(std::string_view token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
    unsigned char byte = 0;
    const char* end = token.data() + 5;
    const auto [stop, error] = std::from_chars(token.data() + 3, end, byte, 16);
    if (error != std::errc{} || stop != end) return std::nullopt;
    return byte;
}

/// Ascends as the score falls.
std::uint32_t merge_priority(float score) {
    const auto bits = std::bit_cast<std::uint32_t>(-score + 0.0f);  // no -0
    constexpr std::uint32_t sign = 0x80000000u;
    return bits & sign ? ~bits : bits | sign;
}

class SentencePieceBpe final : public Tokenizer {
  public:
    explicit SentencePieceBpe(std::shared_ptr<const Vocabulary> vocabulary)
        : Tokenizer(std::move(vocabulary), UserDefined::stay_in_text), pieces_(vocabulary_.tokens) {
        byte_ids_.fill(no_token);
    }

    Result<void> prepare() {
        if (vocabulary_.scores.size() != size()) {
            return malformed_vocabulary("a SentencePiece vocabulary needs a score for each token, but has none");
        }
        pieces_.allocate();
        for (std::size_t i = 0; i < size(); ++i)
            PUNA_CHECK(read_token(static_cast<TokenId>(i)));
        byte_fallback_ = std::ranges::find(byte_ids_, no_token) == byte_ids_.end();
        if (vocabulary_.unk != no_token) unknown_ = vocabulary_.unk;
        if (!byte_fallback_ && unknown_ == no_token) {
            return malformed_vocabulary("the vocabulary has neither an unknown token nor a token for each byte");
        }
        return {};
    }

  protected:
    void encode_text(std::string_view text, bool at_start, std::vector<TokenId>& out) const override {
        const std::string normalized = normalize(text, at_start);
        std::vector<Symbol> symbols = initial_symbols(normalized);
        UnusedParts unused_parts;
        merge_symbols(symbols, [&](const Symbol& left, const Symbol& right) {
            return find_merge(normalized, left, right, unused_parts);
        });
        Output output{out, out.size()};
        for (const Symbol& symbol : symbols) {
            if (symbol.length == 0) continue;
            const std::string_view piece = std::string_view(normalized).substr(symbol.begin, symbol.length);
            if (unused_parts.contains(symbol.id)) {
                emit_parts(piece, unused_parts, output);
            } else {
                emit(piece, symbol.id, output);
            }
        }
    }

    std::string normal_token_bytes(TokenId id) const override {
        const std::string& token = vocabulary_.tokens[static_cast<std::size_t>(id)];
        if (kind(id) == TokenKind::byte) return {static_cast<char>(*byte_of_token(token))};
        std::string bytes;
        for (std::string_view rest = token; !rest.empty();) {
            const bool is_space = rest.starts_with(space_symbol);
            bytes += is_space ? ' ' : rest.front();
            rest.remove_prefix(is_space ? space_symbol.size() : 1);
        }
        return bytes;
    }

    /// The space that encoding put before the text is taken away; where the vocabulary removes extra spaces, so are all
    /// that lead.
    std::string first_token_bytes(TokenId id, bool& at_start) const override {
        std::string bytes = normal_token_bytes(id);
        const bool had_space = vocabulary_.tokens[static_cast<std::size_t>(id)].starts_with(space_symbol);
        if (had_space && (vocabulary_.add_space_prefix || vocabulary_.remove_extra_whitespaces)) bytes.erase(0, 1);
        at_start = bytes.empty() && (!had_space || vocabulary_.remove_extra_whitespaces);
        return bytes;
    }

  private:
    /// The two parts that a piece with an unused token was merged from: if it is left over, they are what counts.
    using UnusedParts = std::unordered_map<TokenId, std::pair<std::string_view, std::string_view>>;

    struct Output {
        std::vector<TokenId>& ids;
        std::size_t begin;  // ids before it belong to another text
    };

    Result<void> read_token(TokenId id) {
        const auto index = static_cast<std::size_t>(id);
        const std::string& token = vocabulary_.tokens[index];
        if (std::isnan(vocabulary_.scores[index])) {
            return malformed_vocabulary(fmt::format("the score of token {} ({}) is not a number", id, quoted(token)));
        }
        switch (kind(id)) {
            case TokenKind::control: return {};
            case TokenKind::unknown:
                if (unknown_ == no_token) unknown_ = id;
                return {};
            case TokenKind::byte: {
                const std::optional<unsigned char> byte = byte_of_token(token);
                if (byte && byte_ids_[*byte] == no_token) {
                    byte_ids_[*byte] = id;
                    return {};
                }
                return malformed_vocabulary(fmt::format("byte token {} is {}, which {}", id, quoted(token),
                                                        byte ? "occurs twice" : "is not written <0xHH>"));
            }
            case TokenKind::normal:
            case TokenKind::user_defined:
            case TokenKind::unused: break;
        }
        const TokenId first = pieces_.insert(id);
        if (first == id || token.empty()) return {};
        return malformed_vocabulary(fmt::format("tokens {} and {} are both {}", first, id, quoted(token)));
    }

    /// The text with its spaces as U+2581, a space prefixed or extra ones removed if the vocabulary wants it.
    std::string normalize(std::string_view text, bool at_start) const {
        std::string normalized;
        if (vocabulary_.remove_extra_whitespaces) {
            text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
            if (text.empty()) return normalized;
        }
        normalized.reserve(text.size() + text.size() / 4);
        if (at_start && vocabulary_.add_space_prefix) normalized += space_symbol;
        bool after_space = false;
        for (const char c : text) {
            const bool is_space = c == ' ';
            if (is_space && after_space && vocabulary_.remove_extra_whitespaces) continue;
            after_space = is_space;
            if (is_space) {
                normalized += space_symbol;
            } else {
                normalized += c;
            }
        }
        while (vocabulary_.remove_extra_whitespaces && normalized.ends_with(space_symbol)) {
            normalized.resize(normalized.size() - space_symbol.size());
        }
        return normalized;
    }

    /// One symbol for each user-defined token, and for each character or invalid byte outside them.
    std::vector<Symbol> initial_symbols(std::string_view text) const {
        std::vector<Symbol> symbols;
        symbols.reserve(text.size());
        std::size_t position = 0;
        const auto append = [&](std::size_t length, TokenId id, bool frozen) {
            append_symbol(symbols, {.begin = static_cast<std::uint32_t>(position),
                                    .length = static_cast<std::uint32_t>(length),
                                    .id = id,
                                    .frozen = frozen});
            position += length;
        };
        const auto append_characters = [&](std::size_t end) {
            while (position < end) {
                const std::size_t length = decode_utf8(text.substr(position, end - position)).length;
                append(length, pieces_.find(text.substr(position, length)), false);
            }
        };
        for (const TokenMatcher::Match& match : user_defined_tokens_.find(text)) {
            append_characters(match.begin);
            append(match.length, match.id, true);
        }
        append_characters(text.size());
        return symbols;
    }

    Merge find_merge(std::string_view text, const Symbol& left, const Symbol& right, UnusedParts& unused_parts) const {
        const TokenId id = pieces_.find(text.substr(left.begin, left.length + right.length));
        if (id == no_token) return {};
        if (kind(id) == TokenKind::unused) {
            unused_parts.insert_or_assign(
                id, std::pair(text.substr(left.begin, left.length), text.substr(right.begin, right.length)));
        }
        return {merge_priority(vocabulary_.scores[static_cast<std::size_t>(id)]), id};
    }

    void emit_parts(std::string_view piece, const UnusedParts& unused_parts, Output& output) const {
        std::vector<std::string_view> open{piece};
        while (!open.empty()) {
            const std::string_view part = open.back();
            open.pop_back();
            const TokenId id = pieces_.find(part);
            const auto parts = unused_parts.find(id);
            if (parts == unused_parts.end()) {
                emit(part, id, output);
                continue;
            }
            open.push_back(parts->second.second);
            open.push_back(parts->second.first);
        }
    }

    void emit(std::string_view piece, TokenId id, Output& output) const {
        if (id != no_token) {
            output.ids.push_back(id);
        } else if (byte_fallback_) {
            for (const char byte : piece)
                output.ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
        } else if (output.ids.size() == output.begin || output.ids.back() != unknown_) {
            output.ids.push_back(unknown_);  // one for a run of unknown characters
        }
    }

    TokenIds pieces_;  // what text can become
    std::array<TokenId, 256> byte_ids_;
    bool byte_fallback_ = false;  // a token for each byte
    TokenId unknown_ = no_token;
};

}  // namespace

Result<std::shared_ptr<const Tokenizer>> make_sentencepiece_bpe(std::shared_ptr<const Vocabulary> vocabulary) {
    auto tokenizer = std::make_shared<SentencePieceBpe>(std::move(vocabulary));
    PUNA_CHECK(tokenizer->prepare());
    return std::shared_ptr<const Tokenizer>(std::move(tokenizer));
}

}  // namespace puna::text
