// Differences that were put there, found again with their numbers.
#include "convert/diff.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <vector>

#include "convert/models.h"
#include "quant/tensor_type.h"
#include "support/tiny_model.h"

namespace puna::convert {
namespace {

using support::GgufBuilder;
using support::GgufType;
using testing::HasSubstr;

class Diff : public testing::Test {
  protected:
    Result<ModelDifference> compare(const GgufBuilder& a, const GgufBuilder& b, bool weights = true,
                                    const DiffProgress& progress = {}) {
        a_ = on_file(folder_, "a.gguf", a);
        b_ = on_file(folder_, "b.gguf", b);
        return diff_models(*a_, *b_, weights, *pool_, progress);
    }

    support::TempFolder folder_;
    std::unique_ptr<base::ThreadPool> pool_ = must(base::ThreadPool::create(2));
    std::shared_ptr<const formats::ModelFile> a_;
    std::shared_ptr<const formats::ModelFile> b_;
};

template <typename T>
std::vector<std::byte> bytes_of_values(const std::vector<T>& values) {
    const auto bytes = std::as_bytes(std::span(values));
    return {bytes.begin(), bytes.end()};
}

TEST_F(Diff, AModelIsItself) {
    const auto builder = support::tiny_model_builder();
    const auto found = must(compare(builder, builder));
    EXPECT_TRUE(found.none());
}

TEST_F(Diff, MetadataAndVocabulary) {
    GgufBuilder a;
    a.string("general.architecture", "llama").u32("n", 4096).f32("epsilon", 1e-5F).u32("gone", 1).u32("width", 5);
    a.strings("tokenizer.ggml.tokens", {"<unk>", "a", "b"}).string("tokenizer.ggml.model", "llama");
    a.array<float>("tokenizer.ggml.scores", GgufType::f32, {0, -1, -2});
    a.array<std::int32_t>("tokenizer.ggml.token_type", GgufType::i32, {2, 1, 1}).u32("split.count", 0);
    GgufBuilder b = a;
    b.remove("gone").u32("n", 2048).string("new", "\x1b[0m").u64("width", 5).remove("split.count");
    b.strings("tokenizer.ggml.tokens", {"<unk>", "a", "c"});
    const auto found = must(compare(a, b));
    ASSERT_EQ(found.keys.size(), 5U);
    EXPECT_EQ(found.keys[0].key, "gone");
    EXPECT_EQ(found.keys[0].a, "u32 1");
    EXPECT_FALSE(found.keys[0].b.has_value());
    EXPECT_EQ(found.keys[1].key, "n");
    EXPECT_EQ(found.keys[1].a, "u32 4096");
    EXPECT_EQ(found.keys[1].b, "u32 2048");
    EXPECT_EQ(found.keys[2].b, "string \"\\x1B[0m\"");  // a terminal must not obey it
    EXPECT_EQ(found.keys[3].key, "tokenizer.ggml.tokens");
    EXPECT_EQ(found.keys[3].first, 2U);
    EXPECT_EQ(found.keys[3].b, "string[3], [2] is \"c\"");
    EXPECT_EQ(found.keys[4].key, "width");  // the same number in another type
    EXPECT_EQ(found.keys[4].b, "u64 5");
    EXPECT_TRUE(found.tensors.empty());
}

TEST_F(Diff, WeightsByValueWhateverTheirTypes) {
    std::vector<float> x(512);
    for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = static_cast<float>(i % 127) - 63.0F;
    std::vector<float> y = x;
    y[300] += 0.5F;
    y[7] -= 0.25F;
    double squares = 0;
    for (const float v : x)
        squares += double{v} * double{v};
    const std::vector<double> wide(x.begin(), x.end());
    std::vector<std::byte> q8(512 / 32 * 34);
    quant::find_type("Q8_0")->from_float(x.data(), q8.data(), x.size());
    std::vector<float> q8_values(x.size());
    quant::find_type("Q8_0")->to_float(q8.data(), q8_values.data(), x.size());
    double q8_largest = 0;
    for (std::size_t i = 0; i < x.size(); ++i)
        q8_largest = std::max(q8_largest, std::abs(double{x[i]} - double{q8_values[i]}));

    GgufBuilder a;
    a.string("general.architecture", "llama").f32_tensor("two", {256, 2}, x).f32_tensor("wide", {512}, x);
    a.f32_tensor("quantized", {512}, x).f32_tensor("turned", {256, 2}, x).f32_tensor("only a", {1}, {1});
    GgufBuilder b;
    b.string("general.architecture", "llama").f32_tensor("only b", {1}, {1}).f32_tensor("two", {256, 2}, y);
    b.tensor("wide", {512}, static_cast<std::uint32_t>(quant::TensorType::F64), bytes_of_values(wide));
    b.tensor("quantized", {512}, static_cast<std::uint32_t>(quant::TensorType::Q8_0), q8);
    b.f32_tensor("turned", {2, 256}, x);

    const auto found = must(compare(a, b));
    ASSERT_EQ(found.tensors.size(), 6U);
    EXPECT_EQ(found.tensors[0].a->name, "two");
    EXPECT_EQ(found.tensors[0].distance->elements_changed, 2U);
    EXPECT_EQ(found.tensors[0].distance->largest, 0.5);
    EXPECT_DOUBLE_EQ(found.tensors[0].distance->relative_rms, std::sqrt((0.25 + 0.0625) / squares));
    EXPECT_EQ(found.tensors[1].distance->elements_changed, 0U);  // the same numbers in F64
    EXPECT_EQ(found.tensors[1].distance->relative_rms, 0.0);
    EXPECT_EQ(found.tensors[2].distance->largest, q8_largest);
    EXPECT_FALSE(found.tensors[3].distance.has_value());  // another shape
    EXPECT_EQ(found.tensors[4].b, nullptr);
    EXPECT_EQ(found.tensors[5].a, nullptr);
    EXPECT_EQ(found.tensors[5].b->name, "only b");

    const auto forms = must(compare(a, b, /*weights=*/false));
    EXPECT_EQ(forms.tensors.size(), 5U);  // "two" differs in its weights alone
}

TEST_F(Diff, NumbersThatAreNone) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float infinity = std::numeric_limits<float>::infinity();
    GgufBuilder a;
    a.string("general.architecture", "llama").f32_tensor("same", {3}, {infinity, 1, 2});
    a.f32_tensor("nan", {3}, {nan, 1, 2});
    GgufBuilder b;
    b.string("general.architecture", "llama").f32_tensor("same", {3}, {infinity, 1, 2.5F});
    b.f32_tensor("nan", {3}, {0, 1, 2.5F});
    const auto found = must(compare(a, b));
    EXPECT_EQ(found.tensors[0].distance->largest, 0.5);
    EXPECT_EQ(found.tensors[1].distance->elements_changed, 2U);
    EXPECT_TRUE(std::isnan(found.tensors[1].distance->largest));
}

TEST_F(Diff, TellsItsProgressAndStopsWhenAsked) {
    const auto a = support::tiny_model_builder();
    const auto b = support::tiny_model_builder({.seed = 2});
    std::uint64_t last = 0;
    std::uint64_t whole = 0;
    must(compare(a, b, true, [&](std::uint64_t done, std::uint64_t all) {
        EXPECT_GE(done, last);
        last = done;
        whole = all;
        return true;
    }));
    EXPECT_EQ(last, whole);
    const auto stopped = compare(a, b, true, [](std::uint64_t done, std::uint64_t) { return done == 0; });
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(stopped.error().code, ErrorCode::cancelled);
}

}  // namespace
}  // namespace puna::convert
