// Importance matrices: what goes in, and what quantizing makes of them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "convert/collect_imatrix.h"
#include "convert/perplexity.h"
#include "convert/quantize.h"
#include "support/model_session.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna::convert {
namespace {

using formats::add_imatrix;
using formats::FoundTensor;
using formats::Imatrix;
using formats::ImatrixEntry;
using formats::read_imatrix;
using formats::write_imatrix;
using support::must;
using testing::HasSubstr;

std::vector<float> values_of(const FoundTensor& tensor) {
    std::vector<float> values(tensor.elements());
    quant::type_info(tensor.type).to_float(tensor.parts.front().data.data(), values.data(), values.size());
    return values;
}

class Collecting : public testing::Test {
  protected:
    Collecting() : model_(support::load_model(folder_.write("model.gguf", support::tiny_model()))) {
        for (std::int32_t i = 0; i < 70; ++i)
            tokens_.push_back(3 + i * 37 % 290);
    }
    Imatrix collect(ImatrixOptions options, Imatrix matrix = {}, std::size_t threads = 2) {
        const auto pool = must(base::ThreadPool::create(threads));
        ImatrixCollector collector(model_->file(), options.with_head, matrix);
        const auto evaluator = must(Evaluator::create(
            model_, {.kernels = must(kernels::select_kernels("auto")),
                     .activations = kernels::Activations::float32,
                     .pool = pool.get(),
                     .batch_rows = options.batch_rows,
                     .capacity_positions = perplexity_positions({.chunk_tokens = 16, .batch_rows = options.batch_rows}),
                     .observer = &collector}));
        const auto result = collect_imatrix(*evaluator, collector, {tokens_, 1, 16}, options,
                                            [](std::int64_t, std::int64_t) { return Result<void>(); });
        if (!result.ok()) throw std::runtime_error(result.error().message);
        return matrix;
    }

    support::TempFolder folder_;
    std::shared_ptr<const models::Model> model_;
    std::vector<TokenId> tokens_;
};

TEST_F(Collecting, TheFirstLayerSeesItsNormedEmbeddings) {
    const Imatrix matrix = collect({});
    const FoundTensor& embedding = *model_->file().find_tensor("token_embd.weight");
    const auto rows = values_of(embedding);
    const auto norm = values_of(*model_->file().find_tensor("blk.0.attn_norm.weight"));
    std::vector<double> expected(64);
    for (std::size_t i = 0; i < 64; ++i) {  // 4 chunks of 16 tokens
        const std::size_t token = i % 16 == 0 ? 1 : static_cast<std::size_t>(tokens_[i]);
        double mean = 0;
        for (std::size_t c = 0; c < 64; ++c)
            mean += std::pow(double{rows[token * 64 + c]}, 2) / 64;
        for (std::size_t c = 0; c < 64; ++c)
            expected[c] += std::pow(rows[token * 64 + c] / std::sqrt(mean + 1e-5) * norm[c], 2);
    }
    for (const char* name : {"blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight"}) {
        const ImatrixEntry& entry = matrix.entries.at(name);
        ASSERT_EQ(entry.columns(), 64U);
        EXPECT_EQ(entry.rows, std::vector<double>{64});
        for (std::size_t c = 0; c < 64; ++c)
            EXPECT_NEAR(entry.squares[c] / expected[c], 1, 1e-5) << name << ", column " << c;
    }
    EXPECT_EQ(matrix.entries.size(), 14U);  // seven in each of two layers
    EXPECT_EQ(matrix.entries.at("blk.1.ffn_down.weight").columns(), 96U);
    EXPECT_EQ(collect({.with_head = true}).entries.at("token_embd.weight").rows, std::vector<double>{64});
}

TEST_F(Collecting, DoesNotDependOnStepsAndThreads) {
    const Imatrix one = collect({.batch_rows = 512});
    for (const std::int64_t rows : {1, 5, 16, 40}) {
        const Imatrix other = collect({.batch_rows = rows}, {}, 1);
        for (const auto& [name, entry] : one.entries)
            EXPECT_EQ(other.entries.at(name).squares, entry.squares) << name << ", " << rows;
    }
}

TEST_F(Collecting, GoesOnWhereItEnded) {
    const Imatrix whole = collect({});
    const Imatrix parts = collect({.first_chunk = 3}, collect({.chunks = 3}));
    for (const auto& [name, entry] : whole.entries) {
        EXPECT_EQ(parts.entries.at(name).squares, entry.squares) << name;
        EXPECT_EQ(parts.entries.at(name).rows, entry.rows) << name;
    }
    EXPECT_THROW(collect({.chunks = 1}, {}, 0), std::runtime_error);
    tokens_.resize(15);
    EXPECT_THROW(collect({}), std::runtime_error);
}

TEST_F(Collecting, TheFileHoldsIt) {
    Imatrix matrix = collect({});
    matrix.datasets = {"a.txt", "b.txt"};
    matrix.texts = {{"d1", "a.txt", 3}, {"d2", "b.txt", 1}};
    matrix.chunks = 4;
    matrix.chunk_tokens = 16;
    const std::string path = folder_.path("imatrix.gguf");
    ASSERT_TRUE(write_imatrix(matrix, path).ok());
    const Imatrix again = must(read_imatrix(path));
    EXPECT_EQ(again.datasets, matrix.datasets);
    EXPECT_EQ(again.chunks, 4U);
    EXPECT_EQ(again.chunk_tokens, 16U);
    ASSERT_EQ(again.texts.size(), 2U);
    EXPECT_EQ(again.texts[0].sha256, "d1");
    EXPECT_EQ(again.texts[0].chunks, 3U);
    ASSERT_EQ(again.entries.size(), matrix.entries.size());
    for (const auto& [name, entry] : matrix.entries) {
        EXPECT_EQ(again.entries.at(name).rows, entry.rows);
        for (std::size_t i = 0; i < entry.squares.size(); ++i)
            EXPECT_FLOAT_EQ(static_cast<float>(again.entries.at(name).squares[i]),
                            static_cast<float>(entry.squares[i]));
    }
    // As llama-quantize reads it.
    const auto file = must(formats::read_model_file(path));
    EXPECT_EQ(must(file->metadata.string("general.type")), "imatrix");
    EXPECT_EQ(file->find_tensor("blk.0.attn_q.weight.in_sum2")->shape, std::vector<std::uint64_t>{64});
    EXPECT_EQ(file->find_tensor("blk.0.attn_q.weight.counts")->shape, std::vector<std::uint64_t>{1});
}

TEST_F(Collecting, MatricesAddUp) {
    const Imatrix whole = collect({});
    Imatrix sum = collect({.chunks = 1});
    ASSERT_TRUE(add_imatrix(sum, collect({.first_chunk = 1})).ok());
    for (const auto& [name, entry] : whole.entries) {
        for (std::size_t i = 0; i < entry.squares.size(); ++i)
            EXPECT_NEAR(sum.entries.at(name).squares[i] / entry.squares[i], 1, 1e-12);
        EXPECT_EQ(sum.entries.at(name).rows, entry.rows);
    }
    Imatrix other;
    other.entries["blk.0.attn_q.weight"] = {std::vector<double>(32), {1}};
    EXPECT_EQ(add_imatrix(sum, other).error().code, ErrorCode::invalid_argument);
}

TEST_F(Collecting, QuantizesByIt) {
    const auto matrix = std::make_shared<const Imatrix>(collect({}));
    const auto source = must(formats::read_model_file(folder_.path("model.gguf")));
    const auto pool = must(base::ThreadPool::create(2));
    const auto quantize = [&](std::shared_ptr<const Imatrix> by, const char* name) {
        const auto plan = must(plan_quantization(source, {.mix = find_mix("Q4_0"), .imatrix = std::move(by)}));
        must(write_model(plan, folder_.path(name), *pool, {}));
        return plan;
    };
    const QuantizePlan plan = quantize(matrix, "by.gguf");
    quantize(nullptr, "even.gguf");
    int by = 0;
    int missing = 0;
    for (const PlannedTensor& tensor : plan.tensors) {
        by += tensor.importance != nullptr ? 1 : 0;
        missing += tensor.misses_importance ? 1 : 0;
    }
    EXPECT_EQ(by, 14);
    EXPECT_EQ(missing, 0);  // the head is Q6_K -> Q8_0, which leaves no choice
    const auto by_file = must(formats::read_model_file(folder_.path("by.gguf")));
    const auto even_file = must(formats::read_model_file(folder_.path("even.gguf")));
    EXPECT_EQ(*must(by_file->metadata.unsigned_integer("quantize.imatrix.entries_count")), 14U);
    for (const auto& [name, entry] : matrix->entries) {
        const auto exact = values_of(*source->find_tensor(name));
        const auto a = values_of(*by_file->find_tensor(name));
        const auto b = values_of(*even_file->find_tensor(name));
        const auto importance = entry.importance(entry.columns());
        double error = 0;
        double even_error = 0;
        for (std::size_t i = 0; i < exact.size(); ++i) {
            const double w = importance[i % entry.columns()];
            error += w * std::pow(exact[i] - a[i], 2);
            even_error += w * std::pow(exact[i] - b[i], 2);
        }
        EXPECT_LT(error, even_error) << name;
    }
    auto wrong = std::make_shared<Imatrix>(*matrix);
    wrong->entries["blk.0.attn_q.weight"] = {std::vector<double>(32, 1), {1}};
    const auto refused = plan_quantization(source, {.mix = find_mix("Q4_0"), .imatrix = wrong});
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(refused.error().message, HasSubstr("of another model"));
}

}  // namespace
}  // namespace puna::convert
