// The measurement against a plain one: each chunk by itself, token by token, scored by the definition.
#include "convert/perplexity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "support/model_session.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna::convert {
namespace {

using support::must;

constexpr TokenId begin_token = 1;

std::vector<TokenId> random_tokens(std::size_t count) {
    std::mt19937_64 random(11);
    std::vector<TokenId> tokens;
    for (std::size_t i = 0; i < count; ++i) {
        tokens.push_back(static_cast<TokenId>(3 + random() % 297));
    }
    return tokens;
}

std::vector<double> log_softmax(std::span<const float> logits) {
    double sum = 0;
    const double max = *std::max_element(logits.begin(), logits.end());
    for (const float x : logits) {
        sum += std::exp(x - max);
    }
    std::vector<double> out;
    for (const float x : logits) {
        out.push_back(x - max - std::log(sum));
    }
    return out;
}

std::size_t first_choice(std::span<const double> values) {
    return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

class Perplexity : public testing::Test {
  protected:
    Perplexity()
        : model_(support::load_model(folder_.write(
              "tiny.gguf", support::tiny_model({.matrix_type = quant::find_type("Q4_0"), .tied = false})))) {}

    std::unique_ptr<Evaluator> evaluator(const PerplexityOptions& options, kernels::Activations activations,
                                         kernels::KvType kv_type) {
        return must(Evaluator::create(model_, {.kernels = kernels_,
                                               .activations = activations,
                                               .kv_type = kv_type,
                                               .pool = pool_.get(),
                                               .batch_rows = options.batch_rows,
                                               .capacity_positions = perplexity_positions(options)}));
    }

    Result<PerplexityResult> measure(const std::vector<TokenId>& tokens, const PerplexityOptions& options,
                                     std::optional<TokenId> begin = begin_token, bool with_reference = false,
                                     const PerplexityProgress& progress = {}) {
        const auto measured = evaluator(options, kernels::Activations::int16, kernels::KvType::f16);
        const auto reference = evaluator(options, kernels::Activations::float32, kernels::KvType::f32);
        return measure_perplexity(*measured, {.reference = with_reference ? reference.get() : nullptr}, *pool_, tokens,
                                  begin, options, progress);
    }

    /// Log-probabilities of all predictions of one chunk, [positions][vocabulary].
    std::vector<std::vector<double>> predictions(std::vector<TokenId> chunk, kernels::Activations activations,
                                                 kernels::KvType kv_type) {
        support::ModelSession session(model_, {.activations = activations, .kv = kv_type, .threads = 1});
        const support::Logits logits = session.evaluate(session.cache().add_sequence(), chunk, 1);
        std::vector<std::vector<double>> out;
        for (std::size_t row = 0; row < logits.rows(); ++row) {
            out.push_back(log_softmax(logits.row(row)));
        }
        return out;
    }

    support::TempFolder folder_;
    std::shared_ptr<const models::Model> model_;
    const kernels::KernelTable* kernels_ = must(kernels::select_kernels("auto"));
    std::unique_ptr<base::ThreadPool> pool_ = must(base::ThreadPool::create(2));
};

TEST_F(Perplexity, IsThatOfTheDefinition) {
    constexpr std::size_t c = 14;
    const std::vector<TokenId> tokens = random_tokens(3 * c + 9);  // the last chunk is not whole
    std::vector<double> losses;
    std::vector<double> divergences;
    int same = 0;
    for (std::size_t first = 0; first + c <= tokens.size(); first += c) {
        std::vector<TokenId> chunk(tokens.begin() + static_cast<std::ptrdiff_t>(first),
                                   tokens.begin() + static_cast<std::ptrdiff_t>(first + c));
        chunk.front() = begin_token;
        const auto q = predictions(chunk, kernels::Activations::int16, kernels::KvType::f16);
        const auto p = predictions(chunk, kernels::Activations::float32, kernels::KvType::f32);
        for (std::size_t position = 7; position <= 12; ++position) {  // c/2 ... c - 2: c/2 - 1 of them
            losses.push_back(-q[position][static_cast<std::size_t>(chunk[position + 1])]);
            double divergence = 0;
            for (std::size_t i = 0; i < p[position].size(); ++i) {
                divergence += std::exp(p[position][i]) * (p[position][i] - q[position][i]);
            }
            divergences.push_back(divergence);
            same += first_choice(p[position]) == first_choice(q[position]) ? 1 : 0;
        }
    }
    ASSERT_EQ(losses.size(), 18U);
    double mean = 0;
    for (const double loss : losses) {
        mean += loss / 18;
    }
    double variance = 0;  // of the sample, unbiased
    for (const double loss : losses) {
        variance += (loss - mean) * (loss - mean) / 17;
    }

    const PerplexityResult result = must(measure(tokens, {.chunk_tokens = c, .batch_rows = 64}, begin_token, true));
    EXPECT_EQ(result.chunks, 3);
    EXPECT_EQ(result.tokens_scored, 18);
    EXPECT_NEAR(result.perplexity / std::exp(mean), 1, 1e-12);
    EXPECT_NEAR(result.standard_error / (std::exp(mean) * std::sqrt(variance / 18)), 1, 1e-6);

    std::sort(divergences.begin(), divergences.end());
    double mean_divergence = 0;
    for (const double divergence : divergences) {
        mean_divergence += divergence / 18;
    }
    ASSERT_TRUE(result.divergence.has_value());
    EXPECT_NEAR(result.divergence->mean.value, mean_divergence, 1e-12);
    EXPECT_NEAR(result.divergence->kl[percentile_index(99)], 0.17 * divergences[16] + 0.83 * divergences[17],
                1e-12);  // place 0.99 * 17
    EXPECT_DOUBLE_EQ(result.divergence->same_top.value, same / 18.0);
}

TEST_F(Perplexity, OddChunksRoundTheirHalfDown) {
    const PerplexityResult result = must(measure(random_tokens(15), {.chunk_tokens = 15}));
    EXPECT_EQ(result.tokens_scored, 7);  // the logits at positions 7 ... 13
}

TEST_F(Perplexity, DoesNotDependOnTheBatch) {
    const std::vector<TokenId> tokens = random_tokens(100);
    const PerplexityResult one = must(measure(tokens, {.chunk_tokens = 20, .batch_rows = 1}));
    for (const std::int64_t rows : {3, 20, 64, 512}) {
        const PerplexityResult many = must(measure(tokens, {.chunk_tokens = 20, .batch_rows = rows}));
        EXPECT_EQ(many.perplexity, one.perplexity) << rows;
        EXPECT_EQ(many.standard_error, one.standard_error) << rows;
    }
}

TEST_F(Perplexity, BeginTokenReplacesTheFirstOfEachChunkAlone) {
    std::vector<TokenId> tokens = random_tokens(40);
    std::vector<TokenId> replaced = tokens;
    replaced[0] = begin_token;
    replaced[20] = begin_token;
    const PerplexityOptions options = {.chunk_tokens = 20};
    EXPECT_EQ(must(measure(tokens, options)).perplexity, must(measure(replaced, options, std::nullopt)).perplexity);
    EXPECT_NE(must(measure(tokens, options)).perplexity, must(measure(tokens, options, std::nullopt)).perplexity);
}

TEST_F(Perplexity, MeasuresNoMoreChunksThanAsked) {
    const std::vector<TokenId> tokens = random_tokens(100);
    const std::vector<TokenId> start(tokens.begin(), tokens.begin() + 40);
    const PerplexityResult two = must(measure(tokens, {.chunk_tokens = 20, .max_chunks = 2}));
    EXPECT_EQ(two.chunks, 2);
    EXPECT_EQ(two.perplexity, must(measure(start, {.chunk_tokens = 20})).perplexity);
}

TEST_F(Perplexity, TellsItsProgressAndStopsWhenAsked) {
    std::vector<std::int64_t> seen;
    const Result<PerplexityResult> result =
        measure(random_tokens(100), {.chunk_tokens = 20, .batch_rows = 20}, begin_token, false,
                [&](const PerplexityResult& so_far, std::int64_t all) {
                    EXPECT_EQ(all, 5);
                    EXPECT_GT(so_far.perplexity, 1);
                    seen.push_back(so_far.chunks);
                    return so_far.chunks < 3;
                });
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::cancelled);
    EXPECT_EQ(seen, (std::vector<std::int64_t>{1, 2, 3}));
}

TEST_F(Perplexity, ShortTextsAndChunksAreErrors) {
    EXPECT_EQ(measure(random_tokens(19), {.chunk_tokens = 20}).error().code, ErrorCode::text_too_short);
    EXPECT_EQ(measure({}, {.chunk_tokens = 20}).error().code, ErrorCode::text_too_short);
    EXPECT_EQ(measure(random_tokens(19), {.chunk_tokens = 2}).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace puna::convert
