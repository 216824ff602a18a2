// Factors of whole matrices, as files with NVFP4 have them.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "support/model_session.h"
#include "support/must.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna::models {
namespace {

using support::must;

constexpr const char* matrices[] = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};

class Factors : public testing::Test {
  protected:
    static std::vector<float> logits_of(const std::string& path, kernels::Activations activations) {
        support::ModelSession session(support::load_model(path),
                                      {.activations = activations, .kv = kernels::KvType::f16});
        const std::vector<std::int32_t> tokens = {3, 141, 59, 265, 35, 89, 79, 32, 38, 46};
        return session.evaluate(session.cache().add_sequence(), tokens, 4).values;
    }

    support::TempFolder folder_;
};

// A power of two: a model whose weights are multiplied by it gives the same bits.
TEST_F(Factors, AreThoseOfTheWeights) {
    constexpr float factor = 0.25F;
    const support::TinyModelOptions options = {.tied = false};
    const auto plain = must(formats::read_model_file(folder_.write("plain.gguf", support::tiny_model(options))));
    auto beside = support::tiny_model_builder(options);
    auto multiplied = support::tiny_model_builder(options);
    std::vector<std::string> stems = {"output"};
    for (const char* matrix : matrices)
        stems.push_back(fmt::format("blk.1.{}", matrix));
    for (std::size_t i = 0; i < stems.size(); ++i) {
        const std::string name = stems[i] + ".weight";
        // Two names are in use.
        beside.f32_tensor(i % 2 == 0 ? stems[i] + ".scale" : name + ".scale", {1}, {factor});
        const formats::FoundTensor* tensor = plain->find_tensor(name);
        std::vector<float> values(tensor->elements());
        std::memcpy(values.data(), tensor->parts.at(0).data.data(), values.size() * sizeof(float));
        for (float& value : values)
            value *= factor;
        multiplied.remove_tensor(name);
        multiplied.f32_tensor(name, {tensor->shape[1], tensor->shape[0]}, values);
    }
    const std::string with = folder_.write("with.gguf", beside.build().bytes);
    const std::string without = folder_.write("without.gguf", multiplied.build().bytes);
    for (const kernels::Activations kind : {kernels::Activations::float32, kernels::Activations::int16}) {
        const std::vector<float> expected = logits_of(without, kind);
        EXPECT_EQ(logits_of(with, kind), expected);
        EXPECT_NE(logits_of(folder_.path("plain.gguf"), kind), expected);
    }
}

// What lies beside it for activations of fewer bits is not used.
TEST_F(Factors, OfQuantizedMatricesAreAppliedToo) {
    const support::TinyModelOptions options = {
        .feed_forward = 128, .matrix_type = quant::find_type("NVFP4"), .tied = false};
    const std::string plain = folder_.write("plain.gguf", support::tiny_model(options));
    auto builder = support::tiny_model_builder(options);
    builder.f32_tensor("output.scale", {1}, {0.5F});
    builder.f32_tensor("output.input_scale", {1}, {7.0F});
    std::vector<float> expected = logits_of(plain, kernels::Activations::int16);
    for (float& logit : expected)
        logit *= 0.5F;
    EXPECT_EQ(logits_of(folder_.write("with.gguf", builder.build().bytes), kernels::Activations::int16), expected);
}

}  // namespace
}  // namespace puna::models
