// Sizes, digests and numbers that are none.
#include "convert/verify.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "convert/models.h"
#include "quant/tensor_type.h"
#include "store/sha256.h"
#include "support/tiny_model.h"

namespace puna::convert {
namespace {

using support::GgufBuilder;

class Verify : public testing::Test {
  protected:
    Result<Verification> verify(const std::vector<std::byte>& bytes, const VerifyProgress& progress = {}) {
        model_ = must(formats::read_model_file(folder_.write("model.gguf", bytes)));
        return verify_model(*model_, *pool_, progress);
    }

    static std::string digest(const std::vector<std::byte>& bytes) {
        auto sha = must(store::Sha256::create());
        sha.update(bytes);
        return must(sha.finish());
    }

    support::TempFolder folder_;
    std::unique_ptr<base::ThreadPool> pool_ = must(base::ThreadPool::create(2));
    std::shared_ptr<const formats::ModelFile> model_;
};

TEST_F(Verify, AGoodModel) {
    const auto bytes = support::tiny_model();
    std::uint64_t last = 0;
    const auto found = must(verify(bytes, [&](std::uint64_t done, std::uint64_t all) {
        EXPECT_LE(done, all);
        last = done;
        return true;
    }));
    EXPECT_EQ(last, bytes.size());
    ASSERT_EQ(found.files.size(), 1U);
    EXPECT_EQ(found.files[0].bytes, bytes.size());
    EXPECT_EQ(found.files[0].tensors, 20U);
    EXPECT_EQ(found.files[0].trailing_bytes, 0U);
    EXPECT_EQ(found.files[0].sha256, digest(bytes));
    EXPECT_TRUE(found.finite());
    EXPECT_TRUE(found.not_scanned.empty());
    std::uint64_t elements = 0;
    for (const auto& tensor : model_->tensors)
        elements += tensor.elements();
    EXPECT_EQ(found.elements_scanned, elements);
}

TEST_F(Verify, FindsNumbersThatAreNone) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float infinity = std::numeric_limits<float>::infinity();
    std::vector<float> large(100'000, 1.0F);  // several pieces
    large[70'001] = nan;
    large[99'999] = -infinity;
    std::vector<double> doubles = {1e300, 2.0};  // finite, though no float holds it
    std::vector<std::byte> wide(16);
    std::memcpy(wide.data(), doubles.data(), 16);
    std::vector<std::byte> block(34);  // Q8_0 under an infinite scale
    block[1] = std::byte{0x7c};
    block[5] = std::byte{1};
    std::vector<std::byte> unknown(18);
    const auto image =
        GgufBuilder()
            .string("general.architecture", "llama")
            .f32_tensor("large", {100'000}, large)
            .tensor("doubles", {2}, static_cast<std::uint32_t>(quant::TensorType::F64), wide)
            .tensor("block", {32}, static_cast<std::uint32_t>(quant::TensorType::Q8_0), block)
            .tensor("integers", {4}, static_cast<std::uint32_t>(quant::TensorType::I8), std::vector<std::byte>(4))
            .tensor("bits", {128}, static_cast<std::uint32_t>(quant::TensorType::Q1_0), unknown)
            .build();
    const auto found = must(verify(image.bytes));
    ASSERT_EQ(found.non_finite.size(), 2U);
    EXPECT_EQ(found.non_finite[0].tensor->name, "large");
    EXPECT_EQ(found.non_finite[0].nans, 1U);
    EXPECT_EQ(found.non_finite[0].infinities, 1U);
    EXPECT_EQ(found.non_finite[0].first, 70'001U);
    EXPECT_EQ(found.non_finite[1].tensor->name, "block");
    EXPECT_EQ(found.non_finite[1].infinities, 1U);
    EXPECT_EQ(found.non_finite[1].nans, 31U);  // infinity times zero
    EXPECT_EQ(found.non_finite[1].first, 0U);
    ASSERT_EQ(found.not_scanned.size(), 1U);
    EXPECT_EQ(found.files[0].sha256, digest(image.bytes));
}

TEST_F(Verify, CountsBytesThatNobodyReads) {
    auto bytes = support::tiny_model();
    bytes.resize(bytes.size() + 1000);
    const auto found = must(verify(bytes));
    EXPECT_EQ(found.files[0].trailing_bytes, 1000U);
    EXPECT_EQ(found.files[0].sha256, digest(bytes));
}

TEST_F(Verify, SharedBytesGoIntoTheDigestOnce) {
    const auto bytes = support::tiny_model();
    auto model = *must(formats::read_model_file(folder_.write("model.gguf", bytes)));
    model.tensors.push_back(model.tensors.front());  // as a format may have it whose tensors are views
    model.tensors.back().name = "again";
    const auto found = must(verify_model(model, *pool_, {}));
    EXPECT_EQ(found.files[0].sha256, digest(bytes));
    EXPECT_EQ(found.files[0].tensors, 21U);
}

TEST_F(Verify, EveryShard) {
    const auto model = must(formats::read_model_file(PUNA_TEST_DATA "/formats/data/gguf_py-00002-of-00003.gguf"));
    const auto found = must(verify_model(*model, *pool_, {}));
    ASSERT_EQ(found.files.size(), 3U);
    EXPECT_TRUE(found.files[0].path.ends_with("-00001-of-00003.gguf"));
    std::uint64_t tensors = 0;
    for (const auto& file : found.files)
        tensors += file.tensors;
    EXPECT_EQ(tensors, model->tensors.size());
}

TEST_F(Verify, StopsWhenAsked) {
    const auto stopped = verify(support::tiny_model(), [](std::uint64_t done, std::uint64_t) { return done == 0; });
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace puna::convert
