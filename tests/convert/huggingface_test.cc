// Hugging Face folders turned into GGUF files: the same model, as GGUF tools expect it.
#include <gmock/gmock.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <utility>

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
    /// Of planning and writing.
    Error error_of(const std::string& path, const QuantizeOptions& options) {
        const auto plan = plan_quantization(must(formats::read_model_file(path)), options);
        if (!plan.ok()) return plan.error();
        const auto pool = must(base::ThreadPool::create(2));
        const auto written = write_model(*plan, folder_.path("refused.gguf"), *pool, {});
        return written.ok() ? Error{} : written.error();
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

// ---- --exact, where values decide ----

/// A copy of tiny_f64, whose numbers all fit F32, with another at the end of the first layer's queries. Their rows
/// stand in another order in a GGUF file, but for the last.
std::string with_a_wide_number(const support::TempFolder& folder, double number) {
    std::filesystem::copy(huggingface("tiny_f64"), folder.path("model"),
                          std::filesystem::copy_options::overwrite_existing | std::filesystem::copy_options::recursive);
    const auto source = must(formats::read_model_file(huggingface("tiny_f64")));
    const FoundTensor& q = *source->find_tensor("model.layers.0.self_attn.q_proj.weight");
    const auto all = source->mappings[0]->bytes();
    std::string bytes(reinterpret_cast<const char*>(all.data()), all.size());
    const auto end = static_cast<std::size_t>(q.parts[0].data.data() - all.data()) + q.parts[0].data.size();
    std::memcpy(bytes.data() + end - sizeof number, &number, sizeof number);
    folder.write("model/model.safetensors", std::string_view(bytes));
    return folder.path("model");
}

TEST_F(HuggingFaceTest, ExactNarrowingIsJudgedByTheValues) {
    const QuantizeOptions exact = {.mix = find_mix("F32"), .exact = true};
    const auto found = convert(huggingface("tiny_f64"), exact);
    EXPECT_EQ(found->find_tensor("blk.0.attn_q.weight")->type, TensorType::F32);
    EXPECT_EQ(logits(huggingface("tiny_f64"), kernels::Activations::float32),
              logits(folder_.path("out.gguf"), kernels::Activations::float32));
    // 0.1 to 53 bits is not 0.1 to 24.
    const Error rounded = error_of(with_a_wide_number(folder_, 0.1), exact);
    EXPECT_EQ(rounded.code, ErrorCode::invalid_number);
    EXPECT_THAT(rounded.message, testing::HasSubstr("tensor 'blk.0.attn_q.weight', element 1023 is 0.1, which F32 has "
                                                    "to round, and --exact asks that it does not"));
    EXPECT_EQ(rounded.hint.find("--type F32"), std::string::npos) << rounded.hint;
    EXPECT_FALSE(std::filesystem::exists(folder_.path("refused.gguf")));
    for (const double large : {1e300, -1e39}) {
        const Error error = error_of(with_a_wide_number(folder_, large), {.mix = find_mix("F32")});
        EXPECT_EQ(error.code, ErrorCode::invalid_number);
        EXPECT_THAT(error.message, testing::HasSubstr("too large for F32"));
        EXPECT_THAT(error.hint, testing::HasSubstr("F64"));
    }
    EXPECT_EQ(error_of(with_a_wide_number(folder_, 0.1), {.mix = find_mix("F32")}).message, "");
    EXPECT_EQ(error_of(with_a_wide_number(folder_, 0.1), {.exact = true}).message, "");  // it stays F64
}

TEST_F(HuggingFaceTest, SixteenBitsHoldWhatCameFromThem) {
    for (const auto& [name, type] : {std::pair("tiny_bf16", "BF16"), {"tiny_f16", "F16"}}) {
        const auto first = convert(huggingface(name), {.mix = find_mix("F32"), .exact = true});
        std::filesystem::copy_file(folder_.path("out.gguf"), folder_.path("wide.gguf"),
                                   std::filesystem::copy_options::overwrite_existing);
        const auto back = convert(folder_.path("wide.gguf"), {.mix = find_mix(type), .exact = true});
        const auto expected = convert(huggingface(name));
        for (const FoundTensor& tensor : back->tensors) {
            const FoundTensor& same = *expected->find_tensor(tensor.name);
            EXPECT_EQ(tensor.type, same.type) << tensor.name;
            EXPECT_TRUE(std::ranges::equal(tensor.parts[0].data, same.parts[0].data)) << tensor.name;
        }
    }
    // The last has the 11 bits of F16, and BF16 has 8.
    const Error error = error_of(folder_.path("wide.gguf"), {.mix = find_mix("BF16"), .exact = true});
    EXPECT_EQ(error.code, ErrorCode::invalid_number);
    EXPECT_THAT(error.message, testing::HasSubstr(", which BF16 has to round, and --exact asks that it does not"));
    EXPECT_THAT(error.hint, testing::HasSubstr("--type F32"));
    EXPECT_FALSE(std::filesystem::exists(folder_.path("refused.gguf")));
    const Error coded = error_of(folder_.path("wide.gguf"), {.mix = find_mix("Q8_0"), .exact = true});
    EXPECT_EQ(coded.code, ErrorCode::invalid_argument);
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
