#include "sampling/dry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

#include "base/rng.h"
#include "sampling/drawing.h"

namespace puna::sampling {
namespace {

using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

SamplingOptions options_of(std::uint32_t last_n = 0) {
    SamplingOptions options = greedy();
    options.dry_multiplier = 1;
    options.dry_base = 2;
    options.dry_last_n = last_n;
    return options;
}

/// Tokens are the letters' codes.
std::unordered_map<TokenId, std::size_t> repetitions(std::string_view text, std::string_view breakers = "",
                                                     std::uint32_t last_n = 0) {
    const std::vector<TokenId> ids(breakers.begin(), breakers.end());
    Dry dry(options_of(last_n), ids);
    for (const char letter : text)
        dry.accept(letter);
    return dry.repetitions();
}

TEST(Dry, FindsWhatWouldGoOnWithARepetition) {
    EXPECT_THAT(repetitions(""), IsEmpty());
    EXPECT_THAT(repetitions("a"), IsEmpty());
    EXPECT_THAT(repetitions("abcd"), IsEmpty());
    EXPECT_THAT(repetitions("abcdabc"), UnorderedElementsAre(Pair('d', 3)));
    EXPECT_THAT(repetitions("abxabyab"), UnorderedElementsAre(Pair('x', 2), Pair('y', 2)));
    EXPECT_THAT(repetitions("zabxcabxab"), UnorderedElementsAre(Pair('x', 2)));
    EXPECT_THAT(repetitions("aaaa"), UnorderedElementsAre(Pair('a', 3)));
    EXPECT_THAT(repetitions("ababa"), UnorderedElementsAre(Pair('b', 3)));
}

TEST(Dry, StopsAtBreakers) {
    EXPECT_THAT(repetitions("xabdxab", ""), UnorderedElementsAre(Pair('d', 3)));
    EXPECT_THAT(repetitions("x\nbdx\nb", "\n"), UnorderedElementsAre(Pair('d', 1)));
    EXPECT_THAT(repetitions("ab\nab", "\n"), IsEmpty());    // a breaker costs nothing
    EXPECT_THAT(repetitions("abc\nd\n", "\n"), IsEmpty());  // nothing goes on behind one
}

TEST(Dry, LooksBackOnSoManyTokens) {
    EXPECT_THAT(repetitions("abcdabc", "", 7), UnorderedElementsAre(Pair('d', 3)));
    EXPECT_THAT(repetitions("abcdabc", "", 6), UnorderedElementsAre(Pair('d', 2)));
    EXPECT_THAT(repetitions("abcdabc", "", 5), UnorderedElementsAre(Pair('d', 1)));
    EXPECT_THAT(repetitions("abcdabc", "", 4), IsEmpty());
}

// The definition, taken at its word.
TEST(Dry, AgreesWithTheDefinition) {
    std::uint64_t draw = 0;
    for (int text_number = 0; text_number < 300; ++text_number) {
        std::string text;
        const int letters = 1 + text_number % 4;
        for (int i = 0; i < 1 + text_number % 60; ++i)
            text += static_cast<char>('a' + static_cast<int>(base::uniform_draw(5, draw++) * letters));
        const std::string breakers = text_number % 3 == 0 ? "a" : "";
        std::unordered_map<TokenId, std::size_t> expected;
        for (std::size_t end = 1; end < text.size(); ++end) {  // text[0, end), and text[end] behind it
            std::size_t same = 0;
            while (same < end && text[end - 1 - same] == text[text.size() - 1 - same] &&
                   breakers.find(text[end - 1 - same]) == std::string::npos)
                ++same;
            if (same > 0 && breakers.find(text[end]) == std::string::npos) {
                std::size_t& longest = expected[text[end]];
                longest = std::max(longest, same);
            }
        }
        EXPECT_EQ(repetitions(text, breakers), expected) << text;
    }
}

// The end "abc" stands earlier with d (3 = "abc": 2^(3 - 2)).
TEST(Dry, TakesThePenaltyOffTheLogit) {
    Sampler sampler(options_of(), 1, {});
    for (const TokenId id : {1, 2, 3, 4, 1, 2, 3})
        sampler.accept(id);
    EXPECT_EQ(*sampler.sample(std::vector<float>{0, 0, 0, 0, 5, 3.5F}), 5);  // 5 - 2 = 3 < 3.5
    EXPECT_EQ(*sampler.sample(std::vector<float>{0, 0, 0, 0, 5, 2.5F}), 4);
}

TEST(Dry, CostsNothingUpToTheAllowedLength) {
    const auto logit = [](std::uint32_t allowed) {
        SamplingOptions options = options_of();
        options.dry_allowed_length = allowed;
        Dry dry(options, {});
        for (const TokenId id : {1, 2, 3, 4, 1, 2, 3})
            dry.accept(id);
        Candidates candidates;
        candidates.assign(std::vector<float>{0, 0, 0, 0, 5});
        dry.apply(candidates);
        return candidates.list()[4].logit;
    };
    EXPECT_EQ(logit(1), 5 - 4);
    EXPECT_EQ(logit(2), 5 - 2);
    EXPECT_EQ(logit(3), 5 - 1);
    EXPECT_EQ(logit(4), 5);
}

TEST(Dry, StaysFinite) {
    SamplingOptions options = plain();
    options.dry_multiplier = 3e38F;
    options.dry_base = 3e38F;
    Sampler sampler(options, 1, {});
    for (int i = 0; i < 5000; ++i)
        sampler.accept(0);
    EXPECT_EQ(*sampler.sample(std::vector<float>{5, 3}), 1);
    EXPECT_EQ(*sampler.sample(std::vector<float>{5, -inf}), 0);  // it is all there is
}

}  // namespace
}  // namespace puna::sampling
