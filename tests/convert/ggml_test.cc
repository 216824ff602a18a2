// Models of the formats before GGUF (tools/make_ggml_fixtures.py) become GGUF: exactly where the target can hold it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "convert/models.h"
#include "convert/quantize.h"
#include "convert/verify.h"
#include "support/model_session.h"
#include "support/temp_file.h"
#include "support/test_data.h"

namespace puna::convert {
namespace {

using formats::FoundTensor;
using quant::TensorType;
using testing::HasSubstr;

class GgmlConversion : public testing::Test {
  protected:
    Result<WriteReport> write(const std::string& path, const QuantizeOptions& options = {}) {
        const auto pool = must(base::ThreadPool::create(2));
        auto plan = plan_quantization(must(formats::read_model_file(path)), options);
        if (!plan.ok()) return plan.error();
        return write_model(*plan, folder_.path("out.gguf"), *pool, {});
    }
    std::shared_ptr<const formats::ModelFile> convert(const std::string& path, const QuantizeOptions& options = {}) {
        report_ = must(write(path, options));
        return must(formats::read_model_file(folder_.path("out.gguf")));
    }
    static void expect_same_tensors(const formats::ModelFile& found, const formats::ModelFile& expected) {
        ASSERT_EQ(found.tensors.size(), expected.tensors.size());
        for (const FoundTensor& tensor : expected.tensors) {
            const FoundTensor* other = found.find_tensor(tensor.name);
            ASSERT_NE(other, nullptr) << tensor.name;
            EXPECT_EQ(other->type, tensor.type) << tensor.name;
            EXPECT_EQ(other->shape, tensor.shape) << tensor.name;
            EXPECT_TRUE(std::ranges::equal(other->parts[0].data, tensor.parts[0].data)) << tensor.name;
        }
    }
    support::TempFolder folder_;
    WriteReport report_;
};

TEST_F(GgmlConversion, EveryContainerBecomesTheSameGgufFile) {
    const auto expected = must(formats::read_model_file(support::model_data + "ggml/llama1_f16.gguf"));
    for (const char* name : {"llama1_f16.bin", "llama1_parts.bin"}) {
        const auto found = convert(support::model_data + "ggml/" + name);
        expect_same_tensors(*found, *expected);
        for (const auto& [key, value] : expected->metadata.values) {
            if (!key.starts_with("llama.")) continue;
            ASSERT_NE(found->metadata.find(key), nullptr) << key;
            EXPECT_EQ(*found->metadata.find(key), value) << key;
        }
        EXPECT_EQ(must(found->metadata.unsigned_integer("general.file_type")), 1U);
        EXPECT_EQ(found->vocabulary.tokens, expected->vocabulary.tokens);
        EXPECT_EQ(found->vocabulary.kinds, expected->vocabulary.kinds);
        EXPECT_EQ(found->vocabulary.bos, 1);
        EXPECT_EQ(found->vocabulary.eos, 2);
        EXPECT_TRUE(found->vocabulary.add_bos);
    }
}

TEST_F(GgmlConversion, BlocksAreTheOnesThatTheyWereMadeFrom) {
    const auto expected = must(formats::read_model_file(support::model_data + "ggml/quantized.gguf"));
    for (const char* name : {"quantized_ggjt1.bin", "quantized_ggjt2.bin", "quantized_ggjt3.bin"}) {
        for (const bool exact : {false, true}) {
            expect_same_tensors(*convert(support::model_data + "ggml/" + name, {.exact = exact}), *expected);
            EXPECT_EQ(report_.rounded_tensors, 0U);
        }
    }
}

/// A copy of the fixture whose first block of wq has the scale 0.1, which 16 bits do not hold.
std::string with_a_wide_scale(const support::TempFolder& folder, float scale = 0.1F) {
    std::ifstream in(support::model_data + "ggml/quantized_ggjt1.bin", std::ios::binary);
    std::string bytes{std::istreambuf_iterator<char>(in), {}};
    std::size_t at = bytes.find("attention.wq.weight") + 19;
    at = (at + 31) / 32 * 32;
    std::memcpy(bytes.data() + at, &scale, sizeof scale);
    return folder.write("wide.bin", std::string_view(bytes));
}

TEST_F(GgmlConversion, ScalesThatDoNotFitAreRoundedAndReported) {
    const std::string path = with_a_wide_scale(folder_);
    const auto found = convert(path);
    EXPECT_EQ(report_.rounded_tensors, 1U);
    // The nearest half of 0.1 is 0.0999755859375.
    const double given = 0.1F;
    EXPECT_DOUBLE_EQ(report_.largest_scale_error, (given - 0.0999755859375) / given);
    const FoundTensor& q = *found->find_tensor("blk.0.attn_q.weight");
    EXPECT_EQ(q.type, TensorType::Q4_0);
    EXPECT_EQ(q.parts[0].data[0], std::byte{0x66});
    EXPECT_EQ(q.parts[0].data[1], std::byte{0x2e});
}

TEST_F(GgmlConversion, ExactRefusesThemAndLeavesNoFile) {
    const std::string path = with_a_wide_scale(folder_);
    const auto result = write(path, {.exact = true});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::invalid_number);
    EXPECT_THAT(result.error().message, HasSubstr("'blk.0.attn_q.weight', from element 0 on: a scale does not fit"));
    EXPECT_FALSE(std::filesystem::exists(folder_.path("out.gguf")));
    EXPECT_EQ(write(path, {.mix = find_mix("F16"), .exact = true}).error().code, ErrorCode::invalid_argument);
}

TEST_F(GgmlConversion, Float32KeepsEveryValue) {
    const std::string path = with_a_wide_scale(folder_);
    const auto source = must(formats::read_model_file(path));
    const auto found = convert(path, {.mix = find_mix("F32"), .exact = true});
    const FoundTensor& from = *source->find_tensor("layers.0.attention.wq.weight");
    const FoundTensor& to = *found->find_tensor("blk.0.attn_q.weight");
    std::vector<float> expected(from.elements());
    quant::type_info(from.type).to_float(from.parts[0].data.data(), expected.data(), expected.size());
    ASSERT_EQ(to.type, TensorType::F32);
    EXPECT_EQ(std::memcmp(to.parts[0].data.data(), expected.data(), expected.size() * sizeof(float)), 0);
}

TEST_F(GgmlConversion, AScaleBeyond16BitsIsAnError) {
    const auto result = write(with_a_wide_scale(folder_, 1e6F));
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::invalid_number);
    EXPECT_THAT(result.error().message, HasSubstr("'blk.0.attn_q.weight'"));
    EXPECT_FALSE(std::filesystem::exists(folder_.path("out.gguf")));
}

TEST_F(GgmlConversion, QuantizedAgainOnlyWhereItIsAsked) {
    EXPECT_EQ(write(support::model_data + "ggml/quantized_ggjt1.bin", {.mix = find_mix("Q4_1")}).error().code,
              ErrorCode::invalid_argument);
    convert(support::model_data + "ggml/llama1_f16.bin", {.mix = find_mix("Q8_0")});
}

TEST_F(GgmlConversion, VerifyCountsTheElementsOfAllParts) {
    const auto pool = must(base::ThreadPool::create(2));
    const auto whole = must(formats::read_model_file(support::model_data + "ggml/llama1_f16.bin"));
    const auto parted = must(formats::read_model_file(support::model_data + "ggml/llama1_parts.bin"));
    const auto a = must(verify_model(*whole, *pool, {}));
    const auto b = must(verify_model(*parted, *pool, {}));
    EXPECT_TRUE(a.finite() && b.finite());
    EXPECT_EQ(b.files.size(), 2U);
    // Five vectors of 32 lie in both files.
    EXPECT_EQ(b.elements_scanned, a.elements_scanned + 5 * 32);
    EXPECT_EQ(b.files[0].tensors, 21U);
    EXPECT_EQ(b.files[1].tensors, 21U);
    EXPECT_EQ(a.files[0].trailing_bytes, 0U);
}

}  // namespace
}  // namespace puna::convert
