// LLaMAs in the formats before GGUF (tools/make_ggml_fixtures.py): the same bits as from GGUF, whatever the container,
// the version's blocks and the number of files; what the files leave out; what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "support/model_session.h"
#include "support/temp_file.h"
#include "support/test_data.h"

namespace puna::models {
namespace {

using kernels::Activations;
using support::ModelSession;
using support::must;
using testing::HasSubstr;

std::vector<float> logits_of(const std::string& path, Activations activations = Activations::float32) {
    std::vector<std::int32_t> tokens;
    for (std::int32_t i = 0; i < 40; ++i)
        tokens.push_back(3 + i * 7919 % 280);
    ModelSession session(support::load_model(path), {.activations = activations, .kv = kernels::KvType::f16});
    return session.evaluate(session.cache().add_sequence(), tokens, 16).values;
}

TEST(GgmlContainers, GiveTheSameBits) {
    for (const Activations activations : {Activations::float32, Activations::int16}) {
        const auto expected = logits_of(support::model_data + "ggml/llama1_f16.gguf", activations);
        for (const char* name : {"llama1_f16.bin", "llama1_parts.bin", "llama1_parts.bin.1"})
            EXPECT_EQ(logits_of(support::model_data + "ggml/" + name, activations), expected) << name;
    }
}

/// Scales that 16 bits hold: the values are those of GGUF's blocks, which float32 activations meet as they are.
TEST(GgmlContainers, BlocksOfEveryVersionGiveTheSameBits) {
    const auto expected = logits_of(support::model_data + "ggml/quantized.gguf");
    for (const char* name : {"quantized_ggjt1.bin", "quantized_ggjt2.bin", "quantized_ggjt3.bin"})
        EXPECT_EQ(logits_of(support::model_data + "ggml/" + name), expected) << name;
    // Today's blocks are run by their own law; early ones are decoded, whatever is asked for.
    EXPECT_EQ(logits_of(support::model_data + "ggml/quantized_ggjt3.bin", Activations::int16),
              logits_of(support::model_data + "ggml/quantized.gguf", Activations::int16));
}

TEST(GgmlContainers, MatricesCutByColumnsAreCountedAndThoseCutByRowsStayInPlace) {
    const auto parted = support::load_model(support::model_data + "ggml/llama1_parts.bin");
    const auto whole = support::load_model(support::model_data + "ggml/llama1_f16.bin");
    EXPECT_EQ(whole->assembled_bytes(), 0U);
    // The embedding [288][32], and of two layers wo [32][32] and w2 [32][56], in F16.
    EXPECT_EQ(parted->assembled_bytes(), 2U * (288 * 32 + 2 * (32 * 32 + 32 * 56)));
    EXPECT_EQ(parted->file().find_tensor("layers.1.attention.wq.weight")->parts.size(), 2U);
    EXPECT_EQ(parted->file().find_tensor("layers.1.attention.wo.weight")->parts.size(), 1U);
    ASSERT_EQ(parted->file().tensors.size(), whole->file().tensors.size());
    for (const formats::FoundTensor& tensor : whole->file().tensors) {
        const formats::FoundTensor* same = parted->file().find_tensor(tensor.name);
        EXPECT_EQ(same->shape, tensor.shape) << tensor.name;
        EXPECT_EQ(same->elements(), tensor.elements()) << tensor.name;
    }
}

class GgmlChanged : public testing::Test {
  protected:
    /// A copy of a fixture with the 32 bits at `offset` replaced.
    std::string with(const std::string& name, std::size_t offset, std::int32_t value) {
        std::string bytes = read(name);
        std::memcpy(bytes.data() + offset, &value, sizeof value);
        return folder_.write("model.bin", std::string_view(bytes));
    }
    static std::string read(const std::string& name) {
        std::ifstream in(support::model_data + "ggml/" + name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    static Error error_of(const std::string& path, const formats::MissingValues& given = {}) {
        auto file = formats::read_model_file(path, given);
        if (!file.ok()) return file.error();
        const auto model = create_model(*file);
        return model.ok() ? Error{} : model.error();
    }
    support::TempFolder folder_;
};

TEST_F(GgmlChanged, WhatTheFileLeavesOutHasUsualValues) {
    const auto model = support::load_model(support::model_data + "ggml/llama1_f16.bin");
    EXPECT_EQ(model->dimensions().context, 2048);
    EXPECT_EQ(model->dimensions().kv_heads, 4);
    EXPECT_EQ(model->dimensions().feed_forward, 56);
}

TEST_F(GgmlChanged, ValuesThatAreGivenCount) {
    const std::string path = support::model_data + "ggml/llama1_f16.bin";
    const auto load = [&](const formats::MissingValues& given) {
        return must(create_model(must(formats::read_model_file(path, given))));
    };
    EXPECT_EQ(load({.context = 4096})->dimensions().context, 4096);
    const auto logits = [&](const formats::MissingValues& given) {
        ModelSession session(load(given), {});
        return session.evaluate(session.cache().add_sequence(), std::vector<std::int32_t>{5, 6, 7}, 8).values;
    };
    const auto usual = logits({});
    EXPECT_EQ(logits({.norm_epsilon = 1e-6, .rope_base = 10000.0, .kv_heads = 4}), usual);
    EXPECT_NE(logits({.norm_epsilon = 1e-3}), usual);
    EXPECT_NE(logits({.rope_base = 500.0}), usual);
    // Two heads of keys need matrices half as high: the flag is wrong, not the file.
    const Error two = error_of(path, {.kv_heads = 2});
    EXPECT_EQ(two.code, ErrorCode::invalid_argument);
    EXPECT_THAT(two.message, HasSubstr("--kv-heads is 2, but tensor 'layers.0.attention.wk.weight' has the rows of 4"));
    EXPECT_THAT(error_of(path, {.kv_heads = 3}).message, HasSubstr("'n_head_kv' is 3, and 4 heads cannot share"));
}

TEST_F(GgmlChanged, HyperParametersThatCannotBeAreNamed) {
    // GGML without version: n_vocab at 4, n_embd, n_mult, n_head, n_layer, n_rot.
    for (const auto& [offset, value, says] : {std::tuple{16, 3, "n_head"},
                                              {20, 3, "n_layer"},
                                              {20, 5000, "n_layer"},
                                              {24, 7, "n_rot"},
                                              {24, 10, "n_rot"}}) {
        const Error error = error_of(with("llama1_f16.bin", static_cast<std::size_t>(offset), value));
        EXPECT_EQ(error_code_name(error.code), "file_malformed") << says << ' ' << value;
        EXPECT_THAT(error.message, HasSubstr(says));
    }
    EXPECT_EQ(error_of(with("llama1_f16.bin", 20, 1)).code, ErrorCode::unsupported_architecture);
}

TEST_F(GgmlChanged, AFileThatEndsEarlyIsNamed) {
    const std::string bytes = read("llama1_f16.bin");
    const std::string cut = bytes.substr(0, bytes.find("layers.1.ffn_norm.weight") - 16);
    const Error error = error_of(folder_.write("cut.bin", std::string_view(cut)));
    EXPECT_EQ(error.code, ErrorCode::file_malformed);
    EXPECT_THAT(error.message, HasSubstr("'layers.1.ffn_norm.weight' is missing"));
    // Where the output matrix is missing, the embedding does not take its place.
    std::string without = bytes;
    without.replace(without.find("output.weight"), 6, "outpux");
    EXPECT_THAT(error_of(folder_.write("cut.bin", std::string_view(without))).message,
                HasSubstr("'output.weight' is missing"));
}

TEST_F(GgmlChanged, CopiesOfAVectorThatDifferAreAnError) {
    std::string second = read("llama1_parts.bin.1");
    const std::size_t at = second.find("norm.weight") + 11;
    second[at + 2] = static_cast<char>(second[at + 2] ^ 1);
    folder_.write("model.bin", std::string_view(read("llama1_parts.bin")));
    folder_.write("model.bin.1", std::string_view(second));
    EXPECT_THAT(error_of(folder_.path("model.bin")).message, HasSubstr("is not the same as in the first part"));
}

}  // namespace
}  // namespace puna::models
