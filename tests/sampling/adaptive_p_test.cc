#include "sampling/adaptive_p.h"

#include <gtest/gtest.h>

#include "sampling/drawing.h"

namespace puna::sampling {
namespace {

SamplingOptions adaptive(float target) {
    SamplingOptions options = plain();
    options.adaptive_target = target;
    return options;
}

// By hand, aim 0.5: distances 0 and 0.25 / 0.3 = 0.8333; logits 5 and 5 - 10 * 0.69444 / 1.83333 = 1.212121.
TEST(AdaptiveP, FavoursProbabilitiesNearTheTarget) {
    SamplerState state;
    Candidates candidates = candidates_of({0.5, 0.25, 0.25});
    EXPECT_EQ(draw_by_adaptive_p(candidates, adaptive(0.5F), 0, state), 0U);
    const auto found = probabilities(candidates);
    EXPECT_NEAR(found.at(0), 1 / (1 + 2 * std::exp(-3.787879)), 1e-6);
    EXPECT_NEAR(found.at(1), found.at(2), 1e-12);
}

TEST(AdaptiveP, AveragesWhatWasChosen) {
    SamplerState state;
    Candidates candidates = candidates_of({0.5, 0.25, 0.25});
    draw_by_adaptive_p(candidates, adaptive(0.5F), 0.99, state);  // token 2
    EXPECT_NEAR(state.adaptive_weight, 10, 1e-5);                 // as if 10 of the target's had come before
    EXPECT_NEAR(state.adaptive_sum, 0.25 + 0.9 * 5, 1e-5);
    // The average is 0.475 now, so 0.525 is aimed at: distances 0.08333, 0.91667; logits 4.93590, 0.61594.
    candidates = candidates_of({0.5, 0.25, 0.25});
    draw_by_adaptive_p(candidates, adaptive(0.5F), 0, state);
    const auto found = probabilities(candidates);
    EXPECT_NEAR(found.at(0) / found.at(1), std::exp(4.935897 - 0.615942), 1e-3);
    EXPECT_NEAR(state.adaptive_sum, 0.5 + 0.9 * 4.75, 1e-5);
}

TEST(AdaptiveP, SteersTheAverage) {
    const std::vector<double> p = {0.5, 0.2, 0.1, 0.1, 0.05, 0.05};
    double last = 0;
    for (const float target : {0.1F, 0.25F, 0.4F}) {
        Sampler sampler(adaptive(target), 3, {});
        double sum = 0;
        constexpr int tokens = 4000;
        for (int i = 0; i < tokens; ++i)
            sum += p[static_cast<std::size_t>(*sampler.sample(log_of(p)))];
        EXPECT_NEAR(sum / tokens, target, 0.06);
        EXPECT_GT(sum / tokens, last);
        last = sum / tokens;
    }
}

TEST(AdaptiveP, LeavesOutWhatMayNotCome) {
    SamplingOptions options = adaptive(0.01F);
    options.min_p = 0.3F;
    EXPECT_EQ(reachable(options, log_of({0.6, 0.3, 0.1})), (std::set<TokenId>{0, 1}));
}

TEST(AdaptiveP, GoesOnFromItsState) {
    const std::vector<float> logits = log_of({0.3, 0.25, 0.2, 0.15, 0.1});
    Sampler whole(adaptive(0.2F), 5, {});
    for (int i = 0; i < 20; ++i)
        ASSERT_TRUE(whole.sample(logits).ok());
    Sampler rest(adaptive(0.2F), 5, {});
    rest.set_state(whole.state());
    for (int i = 0; i < 50; ++i)
        EXPECT_EQ(*rest.sample(logits), *whole.sample(logits));
}

}  // namespace
}  // namespace puna::sampling
