// Hugging Face folders turned into GGUF files: the same model, as GGUF tools expect it.
#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "convert/quantize.h"
#include "support/model_session.h"
#include "support/temp_file.h"
#include "support/test_data.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::convert {
namespace {

using formats::FoundTensor;
using formats::ModelFile;
using quant::TensorType;
using support::must;

std::string huggingface(const std::string& name) {
    return support::model_data + "huggingface/" + name;
}

class HuggingFaceTest : public testing::Test {
  protected:
    std::shared_ptr<const ModelFile> convert(const std::string& path, const QuantizeOptions& options = {},
                                             std::size_t threads = 2) {
        const QuantizePlan plan = must(plan_quantization(must(formats::read_model_file(path)), options));
        const auto pool = must(base::ThreadPool::create(threads));
        must(write_model(plan, folder_.path("out.gguf"), *pool, {}));
        return must(formats::read_model_file(folder_.path("out.gguf")));
    }
    static std::vector<float> logits(const std::string& path, kernels::Activations activations) {
        const std::vector<std::int32_t> tokens = {5, 17, 200, 31, 4, 90, 120, 7, 7, 66, 270, 3};
        support::ModelSession session(support::load_model(path), {.activations = activations});
        return session.evaluate(session.cache().add_sequence(), tokens, 5).values;
    }
    support::TempFolder folder_;
};

/// Every tensor of the converted file is the one that `make_oracle.py` wrote, to the byte: names, shapes, the order of
/// rows, the divisors of RoPE's frequencies.
TEST_F(HuggingFaceTest, TensorsAreThoseOfTheGgufFile) {
    for (const char* name : {"tiny_llama1", "tiny_llama3", "tiny_linear_rope", "tiny_mistral"}) {
        SCOPED_TRACE(name);
        const auto expected = must(formats::read_model_file(support::model_data + name + ".gguf"));
        const auto found = convert(huggingface(name));
        ASSERT_EQ(found->tensors.size(), expected->tensors.size());
        for (const FoundTensor& tensor : expected->tensors) {
            const FoundTensor* other = found->find_tensor(tensor.name);
            ASSERT_NE(other, nullptr) << tensor.name;
            EXPECT_EQ(other->type, tensor.type);
            EXPECT_EQ(other->shape, tensor.shape);
            EXPECT_TRUE(std::ranges::equal(other->parts[0].data, tensor.parts[0].data)) << tensor.name;
        }
    }
}

TEST_F(HuggingFaceTest, HyperParametersAreThoseOfTheGgufFile) {
    for (const char* name : {"tiny_llama1", "tiny_llama3", "tiny_linear_rope", "tiny_mistral"}) {
        SCOPED_TRACE(name);
        const auto expected = must(formats::read_model_file(support::model_data + name + ".gguf"));
        const auto found = convert(huggingface(name));
        for (const auto& [key, value] : expected->metadata.values) {
            if (!key.starts_with("llama.")) continue;
            const formats::MetadataValue* other = found->metadata.find(key);
            ASSERT_NE(other, nullptr) << key;
            EXPECT_EQ(*other, value) << key;
            EXPECT_EQ(found->metadata.stored_types.at(key), expected->metadata.stored_types.at(key)) << key;
        }
        EXPECT_EQ(must(found->metadata.string("general.architecture")), "llama");
        EXPECT_EQ(must(found->metadata.string("general.name")), name);
        EXPECT_EQ(must(found->metadata.unsigned_integer("general.file_type")), 0U);
    }
}

TEST_F(HuggingFaceTest, TheVocabularyIsThatOfTheGgufFile) {
    const auto expected = must(formats::read_model_file(support::model_data + "tiny_llama1.gguf"))->vocabulary;
    const auto found = convert(huggingface("tiny_llama1"))->vocabulary;
    EXPECT_EQ(found.family, expected.family);
    EXPECT_EQ(found.tokens, expected.tokens);
    EXPECT_EQ(found.scores, expected.scores);
    EXPECT_EQ(found.kinds, expected.kinds);
    EXPECT_EQ(found.bos, expected.bos);
    EXPECT_EQ(found.eos, expected.eos);
    EXPECT_EQ(found.unk, expected.unk);
    EXPECT_EQ(found.add_bos, expected.add_bos);
    EXPECT_EQ(found.add_eos, expected.add_eos);
    EXPECT_EQ(found.add_space_prefix, expected.add_space_prefix);
    EXPECT_EQ(found.remove_extra_whitespaces, expected.remove_extra_whitespaces);
    EXPECT_EQ(found.eot, 260);  // of generation_config.json
    EXPECT_EQ(found.chat_template, "{% for m in messages %}{{ m['content'] }}{% endfor %}");
}

TEST_F(HuggingFaceTest, TheConvertedFileGivesTheSameBits) {
    for (const char* name :
         {"tiny_llama1", "tiny_llama3", "tiny_linear_rope", "tiny_mistral", "tiny_bf16", "tiny_f16"}) {
        convert(huggingface(name));
        for (const auto activations : {kernels::Activations::float32, kernels::Activations::int16}) {
            EXPECT_EQ(logits(huggingface(name), activations), logits(folder_.path("out.gguf"), activations)) << name;
        }
    }
}

/// F16 holds all that F8 does, and its products are float32's as well.
TEST_F(HuggingFaceTest, EightBitFloatsBecomeF16WithoutLoss) {
    for (const char* name : {"tiny_f8_e4m3", "tiny_f8_e5m2"}) {
        const auto found = convert(huggingface(name));
        EXPECT_EQ(found->find_tensor("blk.0.ffn_down.weight")->type, TensorType::F16);
        EXPECT_EQ(found->find_tensor("blk.0.attn_norm.weight")->type, TensorType::F32);
        EXPECT_EQ(must(found->metadata.unsigned_integer("general.file_type")), 1U);
        EXPECT_EQ(logits(huggingface(name), kernels::Activations::int16),
                  logits(folder_.path("out.gguf"), kernels::Activations::int16));
    }
}

TEST_F(HuggingFaceTest, VectorsBecomeF32AndMatricesKeepTheirType) {
    const auto found = convert(huggingface("tiny_bf16"));
    for (const FoundTensor& tensor : found->tensors)
        EXPECT_EQ(tensor.type, tensor.shape.size() < 2 ? TensorType::F32 : TensorType::BF16) << tensor.name;
    EXPECT_EQ(must(found->metadata.unsigned_integer("general.file_type")), 32U);
}

TEST_F(HuggingFaceTest, AMixIsTheSameAsFromTheGgufFile) {
    const QuantizeOptions options = {.mix = find_mix("Q8_0")};
    const auto expected = convert(support::model_data + "tiny_llama1.gguf", options);
    std::map<std::string, std::vector<std::byte>> tensors;
    for (const FoundTensor& tensor : expected->tensors)
        tensors[tensor.name] = {tensor.parts[0].data.begin(), tensor.parts[0].data.end()};
    const auto found = convert(huggingface("tiny_llama1"), options);
    ASSERT_EQ(found->tensors.size(), tensors.size());
    for (const FoundTensor& tensor : found->tensors)
        EXPECT_TRUE(std::ranges::equal(tensor.parts[0].data, tensors.at(tensor.name))) << tensor.name;
}

TEST_F(HuggingFaceTest, TheFileIsTheSameForAnyNumberOfThreads) {
    std::string first;
    for (const std::size_t threads : {1U, 3U}) {
        convert(huggingface("tiny_mistral"), {.mix = find_mix("Q4_0")}, threads);
        std::ifstream file(folder_.path("out.gguf"), std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(file), {}};
        if (first.empty()) first = bytes;
        EXPECT_TRUE(bytes == first);
    }
}

TEST_F(HuggingFaceTest, WhatCannotBeRunIsNotConverted) {
    std::filesystem::copy(huggingface("tiny_llama3"), folder_.path("model"));
    folder_.write("model/tokenizer.json", std::string_view(R"({"model":{"type":"WordPiece"}})"));
    auto plan = plan_quantization(must(formats::read_model_file(folder_.path("model"))), {});
    ASSERT_FALSE(plan.ok());
    EXPECT_EQ(plan.error().code, ErrorCode::unsupported_tokenizer);
    EXPECT_THAT(plan.error().message, testing::HasSubstr("WordPiece"));
    std::filesystem::remove(folder_.path("model/config.json"));
    plan = plan_quantization(must(formats::read_model_file(folder_.path("model"))), {});
    ASSERT_FALSE(plan.ok());
    EXPECT_EQ(plan.error().code, ErrorCode::unsupported_architecture);
}

}  // namespace
}  // namespace puna::convert
