#include "formats/huggingface/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/try.h"
#include "formats/printable.h"
#include "text/unicode/utf8.h"

namespace puna::formats::huggingface {
namespace {

using text::TokenId;
using text::TokenizerFamily;
using text::TokenKind;
using text::Vocabulary;

constexpr std::uint64_t max_gap = 1 << 16;  // unused ids between tokens

/// "<0xHH>".
bool is_byte_token(std::string_view token) {
    const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); };
    return token.size() == 6 && token.starts_with("<0x") && is_digit(token[3]) && is_digit(token[4]) && token[5] == '>';
}

std::string unused_name(std::size_t id) {
    return fmt::format("[PAD{}]", id);
}

struct Pair {
    std::string_view left;
    std::string_view right;
};

/// A merge in either spelling, "left right" or ["left", "right"].
Result<Pair> read_merge(const Json& merge, std::size_t rank) {
    const std::string field = fmt::format("model, merge {}", rank);
    if (merge.is(JsonKind::array)) {
        const bool two =
            merge.size() == 2 && merge.first().is(JsonKind::string) && merge.first().next().is(JsonKind::string);
        if (!two) return merge.malformed(field, fmt::format("is {}, not two tokens", merge.text()));
        return Pair{merge.first().string(), merge.first().next().string()};
    }
    if (!merge.is(JsonKind::string)) return merge.malformed(field, "is neither a text nor two");
    const std::string_view text = merge.string();
    const std::size_t space = text.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == text.size() ||
        text.find(' ', space + 1) != std::string_view::npos) {
        return merge.malformed(field, fmt::format("is {}, not two tokens", merge.text()));
    }
    return Pair{text.substr(0, space), text.substr(space + 1)};
}

class TokenizerReader {
  public:
    TokenizerReader(const Json& root, const TokenizerStructure& structure)
        : root_(root), structure_(structure), model_(*root.find("model")) {}

    Result<Vocabulary> read() {
        vocabulary_.family = structure_.family;
        const bool sentencepiece = structure_.family == TokenizerFamily::sentencepiece_bpe;
        vocabulary_.family_name = sentencepiece ? "llama" : "gpt2";
        vocabulary_.pre_tokenizer = structure_.pre_tokenizer;
        vocabulary_.nfc = structure_.nfc;
        vocabulary_.add_space_prefix = structure_.add_space_prefix;
        PUNA_CHECK(read_tokens());
        if (sentencepiece) mark_sentencepiece_kinds();
        PUNA_TRY(const auto added, read_added_tokens(root_));
        PUNA_CHECK(add_tokens(added, root_.path(), vocabulary_));
        PUNA_CHECK(read_merges());
        if (sentencepiece) PUNA_CHECK(score_by_merges());
        if (!sentencepiece) PUNA_CHECK(keep_merges());
        return std::move(vocabulary_);
    }

  private:
    Result<void> read_tokens() {
        const auto vocab = model_.find("vocab");
        if (!vocab || !vocab->is(JsonKind::object)) return model_.malformed("model", "has no object 'vocab'");
        const std::uint64_t limit = std::min(max_tokens, vocab->size() + max_gap);
        for (Json entry = vocab->first(); entry.exists(); entry = entry.next()) {
            const auto id = entry.unsigned_integer();
            const std::string field = fmt::format("model, token '{}'", printable(entry.key()));
            if (!id || *id >= limit) {
                return entry.malformed(
                    field, fmt::format("has the id {}; ids are whole numbers under {}", entry.text(), limit));
            }
            while (vocabulary_.tokens.size() <= *id) {
                vocabulary_.tokens.emplace_back();
                vocabulary_.kinds.push_back(TokenKind::unused);
            }
            TokenKind& kind = vocabulary_.kinds[*id];
            if (kind != TokenKind::unused) return entry.malformed(field, fmt::format("has the id {} of another", *id));
            kind = TokenKind::normal;
            vocabulary_.tokens[*id] = entry.key();
        }
        for (std::size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
            if (vocabulary_.kinds[id] == TokenKind::unused) vocabulary_.tokens[id] = unused_name(id);
        }
        if (vocabulary_.tokens.empty()) return vocab->malformed("model, vocab", "is empty");
        return {};
    }

    void mark_sentencepiece_kinds() {
        for (std::size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
            const std::string& token = vocabulary_.tokens[id];
            if (is_byte_token(token)) vocabulary_.kinds[id] = TokenKind::byte;
            if (token == structure_.unknown_token) {
                vocabulary_.kinds[id] = TokenKind::unknown;
                vocabulary_.unk = static_cast<TokenId>(id);
            }
        }
    }

    Result<void> read_merges() {
        const auto merges = model_.find("merges");
        if (!merges || !merges->is(JsonKind::array)) return model_.malformed("model", "has no array 'merges'");
        merges_.reserve(merges->size());
        for (Json merge = merges->first(); merge.exists(); merge = merge.next()) {
            PUNA_TRY(const Pair pair, read_merge(merge, merges_.size()));
            merges_.push_back(pair);
        }
        return {};
    }

    Result<void> keep_merges() {
        vocabulary_.merges.reserve(merges_.size());
        for (std::size_t rank = 0; rank < merges_.size(); ++rank) {
            const auto& [left, right] = merges_[rank];
            if (left.find(' ') != std::string_view::npos || right.find(' ') != std::string_view::npos) {
                return root_.malformed(fmt::format("model, merge {}", rank),
                                       "holds a space, which byte-level tokens do not");
            }
            vocabulary_.merges.push_back(std::string(left) + ' ' + std::string(right));
        }
        return {};
    }

    /// SentencePiece merges any two pieces that make a third, the one with the best score first. Merges that were made
    /// from such a model list, for each piece, all pairs that it is made of, side by side: their order is the scores'.
    Result<void> score_by_merges() {
        std::unordered_map<std::string_view, std::size_t> ids;
        for (std::size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
            if (vocabulary_.kinds[id] == TokenKind::normal) ids.emplace(vocabulary_.tokens[id], id);
        }
        std::vector<std::size_t> pairs(vocabulary_.tokens.size());  // merges that make each token
        vocabulary_.scores.assign(vocabulary_.tokens.size(), 0.0F);
        std::size_t last = vocabulary_.tokens.size();
        std::size_t pieces = 0;
        for (const auto& [left, right] : merges_) {
            const auto made = ids.find(std::string(left) + std::string(right));
            if (made == ids.end() || !ids.contains(left) || !ids.contains(right)) continue;  // text never comes to it
            const std::size_t id = made->second;
            if (id != last && pairs[id] > 0) return not_sentencepiece(id);
            if (id != last) vocabulary_.scores[id] = -static_cast<float>(pieces++);
            ++pairs[id];
            last = id;
        }
        for (std::size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
            if (vocabulary_.kinds[id] != TokenKind::normal) continue;
            if (count_pairs(vocabulary_.tokens[id], ids) != pairs[id]) return not_sentencepiece(id);
            if (pairs[id] == 0) vocabulary_.scores[id] = -static_cast<float>(pieces + id);
        }
        return {};
    }

    /// In how many ways two tokens make `token`.
    static std::size_t count_pairs(std::string_view token,
                                   const std::unordered_map<std::string_view, std::size_t>& ids) {
        std::size_t count = 0;
        for (std::size_t at = 0; at < token.size(); at += text::decode_utf8(token.substr(at)).length) {
            if (at > 0 && ids.contains(token.substr(0, at)) && ids.contains(token.substr(at))) ++count;
        }
        return count;
    }

    Error not_sentencepiece(std::size_t id) const {
        Error error = model_.malformed("tokenizer's model",
                                       fmt::format("has byte_fallback, but not the merges of a SentencePiece model: "
                                                   "those of token {}, '{}', are not all, or not side by side",
                                                   id, printable(vocabulary_.tokens[id])));
        error.code = ErrorCode::unsupported_tokenizer;
        error.hint = "take the model as a GGUF file, or put its tokenizer.model into the folder";
        return error;
    }

    const Json& root_;
    const TokenizerStructure& structure_;
    Json model_;
    std::vector<Pair> merges_;
    Vocabulary vocabulary_;
};

}  // namespace

Result<std::vector<AddedToken>> read_added_tokens(const Json& tokenizer) {
    std::vector<AddedToken> added;
    const auto list = tokenizer.find("added_tokens");
    if (!list) return added;
    if (!list->is(JsonKind::array)) return list->malformed("added_tokens", "is not an array");
    for (Json token = list->first(); token.exists(); token = token.next()) {
        const std::string field = fmt::format("added token {}", added.size());
        const auto id = token.find("id");
        const auto content = token.find("content");
        if (!id || !id->unsigned_integer() || *id->unsigned_integer() >= max_tokens) {
            return token.malformed(field, fmt::format("has no id under {}", max_tokens));
        }
        if (!content || !content->is(JsonKind::string) || content->string().empty()) {
            return token.malformed(field, "has no text 'content'");
        }
        const auto is_set = [&](std::string_view name) {
            const auto found = token.find(name);
            return found && found->is_boolean(true);
        };
        if (is_set("single_word") || is_set("lstrip") || is_set("rstrip")) return unknown_part(token, "added token");
        added.push_back({static_cast<TokenId>(*id->unsigned_integer()), std::string(content->string()),
                         is_set("special"), token.offset()});
    }
    return added;
}

Result<void> add_tokens(const std::vector<AddedToken>& added, std::string_view path, Vocabulary& vocabulary) {
    const bool sentencepiece = vocabulary.family == TokenizerFamily::sentencepiece_bpe;
    const std::size_t limit = vocabulary.tokens.size() + added.size() + max_gap;
    for (const AddedToken& token : added) {
        const auto id = static_cast<std::size_t>(token.id);
        const auto refused = [&](std::string_view problem) {
            return Error{ErrorCode::file_malformed,
                         fmt::format("{}: added token '{}' (at byte {}) {}", printable_path(path),
                                     printable(token.content), token.offset, problem),
                         "the file is damaged, or not of the same model as the others beside it"};
        };
        if (id >= limit) return refused(fmt::format("has the id {}, far behind the others", id));
        while (vocabulary.tokens.size() <= id) {
            vocabulary.tokens.push_back(unused_name(vocabulary.tokens.size()));
            vocabulary.kinds.push_back(TokenKind::unused);
            if (sentencepiece && !vocabulary.scores.empty()) vocabulary.scores.push_back(0.0F);
        }
        std::string text = token.content;
        if (sentencepiece && !token.special) {  // it is looked for in text whose spaces are written so
            for (std::size_t at = text.find(' '); at != std::string::npos; at = text.find(' ', at))
                text.replace(at, 1, "\xE2\x96\x81");
        }
        if (vocabulary.kinds[id] != TokenKind::unused && vocabulary.tokens[id] != text) {
            return refused(fmt::format("has the id {} of '{}'", id, printable(vocabulary.tokens[id])));
        }
        vocabulary.tokens[id] = std::move(text);
        if (vocabulary.kinds[id] == TokenKind::unknown || vocabulary.kinds[id] == TokenKind::byte) continue;
        vocabulary.kinds[id] = token.special ? TokenKind::control : TokenKind::user_defined;
    }
    return {};
}

Result<Vocabulary> read_tokenizer(const Json& tokenizer, const TokenizerStructure& structure) {
    return TokenizerReader(tokenizer, structure).read();
}

TokenId find_id(const Vocabulary& vocabulary, std::string_view token) {
    const auto found = std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), token);
    return found == vocabulary.tokens.end() ? text::no_token : static_cast<TokenId>(found - vocabulary.tokens.begin());
}

}  // namespace puna::formats::huggingface
