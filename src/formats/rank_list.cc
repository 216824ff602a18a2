#include "formats/rank_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/try.h"
#include "formats/malformed.h"
#include "text/tokenizer/byte_characters.h"
#include "text/tokenizer/token_ids.h"

namespace puna::formats {
namespace {

using text::no_token;
using text::TokenId;

// puna's own, far above what real lists hold (Llama 3's: 128,000 tokens of up to 128 bytes, 280,000 merges).
constexpr std::size_t max_tokens = std::size_t{1} << 22;
constexpr std::size_t max_token_bytes = 256;
constexpr std::size_t max_merges = std::size_t{1} << 22;

/// The six bits of a character of base64 (RFC 4648, section 4); nullopt if it is none.
std::optional<std::uint32_t> sextet_of(char c) {
    if (c >= 'A' && c <= 'Z') return static_cast<std::uint32_t>(c - 'A');
    if (c >= 'a' && c <= 'z') return static_cast<std::uint32_t>(c - 'a' + 26);
    if (c >= '0' && c <= '9') return static_cast<std::uint32_t>(c - '0' + 52);
    if (c == '+') return 62U;
    if (c == '/') return 63U;
    return std::nullopt;
}

/// Nullopt if `text` is not whole groups of four characters, the last one filled up with '='.
std::optional<std::string> decode_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
        ++padding;
    std::string bytes;
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool is_padding = i >= text.size() - padding;
        const auto sextet = is_padding ? std::optional<std::uint32_t>(0) : sextet_of(text[i]);
        if (!sextet) return std::nullopt;
        bits = bits << 6 | *sextet;
        if (i % 4 != 3) continue;
        for (const int shift : {16, 8, 0})
            bytes += static_cast<char>(bits >> shift & 0xFF);
        bits = 0;
    }
    bytes.resize(bytes.size() - padding);
    return bytes;
}

class RankListReader {
  public:
    RankListReader(std::string_view text, std::string_view path) : text_(text), path_(path) {}

    Result<text::Vocabulary> read() {
        PUNA_CHECK(read_lines());
        PUNA_CHECK(index_tokens());
        text::Vocabulary vocabulary;
        PUNA_TRY(vocabulary.merges, merges());
        vocabulary.tokens.reserve(tokens_.size());
        for (const std::string& token : tokens_)
            vocabulary.tokens.push_back(text::write_bytes(token));
        vocabulary.kinds.assign(tokens_.size(), text::TokenKind::normal);
        return vocabulary;
    }

  private:
    struct Place {
        std::size_t line;    // counted from 1
        std::size_t offset;  // bytes from the file's start
    };

    Result<void> read_lines() {
        std::size_t begin = 0;
        for (std::size_t line = 1; begin < text_.size(); ++line) {
            const std::size_t end = std::min(text_.find('\n', begin), text_.size());
            std::string_view content = text_.substr(begin, end - begin);
            if (content.ends_with('\r')) content.remove_suffix(1);
            if (!content.empty()) PUNA_CHECK(read_line(content, {line, begin}));
            begin = end + 1;
        }
        if (tokens_.empty()) return malformed(path_, "tokens are missing", 0);
        return {};
    }

    Result<void> read_line(std::string_view content, Place place) {
        if (tokens_.size() == max_tokens) {
            return bad(place, fmt::format("begins a token too many: at most {} are allowed", max_tokens));
        }
        const std::size_t space = content.find(' ');
        const std::string_view written = content.substr(0, space);
        auto token = decode_base64(written);
        if (!token) return bad(place, fmt::format("token is '{}', which is not base64", printable(written)));
        if (token->empty()) return bad(place, "token is empty");
        if (token->size() > max_token_bytes) {
            return bad(place,
                       fmt::format("token has {} bytes; at most {} are allowed", token->size(), max_token_bytes));
        }
        if (space == std::string_view::npos) return bad(place, "rank is missing");
        const std::string_view rank = content.substr(space + 1);
        std::uint32_t number = 0;
        const auto [stop, error] = std::from_chars(rank.data(), rank.data() + rank.size(), number);
        if (error != std::errc() || stop != rank.data() + rank.size() || number != tokens_.size()) {
            place.offset += space + 1;
            return bad(place, fmt::format("rank is '{}', not {}: ranks count the tokens from 0", printable(rank),
                                          tokens_.size()));
        }
        tokens_.push_back(*std::move(token));
        places_.push_back(place);
        return {};
    }

    Result<void> index_tokens() {
        ids_.allocate();
        for (std::size_t i = 0; i < tokens_.size(); ++i) {
            const TokenId same = ids_.insert(static_cast<TokenId>(i));
            if (static_cast<std::size_t>(same) == i) continue;
            return bad(places_[i],
                       fmt::format("token is that of line {} again", places_[static_cast<std::size_t>(same)].line));
        }
        for (unsigned byte = 0; byte < 256; ++byte) {
            if (ids_.find(std::string(1, static_cast<char>(byte))) != no_token) continue;
            return malformed(path_, fmt::format("the byte 0x{:02X} has no token of its own", byte), text_.size());
        }
        return {};
    }

    /// The algorithm merges the two neighbours that make the token of least rank. Where a token can be made in several
    /// ways, no order of them says the same in every case; this is the one of the converters to tokenizer.json.
    Result<std::vector<std::string>> merges() const {
        std::vector<std::string> merges;
        std::vector<std::pair<TokenId, TokenId>> halves;
        for (const std::string& token : tokens_) {
            const std::string_view bytes = token;
            halves.clear();
            for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
                const TokenId left = ids_.find(bytes.substr(0, cut));
                if (left == no_token) continue;
                const TokenId right = ids_.find(bytes.substr(cut));
                if (right != no_token) halves.emplace_back(left, right);
            }
            if (merges.size() + halves.size() > max_merges) {
                return malformed(path_, fmt::format("more than {} pairs of tokens make a third", max_merges), 0);
            }
            std::sort(halves.begin(), halves.end());
            for (const auto& [left, right] : halves)
                merges.push_back(text::write_bytes(tokens_[static_cast<std::size_t>(left)]) + ' ' +
                                 text::write_bytes(tokens_[static_cast<std::size_t>(right)]));
        }
        return merges;
    }

    Error bad(Place place, std::string_view what) const {
        return malformed(path_, fmt::format("line {}, {}", place.line, what), place.offset);
    }

    std::string_view text_;
    std::string_view path_;
    std::vector<std::string> tokens_;  // bytes, by rank
    std::vector<Place> places_;        // of each token
    text::TokenIds ids_{tokens_};
};

}  // namespace

bool is_rank_list(std::span<const std::byte> bytes) {
    return !bytes.empty() && sextet_of(static_cast<char>(bytes.front()));
}

Result<text::Vocabulary> read_rank_list(std::span<const std::byte> bytes, std::string_view path) {
    return RankListReader({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path).read();
}

}  // namespace puna::formats
