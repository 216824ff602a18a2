// The demo model's own vocabulary: ids equal those of `tokenizers` on the corpus of tests/text.
#include <gtest/gtest.h>

#include "formats/model_file.h"
#include "text/vocabulary_fixture.h"

namespace puna::text {
namespace {

class DemoTokenizer : public testing::Test {
  protected:
    void SetUp() override {
        auto file = formats::read_model_file(PUNA_DEMO_MODEL);
        ASSERT_TRUE(file.ok()) << file.error().message;
        tokenizer = make_tokenizer((*file)->vocabulary);
        ASSERT_NE(tokenizer, nullptr);
    }

    std::shared_ptr<const Tokenizer> tokenizer;
    std::vector<std::string> corpus = read_fixture("text/data/corpus.json");
    nlohmann::json expected = read_fixture("models/data/demo_tokens.json");
};

TEST_F(DemoTokenizer, EncodesTheCorpusEqually) {
    ASSERT_EQ(expected.at("ids").size(), corpus.size());
    for (std::size_t i = 0; i < corpus.size(); ++i) {
        const std::vector<TokenId> ids = expected.at("ids").at(i);
        EXPECT_EQ(tokenizer->encode(corpus[i], {.add_bos = false}), ids) << corpus[i].substr(0, 200);
        const std::string key = std::to_string(i);
        const bool differs = expected.at("special").contains(key);
        const auto special = differs ? expected.at("special").at(key).get<std::vector<TokenId>>() : ids;
        EXPECT_EQ(tokenizer->encode(corpus[i], {.add_bos = false, .parse_special = true}), special);
    }
}

TEST_F(DemoTokenizer, EndsTurns) {
    EXPECT_EQ(tokenizer->end_tokens(), (std::vector<TokenId>{0, 2}));  // <|endoftext|>, <|im_end|>
    EXPECT_EQ(
        tokenizer->decode_bytes(tokenizer->encode("<|im_start|>user\nHi<|im_end|>", {.parse_special = true}), false),
        "user\nHi");
}

}  // namespace
}  // namespace puna::text
