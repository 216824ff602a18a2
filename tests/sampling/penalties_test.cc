#include "sampling/penalties.h"

#include <gtest/gtest.h>

#include "sampling/drawing.h"

namespace puna::sampling {
namespace {

// By hand: token 0 came twice and has logit 2: 2 / 2 - 2 * 0.5 - 0.25; token 1 once, at -1: -1 * 2 - 0.5 - 0.25.
TEST(Penalties, AddUp) {
    SamplingOptions options;
    options.repeat_penalty = 2;
    options.frequency_penalty = 0.5F;
    options.presence_penalty = 0.25F;
    Penalties penalties(options);
    for (const TokenId id : {0, 1, 0})
        penalties.accept(id);
    for (const bool as_list : {false, true}) {
        Candidates candidates;
        candidates.assign(std::vector<float>{2, -1, 3, -inf});
        if (as_list) candidates.list();
        penalties.apply(candidates);
        const std::vector<Candidate>& list = candidates.list();
        ASSERT_EQ(list.size(), 3U);
        EXPECT_EQ(list[0].logit, -0.25);
        EXPECT_EQ(list[1].logit, -2.75);
        EXPECT_EQ(list[2].logit, 3);
    }
}

TEST(Penalties, OfFrequencyCountWhatTheWindowHolds) {
    SamplingOptions options = greedy();
    options.frequency_penalty = 1;
    options.repeat_last_n = 3;
    EXPECT_EQ(sample_once(options, {5, 2.5F, 0}, {0, 0, 0}), 1);     // 2, 2.5
    EXPECT_EQ(sample_once(options, {5, 2.5F, 0}, {0, 0, 0, 1}), 0);  // 3, 1.5
    EXPECT_EQ(sample_once(options, {5, 4.5F, 0}, {0, 2, 2, 2}), 0);  // it has left
    options.frequency_penalty = -1;                                  // and the other way
    EXPECT_EQ(sample_once(options, {2, 0, 0}, {1, 1, 1}), 1);        // 2, 3
}

TEST(Penalties, OfPresenceCountOnce) {
    SamplingOptions options = greedy();
    options.presence_penalty = 1;
    EXPECT_EQ(sample_once(options, {5, 4.5F, 0}, {0}), 1);
    EXPECT_EQ(sample_once(options, {5, 3.5F, 0}, {0, 0, 0}), 0);
}

TEST(Penalties, AreForgotten) {
    SamplingOptions options = greedy();
    options.presence_penalty = 10;
    options.repeat_last_n = 2;
    Sampler sampler(options, 1, {});
    for (const TokenId id : {0, 1, 0})
        sampler.accept(id);
    EXPECT_EQ(*sampler.sample(std::vector<float>{5, 4, 3}), 2);
    sampler.forget();
    EXPECT_EQ(*sampler.sample(std::vector<float>{5, 4, 3}), 0);
    sampler.accept(0);
    EXPECT_EQ(*sampler.sample(std::vector<float>{5, 4, 3}), 1);
}

}  // namespace
}  // namespace puna::sampling
