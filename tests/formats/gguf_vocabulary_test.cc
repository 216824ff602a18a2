#include "formats/gguf/gguf_vocabulary.h"

#include <gmock/gmock.h>

#include <vector>

#include "formats/reading.h"
#include "text/vocabulary.h"

namespace puna::formats {
namespace {

using support::GgufBuilder;
using support::GgufType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using text::TokenizerFamily;
using text::TokenKind;

class GgufVocabularyTest : public ::testing::Test {
  protected:
    std::shared_ptr<const ModelFile> read(const GgufBuilder& builder) { return must(attempt(builder)); }
    Result<std::shared_ptr<const ModelFile>> attempt(const GgufBuilder& builder) {
        return read_model_file(folder_.write("model.gguf", builder.build().bytes));
    }
    text::Vocabulary vocabulary(const GgufBuilder& builder) { return read(builder)->vocabulary; }

    support::TempFolder folder_;
};

TEST(GgufVocabularyNormalizer, IsWrittenWhereTheNameDoesNotTell) {
    const auto written = [](const char* pre, bool nfc) {
        text::Vocabulary vocabulary;
        vocabulary.family = TokenizerFamily::byte_level_bpe;
        vocabulary.pre_tokenizer = pre;
        vocabulary.nfc = nfc;
        Metadata metadata;
        must(gguf::put_vocabulary(vocabulary, metadata));
        return must(metadata.boolean("puna.tokenizer.nfc"));
    };
    EXPECT_EQ(written("qwen2", true), std::nullopt);
    EXPECT_EQ(written("gpt-2", false), std::nullopt);
    EXPECT_EQ(written("qwen2", false), false);
    EXPECT_EQ(written("gpt-2", true), true);
}

GgufBuilder byte_level(const std::string& pre) {
    GgufBuilder builder;
    builder.string("tokenizer.ggml.model", "gpt2").strings("tokenizer.ggml.tokens", {"a", "b", "ab", "<end>"});
    builder.strings("tokenizer.ggml.merges", {"a b"}).u32("tokenizer.ggml.bos_token_id", 3);
    if (!pre.empty()) builder.string("tokenizer.ggml.pre", pre);
    return builder;
}

TEST_F(GgufVocabularyTest, SentencePiece) {
    GgufBuilder builder = good_builder();
    builder.u32("tokenizer.ggml.unknown_token_id", 0).u32("tokenizer.ggml.padding_token_id", 5);
    builder.u32("tokenizer.ggml.eot_token_id", 3).u32("tokenizer.ggml.eom_token_id", 4);
    builder.boolean("tokenizer.ggml.add_space_prefix", false).boolean("tokenizer.ggml.remove_extra_whitespaces", true);
    builder.boolean("tokenizer.ggml.add_eos_token", true).string("tokenizer.chat_template", "{{ messages }}");
    const auto v = vocabulary(builder);
    EXPECT_EQ(v.family, TokenizerFamily::sentencepiece_bpe);
    EXPECT_EQ(v.family_name, "llama");
    EXPECT_EQ(v.pre_tokenizer, "");
    EXPECT_THAT(v.scores, ElementsAre(0, 0, 0, -1, -2, -3));
    EXPECT_THAT(v.kinds, ElementsAre(TokenKind::unknown, TokenKind::control, TokenKind::control, TokenKind::normal,
                                     TokenKind::normal, TokenKind::normal));
    EXPECT_EQ(v.bos, 1);
    EXPECT_EQ(v.eos, 2);
    EXPECT_EQ(v.eot, 3);
    EXPECT_EQ(v.eom, 4);
    EXPECT_EQ(v.unk, 0);
    EXPECT_EQ(v.pad, 5);
    EXPECT_TRUE(v.add_bos);
    EXPECT_TRUE(v.add_eos);
    EXPECT_FALSE(v.add_space_prefix);
    EXPECT_TRUE(v.remove_extra_whitespaces);
    EXPECT_EQ(v.chat_template, "{{ messages }}");
}

TEST_F(GgufVocabularyTest, SpecialTokensOfOldFilesAreFoundByKindAndText) {
    GgufBuilder builder = good_builder();
    builder.remove("tokenizer.ggml.bos_token_id").remove("tokenizer.ggml.eos_token_id");
    const auto v = vocabulary(builder);
    EXPECT_EQ(v.unk, 0);
    EXPECT_EQ(v.bos, 1);
    EXPECT_EQ(v.eos, 2);
    EXPECT_EQ(v.pad, text::no_token);
    EXPECT_TRUE(v.add_bos);
    EXPECT_FALSE(v.add_eos);
    EXPECT_TRUE(v.add_space_prefix);
    EXPECT_FALSE(v.remove_extra_whitespaces);
}

TEST_F(GgufVocabularyTest, ByteLevel) {
    const auto v = vocabulary(byte_level("smollm"));
    EXPECT_EQ(v.family, TokenizerFamily::byte_level_bpe);
    EXPECT_EQ(v.family_name, "gpt2");
    EXPECT_EQ(v.pre_tokenizer, "smollm");
    EXPECT_THAT(v.merges, ElementsAre("a b"));
    EXPECT_TRUE(v.scores.empty());
    EXPECT_TRUE(v.kinds.empty());
    EXPECT_FALSE(v.add_bos);
    EXPECT_EQ(vocabulary(byte_level("")).pre_tokenizer, "default");
}

TEST_F(GgufVocabularyTest, LlamaThreeBeginsWithBosUnlessTheFileSaysNo) {
    EXPECT_TRUE(vocabulary(byte_level("llama-bpe")).add_bos);
    EXPECT_FALSE(vocabulary(byte_level("llama-bpe").boolean("tokenizer.ggml.add_bos_token", false)).add_bos);
    EXPECT_TRUE(vocabulary(byte_level("qwen2").boolean("tokenizer.ggml.add_bos_token", true)).add_bos);
    EXPECT_FALSE(vocabulary(byte_level("llama-bpe").remove("tokenizer.ggml.bos_token_id")).add_bos);
}

TEST_F(GgufVocabularyTest, QwenWantsComposedTextUnlessTheFileSaysNo) {
    EXPECT_TRUE(vocabulary(byte_level("qwen2")).nfc);
    EXPECT_TRUE(vocabulary(byte_level("deepseek-r1-qwen")).nfc);
    EXPECT_FALSE(vocabulary(byte_level("llama-bpe")).nfc);
    EXPECT_FALSE(vocabulary(byte_level("qwen2").boolean("puna.tokenizer.nfc", false)).nfc);
    EXPECT_TRUE(vocabulary(byte_level("gpt-2").boolean("puna.tokenizer.nfc", true)).nfc);
    EXPECT_FALSE(attempt(byte_level("gpt-2").u32("puna.tokenizer.nfc", 1)).ok());
    EXPECT_FALSE(vocabulary(good_builder()).nfc);
}

TEST_F(GgufVocabularyTest, OtherFamiliesKeepTheirName) {
    GgufBuilder builder = good_builder();
    builder.string("tokenizer.ggml.model", "t5");
    const auto v = vocabulary(builder);
    EXPECT_EQ(v.family, TokenizerFamily::other);
    EXPECT_EQ(v.family_name, "t5");
    EXPECT_EQ(v.tokens.size(), 6U);
}

TEST_F(GgufVocabularyTest, NoVocabulary) {
    GgufBuilder builder = good_builder();
    builder.string("tokenizer.ggml.model", "no_vocab");
    EXPECT_EQ(vocabulary(builder).family, TokenizerFamily::none);
}

TEST_F(GgufVocabularyTest, MinusOneMeansNoPaddingAndNoUnknownToken) {
    GgufBuilder builder = good_builder();
    builder.u32("tokenizer.ggml.padding_token_id", ~0U).i32("tokenizer.ggml.unknown_token_id", -1);
    const auto v = vocabulary(builder);
    EXPECT_EQ(v.pad, text::no_token);
    EXPECT_EQ(v.unk, 0);  // by its kind
}

TEST_F(GgufVocabularyTest, TheArraysAreMovedOutOfTheMetadata) {
    const auto file = read(good_builder());
    EXPECT_EQ(file->metadata.find("tokenizer.ggml.tokens"), nullptr);
    EXPECT_EQ(file->metadata.find("tokenizer.ggml.scores"), nullptr);
    EXPECT_EQ(file->metadata.find("tokenizer.ggml.token_type"), nullptr);
    EXPECT_NE(file->metadata.find("tokenizer.ggml.bos_token_id"), nullptr);
}

TEST_F(GgufVocabularyTest, BeginAndEndTokensMustExistWhereTheyAreAsked) {
    GgufBuilder builder = byte_level("").remove("tokenizer.ggml.bos_token_id");
    builder.boolean("tokenizer.ggml.add_bos_token", true);
    EXPECT_THAT(attempt(builder).error().message, HasSubstr("tokenizer.ggml.add_bos_token"));
    builder.boolean("tokenizer.ggml.add_bos_token", false).boolean("tokenizer.ggml.add_eos_token", true);
    EXPECT_THAT(attempt(builder).error().message, HasSubstr("tokenizer.ggml.add_eos_token"));
}

TEST_F(GgufVocabularyTest, ByteLevelNeedsMerges) {
    const auto result = attempt(byte_level("").remove("tokenizer.ggml.merges"));
    ASSERT_FALSE(result.ok());
    EXPECT_THAT(result.error().message, HasSubstr("tokenizer.ggml.merges"));
}

}  // namespace
}  // namespace puna::formats
