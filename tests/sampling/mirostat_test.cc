#include "sampling/mirostat.h"

#include <gtest/gtest.h>

#include "sampling/drawing.h"

namespace puna::sampling {
namespace {

SamplingOptions mirostat(std::uint32_t version, float tau) {
    SamplingOptions options = plain();
    options.mirostat = version;
    options.mirostat_tau = tau;
    return options;
}

/// p_i ~ i^-s for i from 1 to n.
std::vector<double> zipf(int n, double s) {
    std::vector<double> p;
    double total = 0;
    for (int i = 1; i <= n; ++i)
        total += std::pow(i, -s);
    for (int i = 1; i <= n; ++i)
        p.push_back(std::pow(i, -s) / total);
    return p;
}

// Surprises 1, 2, 3, 4, 4 bits. mu begins at 2.5: tokens 0 and 1 stay, 2/3 to 1/3.
TEST(Mirostat2, CutsByTheSurpriseAndSteersIt) {
    const std::vector<double> p = {0.5, 0.25, 0.125, 0.0625, 0.0625};
    const auto draw = [&](double uniform, std::optional<double>& mu) {
        Candidates candidates = candidates_of(p);
        const std::size_t drawn = draw_by_mirostat(candidates, mirostat(2, 1.25F), uniform, mu);
        return std::pair(candidates.list()[drawn].id, candidates.list().size());
    };
    std::optional<double> mu;
    EXPECT_EQ(draw(0, mu), std::pair(0, std::size_t{2}));
    EXPECT_NEAR(*mu, 2.5 - 0.1F * (1 - 1.25), 1e-6);
    mu.reset();
    EXPECT_EQ(draw(0.9, mu), std::pair(1, std::size_t{2}));
    EXPECT_NEAR(*mu, 2.5 - 0.1F * (2 - 1.25), 1e-6);
    mu = 3.5;
    EXPECT_EQ(draw(0.9, mu).second, 3U);
    for (const double low : {0.5, -1000.0, -1e300}) {
        mu = low;
        EXPECT_EQ(draw(0.9, mu), std::pair(0, std::size_t{1})) << low;  // one always stays
    }
    mu = 1e300;
    EXPECT_EQ(draw(0.9999, mu), std::pair(4, std::size_t{5}));
}

// s = 2 exactly, N = 1000: k = round((2^mu / (1 - 1/1000))^(1/2)) + 1.
TEST(Mirostat1, EstimatesHowManyToKeep) {
    const auto kept = [](double s, double mu) {
        Candidates candidates = candidates_of(zipf(1000, s));
        std::optional<double> state = mu;
        draw_by_mirostat(candidates, mirostat(1, 3), 0, state);
        return candidates.list().size();
    };
    EXPECT_EQ(kept(2, 10), 33U);  // 32.016
    EXPECT_EQ(kept(2, 6), 9U);    // 8.004
    EXPECT_EQ(kept(2, 0), 2U);
    EXPECT_EQ(kept(2, -1e300), 1U);
    EXPECT_EQ(kept(2, 1e300), 1000U);
    // s = 1 + 1e-12 is the limit: 2^mu / ln 1000 = 1024 / 6.9078 = 148.2.
    EXPECT_NEAR(static_cast<double>(kept(1, 10)), 149, 1);
}

TEST(Mirostat1, StandsWhatHasNoExponent) {
    std::optional<double> mu;
    Candidates flat = candidates_of({0.25, 0.25, 0.25, 0.25});
    EXPECT_EQ(draw_by_mirostat(flat, mirostat(1, 3), 0.9, mu), 3U);
    Candidates one = candidates_of({1.0});
    EXPECT_EQ(draw_by_mirostat(one, mirostat(1, 3), 0.9, mu), 0U);
    Candidates sure;
    sure.assign(std::vector<float>{3e38F, -3e38F, 0});
    EXPECT_EQ(draw_by_mirostat(sure, mirostat(1, 3), 0.9, mu), 0U);
    EXPECT_TRUE(std::isfinite(*mu));
}

// What it is for. The average surprise differs from tau by (first mu - last mu) / (eta tokens).
TEST(Mirostat, BringsTheAverageSurpriseToItsTarget) {
    const std::vector<double> p = zipf(2000, 1.2);
    for (const std::uint32_t version : {1U, 2U}) {
        for (const float tau : {3.0F, 5.0F}) {
            Sampler sampler(mirostat(version, tau), 11, {});
            double surprise = 0;
            constexpr int tokens = 4000;
            for (int i = 0; i < tokens; ++i)
                surprise -= std::log2(p[static_cast<std::size_t>(*sampler.sample(log_of(p)))]);
            EXPECT_NEAR(surprise / tokens, tau, 0.06) << version;
        }
    }
}

TEST(Mirostat, GoesOnFromItsState) {
    const std::vector<float> logits = log_of(zipf(500, 1.1));
    for (const std::uint32_t version : {1U, 2U}) {
        Sampler whole(mirostat(version, 3), 5, {});
        for (int i = 0; i < 20; ++i)
            ASSERT_TRUE(whole.sample(logits).ok());
        Sampler rest(mirostat(version, 3), 5, {});
        rest.set_state(whole.state());
        for (int i = 0; i < 20; ++i)
            EXPECT_EQ(*rest.sample(logits), *whole.sample(logits));
        EXPECT_EQ(rest.state().mirostat_mu, whole.state().mirostat_mu);
        EXPECT_EQ(rest.state().draws, 40U);
    }
}

}  // namespace
}  // namespace puna::sampling
