// The tiny models that other tests run on are what they say.
#include "support/tiny_model.h"

#include <gmock/gmock.h>

#include "formats/reading.h"

namespace puna::formats {
namespace {

TEST(TinyModelTest, HoldsWhatTheOptionsSay) {
    const support::MemoryFile memory;
    support::TinyModelOptions options;
    options.layers = 3;
    options.matrix_type = quant::find_type("Q4_0");
    options.tied = false;
    options.rope_scaling = "linear";
    options.rope_scaling_factor = 2;
    const auto file = must(read_model_file(memory.write(support::tiny_model(options))));
    EXPECT_EQ(file->architecture, "llama");
    EXPECT_EQ(file->tensors.size(), 3U * 9 + 3);
    EXPECT_EQ(file->find_tensor("blk.2.attn_q.weight")->type, quant::TensorType::Q4_0);
    EXPECT_THAT(file->find_tensor("blk.2.attn_k.weight")->shape, ::testing::ElementsAre(32, 64));
    EXPECT_THAT(file->find_tensor("output.weight")->shape, ::testing::ElementsAre(300, 64));
    EXPECT_EQ(must(file->metadata.number("llama.rope.scaling.factor")), 2.0);
    EXPECT_EQ(file->vocabulary.tokens.size(), 300U);
    EXPECT_EQ(file->vocabulary.bos, 1);
    EXPECT_TRUE(file->vocabulary.add_bos);
    EXPECT_EQ(support::tiny_model(options), support::tiny_model(options));
    EXPECT_NE(support::tiny_model({.seed = 1}), support::tiny_model({.seed = 2}));
}

TEST(TinyModelTest, CanBeWrittenInTypesOfLargeBlocks) {
    const support::MemoryFile memory;
    for (const char* name : {"Q4_K", "Q6_K", "Q8_0", "BF16", "F16"}) {
        const quant::TypeInfo* type = quant::find_type(name);
        ASSERT_NE(type, nullptr);
        ASSERT_NE(type->from_float, nullptr) << name;
        const auto bytes = support::tiny_model({.embedding = 256, .feed_forward = 256, .matrix_type = type});
        const auto file = must(read_model_file(memory.write(bytes)));
        EXPECT_EQ(file->find_tensor("token_embd.weight")->type, type->type);
    }
}

}  // namespace
}  // namespace puna::formats
