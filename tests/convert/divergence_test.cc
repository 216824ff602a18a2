// How far predictions are from those of a base: one prediction, and whole models, beside a reference that runs.
#include "convert/divergence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "convert/perplexity.h"
#include "support/model_session.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna::convert {
namespace {

using formats::BasePrediction;
using formats::KlBase;
using formats::KlBaseShape;
using formats::KlBaseWriter;
using support::must;
using testing::HasSubstr;

TEST(Divergence, TokensAtTheFloorAddNothing) {
    // Log-probabilities in the base: about 0 and, for the other, 20 less.
    std::vector<std::byte> row(KlBaseShape{.vocabulary = 2}.row_bytes());
    const float scale = 20.0F / 65535.0F;
    const float minimum = -20.0F;
    std::memcpy(row.data(), &scale, 4);
    std::memcpy(row.data() + 4, &minimum, 4);
    const std::uint16_t code = 65535;
    std::memcpy(row.data() + 8, &code, 2);
    const std::vector<float> logits = {0.0F, 0.0F};
    const Score score = score_prediction(logits, BasePrediction(row.data(), 2), 1);
    EXPECT_NEAR(score.divergence, std::log(2.0), 1e-4);
    EXPECT_NEAR(score.reference_loss, 20, 1e-4);
    EXPECT_TRUE(score.same_top);
}

class Recording : public testing::Test {
  protected:
    Recording() {
        for (std::int32_t i = 0; i < 70; ++i)
            tokens_.push_back(3 + i * 37 % 290);
    }
    PerplexityResult measure(const std::shared_ptr<const models::Model>& model, PerplexityPeers peers,
                             kernels::Activations activations = kernels::Activations::int16) {
        const auto evaluator = must(Evaluator::create(model, {.kernels = kernels_,
                                                              .activations = activations,
                                                              .pool = pool_.get(),
                                                              .batch_rows = options_.batch_rows,
                                                              .capacity_positions = perplexity_positions(options_)}));
        return must(measure_perplexity(*evaluator, peers, *pool_, tokens_, 1, options_, {}));
    }
    std::shared_ptr<const models::Model> model(const char* type) {
        return support::load_model(folder_.write(
            std::string(type) + ".gguf", support::tiny_model({.matrix_type = quant::find_type(type), .tied = false})));
    }

    support::TempFolder folder_;
    std::vector<TokenId> tokens_;
    PerplexityOptions options_ = {.chunk_tokens = 20, .batch_rows = 64};
    const kernels::KernelTable* kernels_ = must(kernels::select_kernels("auto"));
    std::unique_ptr<base::ThreadPool> pool_ = must(base::ThreadPool::create(2));
};

TEST_F(Recording, TellsWhatAReferenceBesideTells) {
    const auto plain = model("F16");
    const auto coarse = model("Q4_0");
    const std::string path = folder_.path("base.kld");
    for (const std::int64_t rows : {7, 64}) {  // the file is the same however the work is cut
        options_.batch_rows = rows;
        auto writer = must(KlBaseWriter::create(path, {20, 300, 3}, std::span(tokens_).first(60)));
        measure(plain, {.recording = &writer});
        ASSERT_TRUE(writer.commit().ok());
        const KlBase base = must(KlBase::open(path));
        const auto reference = must(Evaluator::create(plain, {.kernels = kernels_,
                                                              .pool = pool_.get(),
                                                              .batch_rows = options_.batch_rows,
                                                              .capacity_positions = perplexity_positions(options_)}));
        const auto exact = measure(coarse, {.reference = reference.get()});
        const auto found = measure(coarse, {.base = &base});
        EXPECT_EQ(found.perplexity, exact.perplexity);
        EXPECT_GT(exact.divergence->mean.value, 1e-4);
        EXPECT_NEAR(found.divergence->mean.value, exact.divergence->mean.value, 3e-5);
        EXPECT_NEAR(found.divergence->mean.error, exact.divergence->mean.error, 3e-5);
        EXPECT_NEAR(found.divergence->reference.value / exact.divergence->reference.value, 1, 1e-4);
        EXPECT_NEAR(found.divergence->log_ratio.value, exact.divergence->log_ratio.value, 1e-4);
        EXPECT_NEAR(found.divergence->log_ratio.error, exact.divergence->log_ratio.error, 1e-4);
        EXPECT_NEAR(found.divergence->correlation, exact.divergence->correlation, 1e-3);
        EXPECT_NEAR(found.divergence->p_change_rms.value, exact.divergence->p_change_rms.value, 1e-5);
        EXPECT_EQ(found.divergence->same_top.value, exact.divergence->same_top.value);
        const auto self = measure(plain, {.base = &base});
        EXPECT_LT(std::abs(self.divergence->mean.value), 1e-5);
        EXPECT_EQ(self.divergence->same_top.value, 1.0);
    }
}

TEST_F(Recording, ABaseOfSomethingElseIsAnError) {
    const auto plain = model("F16");
    const std::vector<TokenId> tokens(10, 2);
    auto writer = must(KlBaseWriter::create(folder_.path("base.kld"), {5, 3, 2}, tokens));
    std::vector<std::byte> row(KlBaseShape{.vocabulary = 3}.row_bytes());
    formats::encode_base_prediction(std::vector<float>{1, 2, 3}, row.data());
    for (int i = 0; i < 4; ++i)
        must(writer.write(row));
    must(writer.commit());
    const KlBase base = must(KlBase::open(folder_.path("base.kld")));
    const auto evaluator = must(Evaluator::create(plain, {.kernels = kernels_,
                                                          .pool = pool_.get(),
                                                          .batch_rows = options_.batch_rows,
                                                          .capacity_positions = perplexity_positions(options_)}));
    const auto result = measure_perplexity(*evaluator, {.base = &base}, *pool_, tokens_, 1, options_, {});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(result.error().message, HasSubstr("3 tokens in its vocabulary; this one has 300"));
}

}  // namespace
}  // namespace puna::convert
