// Small vocabularies and a corpus, with what the reference libraries make of it: tools/make_tokenizer_expected.py.
#pragma once

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace puna::text {

inline const std::vector<std::string> byte_level_names = {"gpt-2", "llama-bpe", "smollm", "qwen2"};
inline const std::vector<std::string> sentencepiece_names = {"spm-bytes", "spm-unknown", "spm-unused"};

inline std::vector<std::string> all_vocabulary_names() {
    std::vector<std::string> names = byte_level_names;
    names.insert(names.end(), sentencepiece_names.begin(), sentencepiece_names.end());
    return names;
}

/// `name` is relative to tests/.
inline nlohmann::json read_fixture(const std::string& name) {
    std::ifstream file(std::string(PUNA_TEST_DATA) + "/" + name);
    return nlohmann::json::parse(file);
}

inline Vocabulary fixture_vocabulary(const nlohmann::json& fixture) {
    Vocabulary vocabulary;
    const bool sentencepiece = fixture.at("family") == "llama";
    vocabulary.family = sentencepiece ? TokenizerFamily::sentencepiece_bpe : TokenizerFamily::byte_level_bpe;
    vocabulary.family_name = fixture.at("family");
    vocabulary.pre_tokenizer = fixture.value("pre", "");
    vocabulary.tokens = fixture.at("tokens");
    for (const int kind : fixture.at("kinds"))
        vocabulary.kinds.push_back(static_cast<TokenKind>(kind));
    if (fixture.contains("merges")) vocabulary.merges = fixture.at("merges");
    if (fixture.contains("scores")) vocabulary.scores = fixture.at("scores").get<std::vector<float>>();
    vocabulary.nfc = fixture.value("nfc", false);
    vocabulary.unk = fixture.value("unk", no_token);
    vocabulary.add_space_prefix = fixture.value("add_space_prefix", true);
    vocabulary.remove_extra_whitespaces = fixture.value("remove_extra_whitespaces", false);
    return vocabulary;
}

inline Vocabulary named_vocabulary(const std::string& name) {
    return fixture_vocabulary(read_fixture("text/data/" + name + ".json"));
}

/// Null, which ends the test, if the vocabulary is refused.
inline std::shared_ptr<const Tokenizer> make_tokenizer(Vocabulary vocabulary) {
    auto tokenizer = Tokenizer::create(std::move(vocabulary));
    return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

inline TokenId id_of(const Tokenizer& tokenizer, const std::string& token) {
    const auto& tokens = tokenizer.vocabulary().tokens;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
        if (tokens[i] == token) return static_cast<TokenId>(i);
    }
    return no_token;
}

}  // namespace puna::text
