// Ids equal those of `tokenizers` and `sentencepiece` on a corpus of many scripts.
#include <gtest/gtest.h>

#include "text/unicode/utf8.h"
#include "text/vocabulary_fixture.h"

namespace puna::text {
namespace {

class Reference : public testing::TestWithParam<std::string> {
  protected:
    nlohmann::json fixture = read_fixture("text/data/" + GetParam() + ".json");
    std::vector<std::string> corpus = read_fixture("text/data/corpus.json");
    std::shared_ptr<const Tokenizer> tokenizer = make_tokenizer(fixture_vocabulary(fixture));
};

TEST_P(Reference, EncodesTheCorpusEqually) {
    ASSERT_NE(tokenizer, nullptr);
    ASSERT_EQ(fixture.at("ids").size(), corpus.size());
    for (std::size_t i = 0; i < corpus.size(); ++i) {
        const std::vector<TokenId> expected = fixture.at("ids").at(i);
        EXPECT_EQ(tokenizer->encode(corpus[i], {.add_bos = false}), expected) << corpus[i].substr(0, 200);
    }
}

class ByteLevelReference : public Reference {};

TEST_P(ByteLevelReference, FindsSpecialTokensWhenAsked) {
    ASSERT_NE(tokenizer, nullptr);
    ASSERT_FALSE(fixture.at("special").empty());
    for (std::size_t i = 0; i < corpus.size(); ++i) {
        const std::string key = std::to_string(i);
        const bool differs = fixture.at("special").contains(key);
        const std::vector<TokenId> expected = differs ? fixture.at("special").at(key) : fixture.at("ids").at(i);
        const std::vector<TokenId> ids = tokenizer->encode(corpus[i], {.add_bos = false, .parse_special = true});
        EXPECT_EQ(ids, expected) << corpus[i].substr(0, 200);
        const auto composed = fixture.value("composed", nlohmann::json::object());
        EXPECT_EQ(tokenizer->decode_bytes(ids, true), composed.value(key, corpus[i]));
    }
}

class SentencePieceReference : public Reference {};

TEST_P(SentencePieceReference, DecodesTheCorpusEqually) {
    ASSERT_NE(tokenizer, nullptr);
    const TokenId unknown = fixture.at("unk");
    for (std::size_t i = 0; i < corpus.size(); ++i) {
        const std::vector<TokenId> ids = fixture.at("ids").at(i);
        // The reference writes " ⁇ " for the unknown token, which is no text here.
        if (std::ranges::find(ids, unknown) != ids.end()) continue;
        EXPECT_EQ(to_valid_utf8(tokenizer->decode_bytes(ids, false)), fixture.at("decoded").at(i).get<std::string>());
    }
}

std::string test_name(const testing::TestParamInfo<std::string>& info) {
    std::string name = info.param;
    std::ranges::replace(name, '-', '_');
    return name;
}
INSTANTIATE_TEST_SUITE_P(All, Reference, testing::ValuesIn(all_vocabulary_names()), test_name);
INSTANTIATE_TEST_SUITE_P(All, ByteLevelReference, testing::ValuesIn(byte_level_names), test_name);
INSTANTIATE_TEST_SUITE_P(All, SentencePieceReference, testing::ValuesIn(sentencepiece_names), test_name);

}  // namespace
}  // namespace puna::text
