#include "puna/model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

#include "api/demo_model.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;

Model load(const std::string& path) {
    auto model = Model::load(path);
    EXPECT_TRUE(model.ok()) << model.error().message;
    return std::move(model).value();
}

TEST(ModelInfo, DescribesTheDemoModel) {
    const ModelInfo& info = demo().info();
    EXPECT_EQ(info.path, PUNA_DEMO_MODEL);
    EXPECT_EQ(info.architecture, "llama");
    EXPECT_TRUE(info.runnable) << info.why_not.message;
    EXPECT_EQ(info.parameters, 134'515'008U);
    EXPECT_EQ(info.file_bytes, 98'362'432U);
    EXPECT_EQ(info.context_tokens, 8192U);
    EXPECT_EQ(info.vocabulary_tokens, 49152U);
    EXPECT_EQ(info.embedding_length, 576U);
    EXPECT_EQ(info.block_count, 30U);
    EXPECT_EQ(info.head_count, 9U);
    EXPECT_EQ(info.head_count_kv, 3U);
    EXPECT_THAT(info.chat_template, HasSubstr("im_start"));
    std::uint64_t tensors = 0;
    std::uint64_t bytes = 0;
    for (const auto& [type, share] : info.types) {
        tensors += share.tensors;
        bytes += share.bytes;
    }
    EXPECT_EQ(tensors, 272U);
    EXPECT_LT(bytes, info.file_bytes);
    EXPECT_GT(bytes, info.file_bytes * 95 / 100);
    EXPECT_THAT(info.types, Contains(Key("Q4_1")));
    EXPECT_EQ(info.types.at("F32").tensors, 61U);  // the norms
}

TEST(Model, SaysWhatMemoryItNeeds) {
    // 30 layers x (K and V) x 3 heads x 64 x 2 bytes.
    EXPECT_EQ(demo().kv_bytes(8192, "f16"), 8192U * 30 * 2 * 3 * 64 * 2);
    EXPECT_EQ(demo().kv_bytes(8192, "f32"), 8192U * 30 * 2 * 3 * 64 * 4);
    EXPECT_EQ(demo().kv_bytes(1, "f16"), demo().kv_bytes(32, "f16"));  // whole blocks
    EXPECT_EQ(demo().kv_bytes(0, "f16"), 0U);
    EXPECT_EQ(demo().kv_bytes(std::numeric_limits<std::uint64_t>::max(), "f16"),
              std::numeric_limits<std::uint64_t>::max());
    EXPECT_EQ(demo().kv_bytes(100, "f8"), 0U);
    EXPECT_GT(demo().workspace_bytes(512), 0U);
    EXPECT_GT(demo().workspace_bytes(512), demo().workspace_bytes(1));
}

TEST(Model, EncodesAndDecodes) {
    const std::string text = "The capital of France is Paris. \xF0\x9F\xA6\x99";
    const auto ids = demo().encode(text);
    ASSERT_TRUE(ids.ok());
    EXPECT_EQ(*demo().decode(*ids), text);
    EXPECT_EQ(*demo().piece(ids->front()), "The");
    // U+1F999 is several tokens; half of them is half a character.
    EXPECT_THAT(*demo().decode(std::span(*ids).first(ids->size() - 1)), HasSubstr("\xEF\xBF\xBD"));
}

TEST(Model, ControlTokensAreTextUnlessAskedFor) {
    const std::string text = "<|im_start|>user";
    const auto as_text = demo().encode(text);
    const auto as_control = demo().encode(text, {.parse_special = true});
    ASSERT_TRUE(as_text.ok() && as_control.ok());
    EXPECT_LT(as_control->size(), as_text->size());
    EXPECT_EQ(*demo().decode(*as_text), text);
    EXPECT_EQ(*demo().decode(*as_control), "user");
    EXPECT_EQ(*demo().decode(*as_control, {.special = true}), text);
}

TEST(Model, RefusesIdsOutOfRange) {
    for (const TokenId id : {-1, 49152, std::numeric_limits<TokenId>::max(), std::numeric_limits<TokenId>::min()}) {
        EXPECT_EQ(demo().decode(std::vector<TokenId>{1, id}).error().code, ErrorCode::invalid_argument);
        const auto piece = demo().piece(id);
        ASSERT_FALSE(piece.ok());
        EXPECT_EQ(piece.error().code, ErrorCode::invalid_argument);
        EXPECT_THAT(piece.error().message, HasSubstr("49151"));
    }
    EXPECT_TRUE(demo().piece(49151).ok());
}

TEST(Model, SaysWhyAFileCannotBeOpened) {
    const support::TempFolder folder;
    EXPECT_EQ(Model::load(folder.path("none")).error().code, ErrorCode::file_not_found);
    EXPECT_EQ(Model::load(folder.path("")).error().code, ErrorCode::unsupported_format);
    EXPECT_EQ(Model::load(folder.write("text", "This is no model, but a text of some length.")).error().code,
              ErrorCode::unsupported_format);
    std::vector<std::byte> bytes = support::tiny_model();
    bytes.resize(bytes.size() / 2);
    EXPECT_EQ(Model::load(folder.write("half", bytes)).error().code, ErrorCode::file_malformed);
}

TEST(Model, OpensWhatItCannotRun) {
    const support::TempFolder folder;
    const auto image = support::tiny_model_builder()
                           .string("general.architecture", "mamba")
                           .string("general.name", "A river")
                           .u32("mamba.context_length", 1234)
                           .u32("mamba.block_count", 7)
                           .build();
    const Model model = load(folder.write("mamba.gguf", image.bytes));
    EXPECT_FALSE(model.info().runnable);
    EXPECT_EQ(model.info().why_not.code, ErrorCode::unsupported_architecture);
    EXPECT_EQ(model.info().architecture, "mamba");
    EXPECT_EQ(model.info().name, "A river");
    EXPECT_EQ(model.info().context_tokens, 1234U);
    EXPECT_EQ(model.info().block_count, 7U);
    EXPECT_EQ(model.info().head_count, 0U);
    EXPECT_EQ(model.info().vocabulary_tokens, 300U);
    EXPECT_GT(model.info().parameters, 0U);
    EXPECT_EQ(model.kv_bytes(100, "f16"), 0U);
    EXPECT_EQ(model.workspace_bytes(512), 0U);
    EXPECT_TRUE(model.encode("hello").ok());  // the tokenizer is a known one
}

TEST(Model, SaysWhichTokenizerItLacks) {
    const support::TempFolder folder;
    const auto image = support::tiny_model_builder().string("tokenizer.ggml.model", "abacus").build();
    const Model model = load(folder.write("abacus.gguf", image.bytes));
    EXPECT_FALSE(model.info().runnable);
    EXPECT_EQ(model.info().why_not.code, ErrorCode::unsupported_tokenizer);
    EXPECT_THAT(model.info().why_not.message, HasSubstr("abacus"));
    EXPECT_EQ(model.encode("hello").error().code, ErrorCode::unsupported_tokenizer);
    EXPECT_EQ(model.decode(std::vector<TokenId>{1}).error().code, ErrorCode::unsupported_tokenizer);
    EXPECT_EQ(model.piece(1).error().code, ErrorCode::unsupported_tokenizer);
    EXPECT_GT(model.kv_bytes(100, "f16"), 0U);  // the model itself is sound
}

TEST(Model, IsSharedBetweenThreads) {
    const Model copy = demo();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([copy] {
            for (int j = 0; j < 20; ++j)
                EXPECT_EQ(*copy.decode(*copy.encode("one two three")), "one two three");
        });
    }
    for (std::thread& thread : threads)
        thread.join();
}

}  // namespace
}  // namespace puna
