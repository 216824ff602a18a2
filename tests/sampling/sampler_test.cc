#include "sampling/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "base/rng.h"
#include "sampling/drawing.h"

namespace puna::sampling {
namespace {

using ::testing::AnyOf;

TEST(Greedy, TakesTheLowestIdAmongEquals) {
    EXPECT_EQ(sample_once(greedy(), {1, 3, 2, 3}), 1);
    EXPECT_EQ(sample_once(greedy(), {-inf, -inf, -5}), 2);
    EXPECT_EQ(sample_once(greedy(), {0.0F, -0.0F}), 0);
}

TEST(Greedy, TopKAndTopPChangeNothing) {
    SamplingOptions options = greedy();
    options.top_k = 1;
    options.top_p = 0.1F;
    EXPECT_EQ(sample_once(options, {3, 3, 1}), 0);
}

TEST(Bias, IsAddedToTheLogitAtAnyTemperature) {
    SamplingOptions options = greedy();
    options.logit_bias = {{2, 2.5F}, {0, -1.0F}};
    EXPECT_EQ(sample_once(options, {3, 2.25F, 0}), 2);  // 2, 2.25, 2.5
    options.logit_bias = {{0, -inf}};
    EXPECT_EQ(sample_once(options, {3, 2, 1}), 1);
    options = plain();
    options.logit_bias = {{1, 1000.0F}};
    EXPECT_EQ(reachable(options, {0, 0, 0}), std::set<TokenId>{1});
}

TEST(Bias, ThatOverflowsStaysFinite) {
    SamplingOptions options = plain();
    options.logit_bias = {{1, 3e38F}};
    EXPECT_EQ(sample_once(options, {0, 3e38F, 1}), 1);
}

TEST(RepeatPenalty, DividesPositiveAndMultipliesNegativeLogits) {
    SamplingOptions options = greedy();
    options.repeat_penalty = 2;
    EXPECT_EQ(sample_once(options, {4, 2.5F, 0}, {0}), 1);        // 2, 2.5
    EXPECT_EQ(sample_once(options, {4, 1.5F, 0}, {0}), 0);        // 2, 1.5
    EXPECT_EQ(sample_once(options, {-1, -1.5F, -3}, {0}), 1);     // -2, -1.5
    EXPECT_EQ(sample_once(options, {-1, -2.5F, -3}, {0}), 0);     // -2, -2.5
    EXPECT_EQ(sample_once(options, {4, 2.5F, 0}, {0, 0, 0}), 1);  // once, not three times:
    EXPECT_EQ(sample_once(options, {4, 1.5F, 0}, {0, 0, 0}), 0);
}

TEST(RepeatPenalty, UnderOneFavoursRepetition) {
    SamplingOptions options = greedy();
    options.repeat_penalty = 0.5F;
    EXPECT_EQ(sample_once(options, {3, 2, 0}, {1}), 1);  // 3, 4
}

TEST(RepeatPenalty, LooksBackOnTheLastTokensAlone) {
    SamplingOptions options = greedy();
    options.repeat_penalty = 100;
    options.repeat_last_n = 2;
    const std::vector<float> logits = {5, 4, 3, 2};
    EXPECT_EQ(sample_once(options, logits, {0, 1}), 2);
    EXPECT_EQ(sample_once(options, logits, {0, 1, 3}), 0);  // 0 has left the window
    EXPECT_EQ(sample_once(options, logits, {0, 0, 1}), 2);  // one 0 has left, one is still there
    EXPECT_EQ(sample_once(options, logits, {0, 0, 1, 3}), 0);
    options.repeat_last_n = 0;
    EXPECT_EQ(sample_once(options, logits, {0, 1}), 0);
    options.repeat_last_n = std::numeric_limits<std::uint32_t>::max();  // "all of them" costs no memory
    EXPECT_EQ(sample_once(options, logits, {0, 1, 2}), 3);
}

TEST(RepeatPenalty, NeverMakesInfinities) {
    SamplingOptions options = plain();
    options.repeat_penalty = std::numeric_limits<float>::min();
    EXPECT_EQ(sample_once(options, {3e38F, 1}, {0}), 0);
    options.repeat_penalty = 3e38F;
    EXPECT_EQ(sample_once(options, {-3e38F, -inf}, {0, 1}), 0);
}

TEST(Order, BiasComesBeforeThePenalty) {
    SamplingOptions options = greedy();
    options.repeat_penalty = 2;
    options.logit_bias = {{0, 2.0F}};
    // Bias first: (2 + 2) / 2 = 2 < 2.5. Penalty first: 2 / 2 + 2 = 3 > 2.5.
    EXPECT_EQ(sample_once(options, {2, 2.5F}, {0}), 1);
}

TEST(Order, TopPIsTakenOfWhatTopKLeft) {
    SamplingOptions options = plain();
    options.top_k = 2;
    options.top_p = 0.6F;
    // Of {0.4, 0.2, 0.2, 0.2} the two best are 2/3 and 1/3: the first alone reaches 0.6, and of all four it would not.
    EXPECT_EQ(reachable(options, log_of({0.4, 0.2, 0.2, 0.2})), std::set<TokenId>{0});
}

TEST(Order, TemperatureComesAfterTheFilters) {
    SamplingOptions options = plain();
    options.temperature = 100;  // all but flat, which must not let more tokens through
    options.top_p = 0.5F;
    EXPECT_EQ(reachable(options, log_of({0.1, 0.6, 0.3})), std::set<TokenId>{1});
    options.top_p = 1;
    options.min_p = 0.4F;
    EXPECT_EQ(reachable(options, log_of({0.1, 0.6, 0.3})), (std::set<TokenId>{1, 2}));
}

TEST(TopK, KeepsTheBestLowestIdsAmongEquals) {
    SamplingOptions options = plain();
    options.top_k = 2;
    EXPECT_EQ(reachable(options, {1, 2, 2, 2, 0}), (std::set<TokenId>{1, 2}));
    options.top_k = 1;
    EXPECT_EQ(reachable(options, {1, 2, 2, 2, 0}), std::set<TokenId>{1});
    options.top_k = 5;
    EXPECT_EQ(reachable(options, {1, 2, 2, 2, 0}).size(), 5U);
    options.top_k = 4000000000U;
    EXPECT_EQ(reachable(options, {1, 2, 2, 2, 0}).size(), 5U);
}

TEST(TopP, KeepsTheSmallestSetThatReachesIt) {
    SamplingOptions options = plain();
    const std::vector<float> logits = log_of({0.2, 0.5, 0.3});
    options.top_p = 0.5F;
    EXPECT_EQ(reachable(options, logits), std::set<TokenId>{1});
    options.top_p = 0.51F;
    EXPECT_EQ(reachable(options, logits), (std::set<TokenId>{1, 2}));
    options.top_p = 0.8F;
    EXPECT_EQ(reachable(options, logits), (std::set<TokenId>{1, 2}));
    options.top_p = 0.81F;
    EXPECT_EQ(reachable(options, logits), (std::set<TokenId>{0, 1, 2}));
    options.top_p = std::numeric_limits<float>::denorm_min();
    EXPECT_EQ(reachable(options, logits), std::set<TokenId>{1});
}

TEST(TopP, TakesLowestIdsAmongEquals) {
    SamplingOptions options = plain();
    options.top_p = 0.5F;
    EXPECT_EQ(reachable(options, {1, 1, 1, 1}), (std::set<TokenId>{0, 1}));
}

TEST(MinP, IsRelativeToTheBest) {
    SamplingOptions options = plain();
    const std::vector<float> logits = log_of({0.1, 0.5, 0.24, 0.16});
    options.min_p = 0.4F;  // of 0.5: 0.2
    EXPECT_EQ(reachable(options, logits), (std::set<TokenId>{1, 2}));
    options.min_p = 1;
    EXPECT_EQ(reachable(options, logits), std::set<TokenId>{1});
}

TEST(IgnoreEnd, NeverSamplesAnEndToken) {
    SamplingOptions options = greedy();
    options.ignore_end = true;
    EXPECT_EQ(sample_once(options, {1, 9, 2, 8}, {}, {1, 3}), 2);
    options.logit_bias = {{1, 100.0F}};  // a bias does not bring it back
    EXPECT_EQ(sample_once(options, {1, 9, 2, 8}, {}, {1, 3}), 2);
    options.ignore_end = false;
    EXPECT_EQ(sample_once(options, {1, 9, 2, 8}, {}, {1, 3}), 1);
}

TEST(Mask, LeavesOnlyWhatIsAllowed) {
    std::vector<float> logits(150, 0.0F);
    logits[0] = 10;
    text::grammar::TokenMask allowed(logits.size());
    for (const TokenId id : {3, 63, 64, 127, 149})
        allowed.add(id);
    std::set<TokenId> seen;
    Sampler sampler(plain(), 3, {});
    for (int i = 0; i < 300; ++i)
        seen.insert(*sampler.sample(logits, &allowed));
    EXPECT_EQ(seen, (std::set<TokenId>{3, 63, 64, 127, 149}));
    Sampler greedy_one(greedy(), 3, {});
    EXPECT_EQ(*greedy_one.sample(logits, &allowed), 3);
    const text::grammar::TokenMask none(logits.size());
    EXPECT_FALSE(sampler.sample(logits, &none).ok());
}

TEST(Draw, FollowsTheCounterBasedStream) {
    // Cumulative in ascending id where no filter sorts: 0.125, 0.625, 0.75, 1; all exact.
    const std::vector<double> cumulative = {0.125, 0.625, 0.75, 1};
    const std::vector<float> logits = log_of({0.125, 0.5, 0.125, 0.25});
    Sampler sampler(plain(), 1234, {});
    int near_a_border = 0;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const double u = base::uniform_draw(1234, i);
        TokenId expected = 0;
        while (u >= cumulative[static_cast<std::size_t>(expected)])
            ++expected;
        for (const double border : cumulative)
            near_a_border += std::abs(u - border) < 1e-6 ? 1 : 0;
        EXPECT_EQ(*sampler.sample(logits), expected) << "draw " << i;
    }
    EXPECT_EQ(near_a_border, 0);  // else rounding of the logits could decide
}

TEST(Draw, DependsOnSeedAndIndexAlone) {
    const std::vector<float> flat(50, 0);
    const auto draw_100 = [&](std::uint64_t seed, const std::vector<float>& first_half) {
        Sampler sampler(plain(), seed, {});
        std::vector<TokenId> ids;
        for (int i = 0; i < 100; ++i) {
            const TokenId id = *sampler.sample(i < 50 ? first_half : flat);
            if (i >= 50) ids.push_back(id);
        }
        return ids;
    };
    EXPECT_EQ(draw_100(7, flat), draw_100(7, {1, -inf}));  // what earlier draws chose from does not matter
    EXPECT_NE(draw_100(7, flat), draw_100(8, flat));
}

TEST(Draw, HasTheRightDistribution) {
    const std::vector<double> p = {0.02, 0.08, 0.1, 0.15, 0.25, 0.4};
    // 99.9 % quantile of chi-square with 5 degrees of freedom: 20.5.
    EXPECT_LT(chi_square(count(plain(), log_of(p)), p), 20.5);

    SamplingOptions sorted = plain();  // through the sorting path
    sorted.top_k = 5;
    const std::vector<double> kept = {0, 0.08 / 0.98, 0.1 / 0.98, 0.15 / 0.98, 0.25 / 0.98, 0.4 / 0.98};
    EXPECT_LT(chi_square(count(sorted, log_of(p)), kept), 18.5);  // 4 degrees

    SamplingOptions cold = plain();
    cold.temperature = 0.5F;  // p^2, normalized
    double total = 0;
    for (const double q : p)
        total += q * q;
    std::vector<double> squared;
    for (const double q : p)
        squared.push_back(q * q / total);
    EXPECT_LT(chi_square(count(cold, log_of(p)), squared), 20.5);
}

TEST(Draw, SurvivesExtremeTemperaturesAndLogits) {
    SamplingOptions options = plain();
    options.temperature = std::numeric_limits<float>::denorm_min();
    EXPECT_EQ(reachable(options, {1, 2, 1.9999F}), std::set<TokenId>{1});
    options.temperature = std::numeric_limits<float>::max();
    EXPECT_EQ(reachable(options, {-3e38F, 3e38F, 0}), (std::set<TokenId>{0, 1, 2}));
    options.temperature = 1;
    EXPECT_EQ(reachable(options, {-3e38F, 3e38F, -inf}), std::set<TokenId>{1});
}

TEST(Sample, RefusesWhatIsNoNumber) {
    for (const SamplingOptions& options : {greedy(), plain()}) {
        for (const std::vector<float>& logits : {std::vector<float>{1, nan, 2}, {1, inf, 2}, {-inf, -inf}, {nan}, {}}) {
            Sampler sampler(options, 1, {});
            const auto id = sampler.sample(logits);
            ASSERT_FALSE(id.ok());
            EXPECT_EQ(id.error().code, ErrorCode::invalid_number);
            EXPECT_FALSE(id.error().message.empty());
        }
    }
}

TEST(Sample, TakesAVocabularyOfUsualSize) {
    std::vector<float> logits(150000);
    for (std::size_t i = 0; i < logits.size(); ++i) {
        logits[i] = static_cast<float>(base::uniform_draw(3, i)) * 20 - 10;
    }
    logits[149999] = 40;
    logits[7] = 39.5F;
    Sampler sampler({}, 1, {});  // the defaults
    for (int i = 0; i < 50; ++i)
        EXPECT_THAT(*sampler.sample(logits), AnyOf(7, 149999));
    Sampler all(plain(), 1, {});
    EXPECT_GE(*all.sample(logits), 0);
}

}  // namespace
}  // namespace puna::sampling
