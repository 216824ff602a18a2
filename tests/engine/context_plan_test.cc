#include "engine/context_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "engine/prepare_request.h"

namespace puna::engine {
namespace {

constexpr std::uint64_t mb = 1'000'000;

TEST(PlanContext, TakesTheModelsContextWhereItFits) {
    const auto plan = plan_context(0, 8192, {1000 * mb, 100 * mb, 10 * mb, mb});  // 256 blocks
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->tokens, 8192);
    EXPECT_FALSE(plan->capped_by_memory);
}

TEST(PlanContext, IsCappedByMemoryAndSaysSo) {
    // 1000 - 100 (a tenth) - 100 - 10 = 790 blocks of 32 positions.
    const auto plan = plan_context(0, 131072, {1000 * mb, 100 * mb, 10 * mb, mb});
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->tokens, 790 * 32);
    EXPECT_TRUE(plan->capped_by_memory);
}

TEST(PlanContext, KeepsALeastContext) {
    const auto plan = plan_context(0, 131072, {1000 * mb, 5000 * mb, 10 * mb, mb});
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(plan->tokens, 512);
    EXPECT_TRUE(plan->capped_by_memory);
    const auto small = plan_context(0, 100, {1000 * mb, 5000 * mb, 10 * mb, mb});
    ASSERT_TRUE(small.ok());
    EXPECT_EQ(small->tokens, 100);
    EXPECT_FALSE(small->capped_by_memory);
}

TEST(PlanContext, GivesWhatWasAskedOrAnError) {
    const MemoryNeeds memory{1000 * mb, 5000 * mb, 10 * mb, mb};
    EXPECT_EQ(plan_context(1, 131072, memory)->tokens, 1);
    EXPECT_EQ(plan_context(990 * 32, 131072, memory)->tokens, 990 * 32);
    const auto too_large = plan_context(990 * 32 + 1, 131072, memory);
    ASSERT_FALSE(too_large.ok());
    EXPECT_EQ(too_large.error().code, ErrorCode::out_of_memory);
    EXPECT_THAT(too_large.error().hint, ::testing::HasSubstr("31680"));
    const auto beyond = plan_context(131073, 131072, memory);
    ASSERT_FALSE(beyond.ok());
    EXPECT_EQ(beyond.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(beyond.error().message, ::testing::HasSubstr("131072"));
}

TEST(PlanContext, TrustsTheCallerWhereMemoryIsUnknown) {
    EXPECT_EQ(plan_context(0, 8192, {0, 100 * mb, 10 * mb, mb})->tokens, 8192);
    EXPECT_EQ(plan_context(5000, 8192, {0, 100 * mb, 10 * mb, mb})->tokens, 5000);
    EXPECT_EQ(plan_context(9000, 8192, {0, 100 * mb, 10 * mb, mb}).error().code, ErrorCode::invalid_argument);
}

TEST(PlanContext, SizesNeverWrapAround) {
    constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
    EXPECT_EQ(kv_bytes(most, most), most);
    EXPECT_EQ(kv_bytes(33, 100), 200U);
    EXPECT_EQ(plan_context(4096, 8192, {mb, 0, 0, most}).error().code, ErrorCode::out_of_memory);
    EXPECT_EQ(plan_context(0, 8192, {mb, most, 0, most})->tokens, 512);
}

std::vector<TokenId> numbers(int count) {
    std::vector<TokenId> ids;
    for (int i = 0; i < count; ++i)
        ids.push_back(100 + i);
    return ids;
}

TEST(TruncateStart, LeavesAPromptThatFits) {
    std::vector<TokenId> prompt = numbers(64);
    EXPECT_EQ(truncate_start(prompt, 64, 1000, 1), 0U);
    EXPECT_EQ(prompt, numbers(64));
}

TEST(TruncateStart, DropsTheOldestAndKeepsTheBeginToken) {
    std::vector<TokenId> prompt = numbers(100);
    prompt[0] = 1;
    EXPECT_EQ(truncate_start(prompt, 64, 10, 1), 46U);
    ASSERT_EQ(prompt.size(), 54U);
    EXPECT_EQ(prompt[0], 1);
    EXPECT_EQ(prompt[1], 147);
    EXPECT_EQ(prompt.back(), 199);

    prompt = numbers(100);  // no begin token
    EXPECT_EQ(truncate_start(prompt, 64, 10, 1), 46U);
    EXPECT_EQ(prompt[0], 146);
}

TEST(TruncateStart, LeavesRoomForTheAnswerWithinReason) {
    const auto kept = [](std::int64_t context, std::optional<std::uint32_t> max_tokens) {
        std::vector<TokenId> prompt = numbers(100);
        prompt[0] = 1;
        truncate_start(prompt, context, max_tokens, 1);
        return prompt.size();
    };
    EXPECT_EQ(kept(64, std::nullopt), 48U);
    EXPECT_EQ(kept(64, 0), 64U);
    EXPECT_EQ(kept(64, 5000), 32U);
    EXPECT_EQ(kept(2, std::nullopt), 2U);
    EXPECT_EQ(kept(1, 7), 1U);
}

}  // namespace
}  // namespace puna::engine
