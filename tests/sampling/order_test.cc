// The steps' order, and that each finds what the ones before it left.
#include <gtest/gtest.h>

#include <algorithm>

#include "sampling/check_options.h"
#include "sampling/drawing.h"

namespace puna::sampling {
namespace {

using enum SamplingStep;
using Ids = std::set<TokenId>;

TEST(Order, OfTemperatureAndTopP) {
    SamplingOptions options = plain();
    options.temperature = 0.5F;  // {0.6, 0.3, 0.1} becomes {0.783, 0.196, 0.022}
    options.top_p = 0.7F;
    EXPECT_EQ(reachable(options, log_of({0.6, 0.3, 0.1})), (Ids{0, 1}));
    options.samplers = {temperature, top_p};
    EXPECT_EQ(reachable(options, log_of({0.6, 0.3, 0.1})), Ids{0});
}

TEST(Order, OfTopKAndTopP) {
    SamplingOptions options = plain();
    options.top_k = 2;
    options.top_p = 0.6F;
    options.samplers = {top_p, top_k};  // {0.4, 0.2} reach 0.6 of all; of the two best, the first does
    EXPECT_EQ(reachable(options, log_of({0.4, 0.2, 0.2, 0.2})), (Ids{0, 1}));
    options.samplers = {top_k, top_p};
    EXPECT_EQ(reachable(options, log_of({0.4, 0.2, 0.2, 0.2})), Ids{0});
}

TEST(Order, OfPenaltiesAndTopK) {
    for (const float heat : {0.0F, 1.0F}) {
        SamplingOptions options = plain();
        options.temperature = heat;
        options.top_k = 1;
        options.presence_penalty = 10;
        EXPECT_EQ(sample_once(options, {3, 2, 1}, {0}), 1);
        options.samplers = {top_k, penalties, temperature};
        EXPECT_EQ(sample_once(options, {3, 2, 1}, {0}), 0);
    }
}

TEST(Order, OfXtcAndMinP) {
    SamplingOptions options = plain();
    options.xtc_probability = 1;
    options.xtc_threshold = 0.3F;
    options.min_p = 0.4F;
    // Min-p drops 0.1 and 0.05 first, then the top choice goes. XTC first: 0.35 is the best, and 0.14 the bar.
    EXPECT_EQ(reachable(options, log_of({0.5, 0.35, 0.1, 0.05})), Ids{1});
    options.samplers = {xtc, min_p};
    options.min_p = 0.2F;
    EXPECT_EQ(reachable(options, log_of({0.5, 0.35, 0.1, 0.05})), (Ids{1, 2}));
    options.samplers = {min_p, xtc};
    EXPECT_EQ(reachable(options, log_of({0.5, 0.35, 0.09, 0.06})), Ids{1});
}

TEST(Order, StepsThatAreNotNamedDoNotRun) {
    SamplingOptions options;
    options.samplers = {top_k};
    options.top_k = 3;
    EXPECT_EQ(reachable(options, log_of({0.97, 0.01, 0.01, 0.01})), (Ids{0, 1, 2}));  // no top-p
    // 0.97 to 0.01, not sharpened by the temperature's default.
    const double n = 0.99;
    EXPECT_LT(chi_square(count(options, log_of({0.97, 0.01, 0.01, 0.01})), {0.97 / n, 0.01 / n, 0.01 / n}), 13.8);
}

TEST(Order, EveryOneWithEveryStepGivesATokenThatMayCome) {
    std::vector<SamplingStep> order(all_sampling_steps.begin(), all_sampling_steps.end());
    std::vector<float> logits(300);
    for (std::size_t i = 0; i < logits.size(); ++i)
        logits[i] = i % 3 == 0 ? -inf : static_cast<float>((i * 37) % 101) / 10;
    for (int turn = 0; turn < 60; ++turn) {
        SamplingOptions options;
        options.samplers = order;
        options.temperature = 0.7F;
        options.dynatemp_range = 0.3F;
        options.min_p = 0.01F;
        options.typical_p = 0.9F;
        options.top_n_sigma = 1.5F;
        options.xtc_probability = 0.5F;
        options.repeat_penalty = 1.2F;
        options.frequency_penalty = 0.1F;
        options.dry_multiplier = 0.8F;
        if (turn % 4 == 1) options.mirostat = 1;
        if (turn % 4 == 2) options.mirostat = 2;
        if (turn % 4 == 3) options.adaptive_target = 0.3F;
        ASSERT_TRUE(check_options(options, 300).ok());
        Sampler sampler(options, static_cast<std::uint64_t>(turn), {});
        for (int i = 0; i < 30; ++i) {
            const auto id = sampler.sample(logits);
            ASSERT_TRUE(id.ok());
            ASSERT_NE(*id % 3, 0);
            sampler.accept(*id);
        }
        std::next_permutation(order.begin(), order.end());
        std::rotate(order.begin(), order.begin() + turn % 5, order.end());
    }
}

}  // namespace
}  // namespace puna::sampling
