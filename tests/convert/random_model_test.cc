// Random models: their types, their sizes, and that they are models.
#include "convert/random_model.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <numeric>

#include "convert/evaluator.h"
#include "models/model.h"
#include "support/must.h"
#include "support/temp_file.h"

namespace puna::convert {
namespace {

using formats::FoundTensor;
using formats::ModelFile;
using support::must;
using testing::Each;
using testing::ElementsAreArray;
using testing::HasSubstr;

// Wide enough for the k-quants.
constexpr ModelShape small = {"small", 16, 256, 512, 8, 2, 400, 128, false, ""};

RandomModel make(const ModelShape& shape, std::string_view mix, bool pure = false, std::size_t threads = 2) {
    const auto pool = must(base::ThreadPool::create(threads));
    return must(make_random_model({.shape = shape, .mix = find_mix(mix), .pure = pure}, *pool));
}

std::string type_of(const ModelFile& file, std::string_view name) {
    const FoundTensor* tensor = file.find_tensor(name);
    return tensor == nullptr ? "none" : std::string(quant::type_info(tensor->type).name);
}

bool same_bytes(const FoundTensor& a, const FoundTensor& b) {
    return std::ranges::equal(a.parts.front().data, b.parts.front().data);
}

TEST(RandomModel, TypesAreThoseOfTheMix) {
    const RandomModel q4_0 = make(small, "Q4_0");
    EXPECT_EQ(type_of(*q4_0.file, "output.weight"), "Q6_K");
    EXPECT_EQ(type_of(*q4_0.file, "token_embd.weight"), "Q4_0");
    EXPECT_EQ(type_of(*q4_0.file, "blk.15.ffn_down.weight"), "Q4_0");
    EXPECT_EQ(type_of(*q4_0.file, "blk.3.attn_norm.weight"), "F32");

    const RandomModel q4_k = make(small, "Q4_K_M");
    EXPECT_EQ(type_of(*q4_k.file, "blk.0.ffn_down.weight"), "Q6_K");
    EXPECT_EQ(type_of(*q4_k.file, "blk.2.ffn_down.weight"), "Q4_K");
    EXPECT_EQ(type_of(*q4_k.file, "blk.15.attn_v.weight"), "Q6_K");

    const RandomModel pure = make(small, "Q4_K", true);
    for (const FoundTensor& tensor : pure.file->tensors) {
        EXPECT_EQ(quant::type_info(tensor.type).name, tensor.shape.size() == 1 ? "F32" : "Q4_K") << tensor.name;
    }
}

TEST(RandomModel, RowsThatATypeDoesNotDivideFallBack) {
    ModelShape narrow = small;
    narrow.embedding = 288;
    narrow.heads = narrow.kv_heads = 6;
    const RandomModel model = make(narrow, "Q4_K_M");
    EXPECT_EQ(type_of(*model.file, "blk.2.ffn_gate.weight"), "Q5_0");  // 288 columns
    EXPECT_EQ(type_of(*model.file, "blk.2.ffn_down.weight"), "Q4_K");  // 512
}

TEST(RandomModel, BytesDependOnTheSpecAlone) {
    const RandomModel one = make(small, "Q4_K_M", false, 1);
    const RandomModel three = make(small, "Q4_K_M", false, 3);
    ASSERT_EQ(one.file->tensors.size(), three.file->tensors.size());
    for (std::size_t i = 0; i < one.file->tensors.size(); ++i) {
        EXPECT_TRUE(same_bytes(one.file->tensors[i], three.file->tensors[i])) << one.file->tensors[i].name;
    }
    EXPECT_FALSE(
        same_bytes(*one.file->find_tensor("blk.3.attn_q.weight"), *one.file->find_tensor("blk.4.attn_q.weight")));
}

TEST(RandomModel, WeightsKeepTheSizeOfWhatTheyMultiply) {
    const RandomModel model = make(small, "F32");
    const FoundTensor& down = *model.file->find_tensor("blk.1.ffn_down.weight");
    std::vector<float> values(down.elements());
    quant::type_info(down.type).to_float(down.parts.front().data.data(), values.data(), values.size());
    double sum = 0;
    double squares = 0;
    for (const float value : values) {
        sum += value;
        squares += static_cast<double>(value) * value;
    }
    const auto n = static_cast<double>(values.size());
    EXPECT_NEAR(sum / n, 0, 0.001);
    EXPECT_NEAR(squares / n, 1.0 / 512, 0.02 / 512);
}

TEST(RandomModel, IsAModel) {
    const RandomModel random = make(small, "Q4_K_M");
    const auto model = must(models::create_model(random.file));
    EXPECT_EQ(model->dimensions().layers, 16);
    EXPECT_EQ(model->dimensions().vocabulary, 400);
    const auto pool = must(base::ThreadPool::create(2));
    const auto evaluator =
        must(Evaluator::create(model, {.kernels = &kernels::default_kernels(), .pool = pool.get(), .batch_rows = 8}));
    nn::Batch batch;
    const std::int32_t sequence = evaluator->cache().add_sequence();
    ASSERT_TRUE(evaluator->cache().reserve(sequence, 8).ok());
    for (int i = 0; i < 8; ++i)
        batch.add(10 + i, i, sequence, i == 7);
    const std::span<const float> logits = must(evaluator->forward(batch));
    EXPECT_TRUE(std::ranges::all_of(logits, [](float v) { return std::isfinite(v); }));
    EXPECT_TRUE(std::ranges::any_of(logits, [](float v) { return std::abs(v) > 0.01F; }));
}

TEST(RandomModel, AFileHoldsWhatMemoryHolds) {
    const support::TempFolder folder;
    const std::string path = folder.path("random.gguf");
    const RandomModel random = make(small, "Q5_K_M");
    ASSERT_TRUE(write_random_model(random, path).ok());
    const auto file = must(formats::read_model_file(path));
    EXPECT_EQ(file->file_bytes, random.file->file_bytes);
    EXPECT_EQ(std::filesystem::file_size(path), file->file_bytes);
    ASSERT_EQ(file->tensors.size(), random.file->tensors.size());
    for (std::size_t i = 0; i < file->tensors.size(); ++i) {
        const FoundTensor& read = file->tensors[i];
        const FoundTensor& made = random.file->tensors[i];
        EXPECT_EQ(read.name, made.name);
        EXPECT_EQ(read.type, made.type);
        EXPECT_EQ(read.shape, made.shape);
        EXPECT_TRUE(same_bytes(read, made)) << made.name;
    }
    EXPECT_EQ(file->vocabulary.tokens, random.file->vocabulary.tokens);
    EXPECT_EQ(file->vocabulary.kinds, random.file->vocabulary.kinds);
    EXPECT_EQ(file->vocabulary.scores, random.file->vocabulary.scores);
    EXPECT_EQ(file->vocabulary.eos, random.file->vocabulary.eos);
    EXPECT_EQ(must(file->metadata.unsigned_integer("general.file_type")), 17U);  // as the format numbers Q5_K_M
    EXPECT_TRUE(models::create_model(file).ok());
}

TEST(RandomModel, NamedShapesHaveTheSizesOfTheirModels) {
    // Parameters as the models' authors publish them, in millions.
    const std::map<std::string_view, double> published = {{"15m", 15.2}, {"135m", 134.5}, {"1b", 1100},
                                                          {"3b", 3213},  {"7b", 6738},    {"8b", 8030}};
    for (const ModelShape& shape : named_shapes()) {
        const std::uint64_t d = shape.embedding;
        const std::uint64_t kv = shape.kv_heads * d / shape.heads;
        const std::uint64_t layer = 2 * d * d + 2 * d * kv + 3 * d * shape.feed_forward;
        const double all = static_cast<double>(shape.layers * layer + (shape.tied ? 1 : 2) * shape.vocabulary * d);
        ASSERT_TRUE(published.contains(shape.name)) << shape.name;
        EXPECT_NEAR(all / 1e6, published.at(shape.name), published.at(shape.name) * 0.005) << shape.name;
    }
}

TEST(RandomModel, NamesAreParsed) {
    const RandomModelSpec spec = must(parse_random_model("1b:q4_0"));
    EXPECT_EQ(spec.shape.embedding, 2048U);
    EXPECT_EQ(spec.mix->name, "Q4_0");
    EXPECT_FALSE(spec.pure);
    EXPECT_TRUE(must(parse_random_model("135m:pure:Q4_K")).pure);

    const auto hint_of = [](std::string_view text) { return parse_random_model(text).error().hint; };
    EXPECT_THAT(hint_of("2b:Q4_0"), HasSubstr("135m, 1b"));
    for (const char* text : {"1b", "1b:", "1b:Q9", "1b:pure", "1b:pure:", "1b:PURE:Q4_0", "1b:Q4_0:"}) {
        EXPECT_THAT(hint_of(text), HasSubstr("Q4_K_M")) << text;
    }
    EXPECT_EQ(parse_random_model("").error().code, ErrorCode::invalid_argument);
}

TEST(RandomModel, TooLargeForTheMachineIsAnError) {
    ModelShape huge = small;
    huge.vocabulary = 1 << 12;
    huge.embedding = 1 << 20;
    huge.feed_forward = 1 << 22;
    huge.layers = 4096;
    const auto pool = must(base::ThreadPool::create(1));
    const auto made = make_random_model({.shape = huge, .mix = find_mix("F32"), .pure = false}, *pool);
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code, ErrorCode::out_of_memory);
}

TEST(RandomModel, StopsWhenAsked) {
    const auto pool = must(base::ThreadPool::create(1));
    const RandomModelSpec spec = {.shape = small, .mix = find_mix("Q4_0"), .pure = false};
    int asked = 0;
    const auto soon = [&asked] { return ++asked == 3; };
    EXPECT_EQ(make_random_model(spec, *pool, soon).error().code, ErrorCode::cancelled);

    const support::TempFolder folder;
    asked = 0;
    EXPECT_EQ(write_random_model(make(small, "Q4_0"), folder.path("random.gguf"), soon).error().code,
              ErrorCode::cancelled);
    EXPECT_TRUE(std::filesystem::is_empty(folder.path("")));
}

}  // namespace
}  // namespace puna::convert
