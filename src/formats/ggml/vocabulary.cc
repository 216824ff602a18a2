#include "formats/ggml/vocabulary.h"

#include <fmt/format.h>

#include <limits>
#include <string>
#include <unordered_set>

namespace puna::formats::ggml {
namespace {

using text::TokenId;
using text::TokenizerFamily;
using text::TokenKind;
using text::Vocabulary;

constexpr std::string_view space_symbol = "\xE2\x96\x81";        // U+2581
constexpr std::string_view replacement_symbol = "\xEF\xBF\xBD";  // U+FFFD
constexpr std::string_view unknown_word = " \xE2\x81\x87 ";      // U+2047 between spaces, as SentencePiece shows it
constexpr std::size_t first_byte = 3;
constexpr std::size_t first_piece = first_byte + 256;
constexpr std::string_view special[first_byte] = {"<unk>", "<s>", "</s>"};

/// Whether the word at a byte's id is that byte. The first converter wrote U+FFFD for those that are no character.
bool is_byte(std::string_view word, std::size_t byte) {
    if (word.size() == 1) return static_cast<unsigned char>(word.front()) == byte;
    return byte >= 0x80 && word == replacement_symbol;
}

std::string with_space_symbols(std::string_view word) {
    std::string piece;
    for (const char c : word) {
        if (c == ' ')
            piece += space_symbol;
        else
            piece += c;
    }
    return piece;
}

std::string with_spaces(std::string_view piece) {
    std::string word;
    while (!piece.empty()) {
        const bool is_space = piece.starts_with(space_symbol);
        word += is_space ? ' ' : piece.front();
        piece.remove_prefix(is_space ? space_symbol.size() : 1);
    }
    return word;
}

Vocabulary sentencepiece(const Words& words) {
    Vocabulary vocabulary;
    vocabulary.family = TokenizerFamily::sentencepiece_bpe;
    vocabulary.family_name = "llama";
    const std::size_t size = words.texts.size();
    vocabulary.tokens.reserve(size);
    vocabulary.scores = words.scores;
    vocabulary.kinds.reserve(size);
    std::unordered_set<std::string> seen;
    for (std::size_t i = 0; i < size; ++i) {
        const std::string_view word = words.texts[i];
        if (words.scores.empty()) {
            vocabulary.scores.push_back(i < first_piece ? 0.0F : -static_cast<float>(i - first_piece));
        }
        if (i < first_byte) {
            vocabulary.tokens.emplace_back(special[i]);
            vocabulary.kinds.push_back(i == 0 ? TokenKind::unknown : TokenKind::control);
        } else if (i < first_piece && is_byte(word, i - first_byte)) {
            vocabulary.tokens.push_back(fmt::format("<0x{:02X}>", i - first_byte));
            vocabulary.kinds.push_back(TokenKind::byte);
        } else {
            vocabulary.tokens.push_back(with_space_symbols(word));
            const bool is_new = !word.empty() && seen.insert(vocabulary.tokens.back()).second;
            vocabulary.kinds.push_back(is_new ? TokenKind::normal : TokenKind::control);
        }
    }
    const auto id = [&](TokenId wanted) { return static_cast<std::size_t>(wanted) < size ? wanted : text::no_token; };
    vocabulary.unk = id(0);
    vocabulary.bos = id(1);
    vocabulary.eos = id(2);
    vocabulary.add_bos = vocabulary.bos != text::no_token;
    return vocabulary;
}

}  // namespace

Vocabulary make_vocabulary(const Words& words, const Layout& layout) {
    if (layout.sentencepiece) return sentencepiece(words);
    Vocabulary vocabulary;
    vocabulary.family = TokenizerFamily::other;
    vocabulary.family_name = layout.family;
    vocabulary.tokens.assign(words.texts.begin(), words.texts.end());
    vocabulary.scores = words.scores;
    vocabulary.why_not = Error{ErrorCode::unsupported_tokenizer,
                               fmt::format("a {} file of the formats before GGUF holds words, and not how text is cut "
                                           "into them",
                                           layout.family),
                               "take the model as a GGUF file"};
    return vocabulary;
}

Result<std::vector<std::string>> words_of(const Vocabulary& vocabulary) {
    const auto cannot = [](std::string_view what) {
        return Error{ErrorCode::unsupported_tokenizer,
                     fmt::format("a file of the formats before GGUF cannot hold the vocabulary: {}", what),
                     "write the model as GGUF"};
    };
    if (vocabulary.family != TokenizerFamily::sentencepiece_bpe) return cannot("it is not one of SentencePiece");
    const std::size_t size = vocabulary.tokens.size();
    const bool usual_ids = vocabulary.unk == 0 && vocabulary.bos == 1 && vocabulary.eos == 2 && size >= first_piece;
    if (!usual_ids) return cannot("its special tokens are not 0, 1 and 2");
    std::vector<std::string> words;
    words.reserve(size);
    for (std::size_t i = 0; i < size; ++i) {
        const TokenKind kind = vocabulary.kinds.empty() ? TokenKind::normal : vocabulary.kinds[i];
        const bool in_byte_place = i >= first_byte && i < first_piece;
        if ((kind == TokenKind::byte) != in_byte_place) return cannot("its bytes are not the tokens 3 to 258");
        if (i == 0) {
            words.emplace_back(unknown_word);
        } else if (kind == TokenKind::byte) {
            words.emplace_back(1, static_cast<char>(i - first_byte));
        } else if (kind == TokenKind::control) {
            words.emplace_back();
        } else {
            words.push_back(with_spaces(vocabulary.tokens[i]));
        }
    }
    return words;
}

bool is_in_order_of_scores(const Vocabulary& vocabulary) {
    float last = std::numeric_limits<float>::infinity();
    for (std::size_t i = first_piece; i < vocabulary.scores.size(); ++i) {
        const bool is_piece = vocabulary.kinds.empty() || vocabulary.kinds[i] == TokenKind::normal;
        if (!is_piece) continue;
        if (!(vocabulary.scores[i] < last)) return false;
        last = vocabulary.scores[i];
    }
    return true;
}

}  // namespace puna::formats::ggml
