#include "formats/gguf/gguf_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/try.h"
#include "formats/gguf/layout.h"
#include "formats/gguf/vocabulary_keys.h"
#include "formats/printable.h"

namespace puna::formats::gguf {
namespace {

using text::TokenId;
using text::TokenizerFamily;
using text::TokenKind;
using text::Vocabulary;

constexpr std::string_view model_key = "tokenizer.ggml.model";
constexpr std::string_view add_bos_key = "tokenizer.ggml.add_bos_token";
constexpr std::string_view add_eos_key = "tokenizer.ggml.add_eos_token";
// puna's own: whether text is composed first, where the pre-tokenizer's name says otherwise.
constexpr std::string_view nfc_key = "puna.tokenizer.nfc";

/// Pre-tokenizers whose models were trained with a begin token before the text, for files that do not say.
constexpr std::array<std::string_view, 11> pre_tokenizers_with_bos = {
    "llama-bpe", "llama3", "llama-v3", "falcon3",   "falcon-h1",   "pixtral",
    "midm-2.0",  "lfm2",   "tekken",   "chameleon", "jina-v5-nano"};

/// Pre-tokenizers whose models were trained on composed text. The normalizer itself has no place in the file.
constexpr std::array<std::string_view, 2> pre_tokenizers_with_nfc = {"qwen2", "deepseek-r1-qwen"};

TokenizerFamily family_of(std::string_view model) {
    if (model == "llama") return TokenizerFamily::sentencepiece_bpe;
    if (model == "gpt2") return TokenizerFamily::byte_level_bpe;
    if (model == "none" || model == "no_vocab") return TokenizerFamily::none;
    return TokenizerFamily::other;
}

bool adds_bos_by_default(const Vocabulary& vocabulary) {
    if (vocabulary.bos == text::no_token) return false;
    if (vocabulary.family == TokenizerFamily::sentencepiece_bpe) return true;
    return std::find(pre_tokenizers_with_bos.begin(), pre_tokenizers_with_bos.end(), vocabulary.pre_tokenizer) !=
           pre_tokenizers_with_bos.end();
}

bool composes_by_default(const Vocabulary& vocabulary) {
    return vocabulary.family == TokenizerFamily::byte_level_bpe &&
           std::find(pre_tokenizers_with_nfc.begin(), pre_tokenizers_with_nfc.end(), vocabulary.pre_tokenizer) !=
               pre_tokenizers_with_nfc.end();
}

class VocabularyReader {
  public:
    VocabularyReader(Metadata& metadata, std::string_view path) : metadata_(metadata), path_(path) {}

    Result<Vocabulary> read() {
        Vocabulary vocabulary;
        PUNA_TRY(const auto model, with_path(metadata_.string(model_key)));
        if (!model) return vocabulary;
        vocabulary.family_name = *model;
        vocabulary.family = family_of(*model);
        if (vocabulary.family == TokenizerFamily::none) return vocabulary;
        PUNA_CHECK(read_tokens(vocabulary));
        PUNA_CHECK(read_scores(vocabulary));
        PUNA_CHECK(read_kinds(vocabulary));
        PUNA_CHECK(read_merges(vocabulary));
        PUNA_CHECK(read_special_ids(vocabulary));
        PUNA_CHECK(read_options(vocabulary));
        return vocabulary;
    }

  private:
    Result<void> read_tokens(Vocabulary& vocabulary) {
        PUNA_TRY(auto tokens, take_strings(tokens_key));
        if (!tokens) return missing(tokens_key, vocabulary);
        if (tokens->empty()) return malformed(fmt::format("{} holds no tokens", metadata_.describe(tokens_key)));
        vocabulary.tokens = std::move(*tokens);
        return {};
    }

    Result<void> read_scores(Vocabulary& vocabulary) {
        PUNA_TRY(const auto scores, take_numbers(scores_key, vocabulary.tokens.size()));
        vocabulary.scores.reserve(scores.size());
        for (const double score : scores) {
            if (!(std::abs(score) <= std::numeric_limits<float>::max())) {
                return bad_element(scores_key, vocabulary.scores.size(), "is not a finite number");
            }
            vocabulary.scores.push_back(static_cast<float>(score));
        }
        return {};
    }

    Result<void> read_kinds(Vocabulary& vocabulary) {
        PUNA_TRY(const auto kinds, take_numbers(kinds_key, vocabulary.tokens.size()));
        vocabulary.kinds.reserve(kinds.size());
        for (const double kind : kinds) {
            const bool known = kind >= static_cast<int>(TokenKind::normal) && kind <= static_cast<int>(TokenKind::byte);
            if (!known || kind != std::floor(kind)) {
                return bad_element(kinds_key, vocabulary.kinds.size(),
                                   fmt::format("is {}; token types are 1 to 6", kind));
            }
            vocabulary.kinds.push_back(static_cast<TokenKind>(static_cast<int>(kind)));
        }
        return {};
    }

    Result<void> read_merges(Vocabulary& vocabulary) {
        PUNA_TRY(auto merges, take_strings(merges_key));
        if (!merges && vocabulary.family == TokenizerFamily::byte_level_bpe) {
            return missing(merges_key, vocabulary);
        }
        if (merges) vocabulary.merges = *std::move(merges);
        return {};
    }

    Result<void> read_special_ids(Vocabulary& vocabulary) {
        PUNA_CHECK(read_id("tokenizer.ggml.bos_token_id", vocabulary, vocabulary.bos));
        PUNA_CHECK(read_id("tokenizer.ggml.eos_token_id", vocabulary, vocabulary.eos));
        PUNA_CHECK(read_id("tokenizer.ggml.eot_token_id", vocabulary, vocabulary.eot));
        PUNA_CHECK(read_id("tokenizer.ggml.eom_token_id", vocabulary, vocabulary.eom));
        PUNA_CHECK(read_optional_id("tokenizer.ggml.unknown_token_id", vocabulary, vocabulary.unk));
        PUNA_CHECK(read_optional_id("tokenizer.ggml.padding_token_id", vocabulary, vocabulary.pad));
        if (vocabulary.family == TokenizerFamily::sentencepiece_bpe) fill_sentencepiece_ids(vocabulary);
        return {};
    }

    /// The oldest files name no special tokens; SentencePiece marks them by kind and writes them the same way always.
    static void fill_sentencepiece_ids(Vocabulary& vocabulary) {
        for (std::size_t i = 0; i < vocabulary.kinds.size(); ++i) {
            const auto id = static_cast<TokenId>(i);
            const bool control = vocabulary.kinds[i] == TokenKind::control;
            if (vocabulary.unk == text::no_token && vocabulary.kinds[i] == TokenKind::unknown) vocabulary.unk = id;
            if (vocabulary.bos == text::no_token && control && vocabulary.tokens[i] == "<s>") vocabulary.bos = id;
            if (vocabulary.eos == text::no_token && control && vocabulary.tokens[i] == "</s>") vocabulary.eos = id;
        }
    }

    Result<void> read_options(Vocabulary& vocabulary) {
        PUNA_TRY(const auto pre, with_path(metadata_.string("tokenizer.ggml.pre")));
        if (pre) vocabulary.pre_tokenizer = *pre;
        if (!pre && vocabulary.family == TokenizerFamily::byte_level_bpe) vocabulary.pre_tokenizer = "default";
        PUNA_TRY(const auto nfc, with_path(metadata_.boolean(nfc_key)));
        vocabulary.nfc = nfc.value_or(composes_by_default(vocabulary));

        PUNA_TRY(const auto add_bos, with_path(metadata_.boolean(add_bos_key)));
        vocabulary.add_bos = add_bos.value_or(adds_bos_by_default(vocabulary));
        if (vocabulary.add_bos && vocabulary.bos == text::no_token) {
            return malformed(fmt::format("{} is true, but no begin token is named", metadata_.describe(add_bos_key)));
        }
        PUNA_TRY(const auto add_eos, with_path(metadata_.boolean(add_eos_key)));
        vocabulary.add_eos = add_eos.value_or(false);
        if (vocabulary.add_eos && vocabulary.eos == text::no_token) {
            return malformed(fmt::format("{} is true, but no end token is named", metadata_.describe(add_eos_key)));
        }
        PUNA_TRY(const auto space, with_path(metadata_.boolean("tokenizer.ggml.add_space_prefix")));
        vocabulary.add_space_prefix = space.value_or(true);
        PUNA_TRY(const auto whitespace, with_path(metadata_.boolean("tokenizer.ggml.remove_extra_whitespaces")));
        vocabulary.remove_extra_whitespaces = whitespace.value_or(false);
        PUNA_TRY(auto chat_template, with_path(metadata_.string("tokenizer.chat_template")));
        vocabulary.chat_template = std::move(chat_template).value_or("");
        return {};
    }

    Result<void> read_id(std::string_view key, const Vocabulary& vocabulary, TokenId& id) {
        PUNA_TRY(const auto value, with_path(metadata_.unsigned_integer(key)));
        if (!value) return {};
        if (*value >= vocabulary.tokens.size()) {
            return malformed(fmt::format("{} is {}, but the vocabulary has {} tokens", metadata_.describe(key), *value,
                                         vocabulary.tokens.size()));
        }
        id = static_cast<TokenId>(*value);
        return {};
    }

    /// Converters have written -1, as a signed or an unsigned number, where there is no such token.
    Result<void> read_optional_id(std::string_view key, const Vocabulary& vocabulary, TokenId& id) {
        const MetadataValue* value = metadata_.find(key);
        if (value == nullptr) return {};
        const auto* negative = std::get_if<std::int64_t>(value);
        if (negative != nullptr && *negative == -1) return {};
        const auto* positive = std::get_if<std::uint64_t>(value);
        if (positive != nullptr && *positive == std::numeric_limits<std::uint32_t>::max()) return {};
        return read_id(key, vocabulary, id);
    }

    /// Takes an array of strings out of the metadata; nullopt if the key is absent.
    Result<std::optional<std::vector<std::string>>> take_strings(std::string_view key) {
        const auto found = metadata_.values.find(key);
        if (found == metadata_.values.end()) return std::optional<std::vector<std::string>>();
        auto* array = std::get_if<MetadataArray>(&found->second);
        auto* strings = array != nullptr ? std::get_if<std::vector<std::string>>(array) : nullptr;
        if (strings == nullptr) return malformed(fmt::format("{} is not an array of strings", metadata_.describe(key)));
        std::optional taken(std::move(*strings));
        metadata_.values.erase(found);
        return taken;
    }

    /// Takes an array of numbers, one for each token, out of the metadata; empty if the key is absent.
    Result<std::vector<double>> take_numbers(std::string_view key, std::size_t tokens) {
        PUNA_TRY(auto found, with_path(metadata_.numbers(key)));
        if (!found) return std::vector<double>();
        if (found->size() != tokens) {
            return malformed(fmt::format("{} has {} elements, but the vocabulary has {} tokens",
                                         metadata_.describe(key), found->size(), tokens));
        }
        metadata_.values.erase(metadata_.values.find(key));
        return *std::move(found);
    }

    template <typename T>
    Result<T> with_path(Result<T> result) const {
        if (result.ok()) return result;
        return malformed(result.error().message);
    }

    Error missing(std::string_view key, const Vocabulary& vocabulary) const {
        return malformed(fmt::format("{} is '{}', which needs a key '{}' that is not there",
                                     metadata_.describe(model_key), printable(vocabulary.family_name), key));
    }

    Error bad_element(std::string_view key, std::size_t index, std::string_view problem) const {
        return malformed(fmt::format("{}, element {} {}", metadata_.describe(key), index, problem));
    }

    Error malformed(std::string_view what) const {
        return {ErrorCode::file_malformed, fmt::format("{}: {}", printable_path(path_), what),
                "the file is damaged, or was written by a faulty tool; convert it anew"};
    }

    Metadata& metadata_;
    std::string_view path_;
};

}  // namespace

Result<Vocabulary> take_vocabulary(Metadata& metadata, std::string_view path) {
    return VocabularyReader(metadata, path).read();
}

Result<void> put_vocabulary(const Vocabulary& vocabulary, Metadata& metadata) {
    if (vocabulary.why_not) return *vocabulary.why_not;
    const bool sentencepiece = vocabulary.family == TokenizerFamily::sentencepiece_bpe;
    if (vocabulary.family == TokenizerFamily::none) return {};
    const auto set = [&](std::string_view key, MetadataValue value, ValueType type) {
        metadata.values[std::string(key)] = std::move(value);
        metadata.stored_types[std::string(key)] = static_cast<std::uint32_t>(type);
    };
    const auto set_id = [&](std::string_view key, TokenId id) {
        if (id != text::no_token) set(key, static_cast<std::uint64_t>(id), ValueType::uint32);
    };
    set(model_key, std::string(sentencepiece ? "llama" : "gpt2"), ValueType::string);
    set("tokenizer.ggml.pre", sentencepiece ? std::string("default") : vocabulary.pre_tokenizer, ValueType::string);
    if (vocabulary.nfc != composes_by_default(vocabulary)) set(nfc_key, vocabulary.nfc, ValueType::boolean);
    const auto store_array = [&](std::string_view key, ValueType type) {
        metadata.stored_types[std::string(key)] = static_cast<std::uint32_t>(type);
    };
    store_array(tokens_key, ValueType::string);
    if (!vocabulary.scores.empty()) store_array(scores_key, ValueType::float32);
    if (!vocabulary.kinds.empty()) store_array(kinds_key, ValueType::int32);
    if (!vocabulary.merges.empty()) store_array(merges_key, ValueType::string);
    set_id("tokenizer.ggml.bos_token_id", vocabulary.bos);
    set_id("tokenizer.ggml.eos_token_id", vocabulary.eos);
    set_id("tokenizer.ggml.eot_token_id", vocabulary.eot);
    set_id("tokenizer.ggml.eom_token_id", vocabulary.eom);
    set_id("tokenizer.ggml.unknown_token_id", vocabulary.unk);
    set_id("tokenizer.ggml.padding_token_id", vocabulary.pad);
    set(add_bos_key, vocabulary.add_bos, ValueType::boolean);
    set(add_eos_key, vocabulary.add_eos, ValueType::boolean);
    if (sentencepiece) {
        set("tokenizer.ggml.add_space_prefix", vocabulary.add_space_prefix, ValueType::boolean);
        set("tokenizer.ggml.remove_extra_whitespaces", vocabulary.remove_extra_whitespaces, ValueType::boolean);
    }
    if (!vocabulary.chat_template.empty()) {
        set("tokenizer.chat_template", vocabulary.chat_template, ValueType::string);
    }
    return {};
}

}  // namespace puna::formats::gguf
