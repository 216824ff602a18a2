#include "sampling/log_probabilities.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "sampling/drawing.h"

namespace puna::sampling {
namespace {

TEST(LogProbabilities, AreTheLogSoftmaxOfTheRawLogits) {
    std::vector<TokenLogprob> top;
    const auto of_two = log_probabilities(log_of({0.1, 0.2, 0.4, 0.3}), 1, 2, top);
    ASSERT_TRUE(of_two.ok());
    EXPECT_EQ(of_two->id, 1);
    EXPECT_NEAR(of_two->logprob, std::log(0.2), 1e-7);
    ASSERT_EQ(top.size(), 2U);
    EXPECT_EQ(top[0].id, 2);
    EXPECT_NEAR(top[0].logprob, std::log(0.4), 1e-7);
    EXPECT_EQ(top[1].id, 3);
}

TEST(LogProbabilities, SumToOneAndBreakTiesById) {
    std::vector<float> logits(1000);
    for (std::size_t i = 0; i < logits.size(); ++i)
        logits[i] = static_cast<float>((i * 37) % 100) / 7;
    std::vector<TokenLogprob> top;
    ASSERT_TRUE(log_probabilities(logits, 0, 5000, top).ok());
    ASSERT_EQ(top.size(), logits.size());
    double sum = 0;
    for (std::size_t i = 0; i < top.size(); ++i) {
        sum += std::exp(top[i].logprob);
        if (i == 0) continue;
        EXPECT_TRUE(top[i - 1].logprob > top[i].logprob ||
                    (top[i - 1].logprob == top[i].logprob && top[i - 1].id < top[i].id));
    }
    EXPECT_NEAR(sum, 1, 1e-12);
}

TEST(LogProbabilities, LeaveOutWhatIsMasked) {
    std::vector<TokenLogprob> top;
    const auto masked = log_probabilities(std::vector<float>{0, -inf, 0}, 1, 3, top);
    ASSERT_TRUE(masked.ok());
    EXPECT_EQ(masked->logprob, -std::numeric_limits<double>::infinity());
    ASSERT_EQ(top.size(), 2U);
    EXPECT_NEAR(top[0].logprob, -std::log(2.0), 1e-15);
    EXPECT_EQ(log_probabilities(std::vector<float>{0, nan}, 0, 3, top).error().code, ErrorCode::invalid_number);
    EXPECT_EQ(log_probabilities(std::vector<float>{-inf}, 0, 3, top).error().code, ErrorCode::invalid_number);
}

TEST(LogProbabilities, StandLargeLogits) {
    std::vector<TokenLogprob> top;
    EXPECT_NEAR(log_probabilities(std::vector<float>{3e38F, 3e38F, -3e38F}, 0, 0, top)->logprob, -std::log(2.0), 1e-6);
    EXPECT_TRUE(top.empty());
}

}  // namespace
}  // namespace puna::sampling
