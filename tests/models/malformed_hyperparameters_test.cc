// Files whose metadata and tensors are each well-formed, but contradict each other or name a model that cannot be:
// every one is refused with a typed error that names the field and its offset, before anything large is allocated.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <ostream>
#include <string>
#include <vector>

#include "formats/model_file.h"
#include "models/model.h"
#include "support/gguf_builder.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna::models {
namespace {

using support::GgufBuilder;
using ::testing::HasSubstr;

struct Contradiction {
    const char* name;
    std::function<void(GgufBuilder&)> change;  // made to a good file
    const char* field;                         // what the message must name
    ErrorCode code = ErrorCode::file_malformed;
};

void PrintTo(const Contradiction& contradiction, std::ostream* out) {
    *out << contradiction.name;
}

std::function<void(GgufBuilder&)> u32(const char* key, std::uint32_t value) {
    return [=](GgufBuilder& builder) { builder.u32(key, value); };
}
std::function<void(GgufBuilder&)> f32(const char* key, float value) {
    return [=](GgufBuilder& builder) { builder.f32(key, value); };
}
/// Replaces a tensor by an F32 one of another shape (innermost dimension first).
std::function<void(GgufBuilder&)> shaped(const char* name, const std::vector<std::uint64_t>& dimensions) {
    return [=](GgufBuilder& builder) {
        std::size_t elements = 1;
        for (const std::uint64_t n : dimensions)
            elements *= n;
        builder.remove_tensor(name).f32_tensor(name, dimensions, std::vector<float>(elements, 0.5F));
    };
}

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr const char* blocks = "llama.block_count";
constexpr const char* heads = "llama.attention.head_count";
constexpr const char* kv_heads = "llama.attention.head_count_kv";
constexpr const char* embedding = "llama.embedding_length";
constexpr const char* feed_forward = "llama.feed_forward_length";
constexpr const char* context = "llama.context_length";
constexpr const char* epsilon = "llama.attention.layer_norm_rms_epsilon";
constexpr const char* rope_base = "llama.rope.freq_base";
constexpr const char* rotated = "llama.rope.dimension_count";

// The good file: 2 blocks, embedding 64, feed-forward 96, 4 heads, 2 KV heads, 300 tokens.
const std::vector<Contradiction>& contradictions() {
    static const std::vector<Contradiction> list = {
        {"block_count_0", u32(blocks, 0), blocks},
        {"block_count_2_31", u32(blocks, 1U << 31), blocks},
        {"block_count_max", u32(blocks, ~0U), blocks},
        {"block_count_negative", [](GgufBuilder& b) { b.i32(blocks, -1); }, blocks},
        {"block_count_a_string", [](GgufBuilder& b) { b.string(blocks, "2"); }, blocks},
        {"heads_0", u32(heads, 0), heads},
        {"heads_not_dividing", u32(heads, 5), heads},
        {"heads_max", u32(heads, ~0U), heads},
        {"kv_heads_0", u32(kv_heads, 0), kv_heads},
        {"kv_heads_not_dividing", u32(kv_heads, 3), kv_heads},
        {"kv_heads_over_heads", u32(kv_heads, 8), kv_heads},
        {"embedding_0", u32(embedding, 0), embedding},
        {"embedding_max", u32(embedding, ~0U), embedding},
        {"feed_forward_0", u32(feed_forward, 0), feed_forward},
        {"feed_forward_max", u32(feed_forward, ~0U), feed_forward},
        {"context_0", u32(context, 0), context},
        {"context_over_2_31", u32(context, ~0U), context},
        {"epsilon_nan", f32(epsilon, nan), epsilon},
        {"epsilon_infinite", f32(epsilon, infinity), epsilon},
        {"epsilon_negative", f32(epsilon, -1e-5F), epsilon},
        {"epsilon_a_string", [](GgufBuilder& b) { b.string(epsilon, "1e-5"); }, epsilon},
        {"rope_base_nan", f32(rope_base, nan), rope_base},
        {"rope_base_0", f32(rope_base, 0), rope_base},
        {"rotated_odd", u32(rotated, 7), rotated},
        {"rotated_over_the_head", u32(rotated, 18), rotated},
        {"block_count_over_the_tensors", u32(blocks, 3), "blk.2."},
        {"embedding_of_other_width", shaped("token_embd.weight", {32, 300}), "token_embd.weight"},
        {"embedding_of_other_vocabulary", shaped("token_embd.weight", {64, 299}), "token_embd.weight"},
        {"embedding_a_vector", shaped("token_embd.weight", {64}), "token_embd.weight"},
        {"query_of_other_shape", shaped("blk.1.attn_q.weight", {64, 32}), "blk.1.attn_q.weight"},
        {"query_in_three_dimensions", shaped("blk.1.attn_q.weight", {64, 64, 2}), "blk.1.attn_q.weight"},
        {"key_of_other_shape", shaped("blk.0.attn_k.weight", {64, 64}), "blk.0.attn_k.weight"},
        {"value_of_other_shape", shaped("blk.0.attn_v.weight", {32, 64}), "blk.0.attn_v.weight"},
        {"gate_of_other_shape", shaped("blk.0.ffn_gate.weight", {64, 64}), "blk.0.ffn_gate.weight"},
        {"down_transposed", shaped("blk.0.ffn_down.weight", {64, 96}), "blk.0.ffn_down.weight"},
        {"norm_too_short", shaped("blk.0.attn_norm.weight", {63}), "blk.0.attn_norm.weight"},
        {"output_norm_too_long", shaped("output_norm.weight", {65}), "output_norm.weight"},
        {"output_of_other_shape", shaped("output.weight", {64, 1}), "output.weight"},
        {"a_type_that_does_not_compute",
         [](GgufBuilder& b) {
             b.remove_tensor("blk.0.attn_k.weight");
             b.tensor("blk.0.attn_k.weight", {64, 32}, 27, std::vector<std::byte>(std::size_t{8} * 64 * 32));  // I64
         },
         "blk.0.attn_k.weight", ErrorCode::unsupported_tensor_type},
        {"factors_of_a_matrix",
         [](GgufBuilder& builder) { builder.f32_tensor("blk.1.ffn_up.scale", {2}, {0.5F, 0.5F}); },
         "is no single factor of 'blk.1.ffn_up.weight'"},
        {"factor_infinite", [](GgufBuilder& builder) { builder.f32_tensor("blk.1.ffn_up.scale", {1}, {infinity}); },
         "is inf, no factor of 'blk.1.ffn_up.weight'"},
        {"factor_of_a_table", [](GgufBuilder& builder) { builder.f32_tensor("token_embd.scale", {1}, {0.5F}); },
         "is a factor of 'token_embd.weight'", ErrorCode::unsupported_tensor_type},
    };
    return list;
}

class MalformedHyperParametersTest : public ::testing::TestWithParam<Contradiction> {
  protected:
    Result<std::shared_ptr<const Model>> create(const GgufBuilder& builder) {
        auto file = formats::read_model_file(folder_.write("model.gguf", builder.build().bytes));
        if (!file.ok()) return file.error();
        return create_model(std::move(file).value());
    }

    support::TempFolder folder_;
};

TEST_P(MalformedHyperParametersTest, AreRefused) {
    GgufBuilder builder = support::tiny_model_builder();
    GetParam().change(builder);
    const auto model = create(builder);
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(error_code_name(model.error().code), error_code_name(GetParam().code));
    EXPECT_THAT(model.error().message, HasSubstr(GetParam().field));
    EXPECT_THAT(model.error().message, HasSubstr("(at byte "));
}

INSTANTIATE_TEST_SUITE_P(All, MalformedHyperParametersTest, ::testing::ValuesIn(contradictions()),
                         [](const auto& param) { return param.param.name; });

class HyperParametersTest : public MalformedHyperParametersTest {};

// Nothing lies at an offset where something is missing: the name is what there is to say.
TEST_F(HyperParametersTest, WhatIsMissingIsNamed) {
    for (const char* key : {blocks, heads, embedding, feed_forward, context, epsilon}) {
        const auto model = create(support::tiny_model_builder().remove(key));
        ASSERT_FALSE(model.ok()) << key;
        EXPECT_EQ(model.error().code, ErrorCode::file_malformed) << key;
        EXPECT_THAT(model.error().message, HasSubstr(key));
    }
    for (const char* tensor : {"token_embd.weight", "blk.1.ffn_up.weight", "output_norm.weight"}) {
        const auto model = create(support::tiny_model_builder().remove_tensor(tensor));
        ASSERT_FALSE(model.ok()) << tensor;
        EXPECT_EQ(model.error().code, ErrorCode::file_malformed) << tensor;
        EXPECT_THAT(model.error().message, HasSubstr(tensor));
    }
}

TEST_F(HyperParametersTest, TheFileThatTheyAreMadeOfIsGood) {
    const auto model = create(support::tiny_model_builder());
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_EQ((*model)->dimensions().layers, 2);
    EXPECT_EQ((*model)->dimensions().vocabulary, 300);
    const auto untied = create(support::tiny_model_builder({.tied = false}));
    EXPECT_TRUE(untied.ok());
}

}  // namespace
}  // namespace puna::models
