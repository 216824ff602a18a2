#include "base/rng.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

namespace puna::base {
namespace {

using Words = std::array<std::uint32_t, 4>;

// The known answers for philox4x32, 10 rounds, that its authors publish with their library Random123.
TEST(Philox, KnownAnswers) {
    EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
    EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
              (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
    EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
              (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(UniformDraw, IsAPureFunctionOfSeedAndIndex) {
    // Words 0 and 1 of the first known answer, as 53 bits.
    EXPECT_EQ(uniform_draw(0, 0), std::ldexp(static_cast<double>(0xe169c58d6627e8d5u >> 11), -53));
    EXPECT_EQ(uniform_draw(7, 1000), uniform_draw(7, 1000));
    EXPECT_NE(uniform_draw(7, 1000), uniform_draw(7, 1001));
    EXPECT_NE(uniform_draw(7, 1000), uniform_draw(8, 1000));
    EXPECT_NE(uniform_draw(7, 0), uniform_draw(7, std::uint64_t{1} << 32));  // all 64 bits count
    EXPECT_NE(uniform_draw(7, 0), uniform_draw(7 + (std::uint64_t{1} << 32), 0));
}

TEST(UniformDraw, IsUniform) {
    for (const std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{42}, UINT64_MAX}) {
        constexpr int kBins = 64;
        constexpr int kDraws = 64 * 1000;
        std::vector<int> bins(kBins, 0);
        double sum = 0;
        double lagged = 0;
        double last = 0.5;
        for (int i = 0; i < kDraws; ++i) {
            const double u = uniform_draw(seed, static_cast<std::uint64_t>(i));
            ASSERT_GE(u, 0.0);
            ASSERT_LT(u, 1.0);
            ++bins[static_cast<std::size_t>(u * kBins)];
            sum += u;
            lagged += (u - 0.5) * (last - 0.5);
            last = u;
        }
        double chi_squared = 0;
        for (const int n : bins)
            chi_squared += (n - 1000.0) * (n - 1000.0) / 1000.0;
        EXPECT_LT(chi_squared, 63 + 5 * std::sqrt(2.0 * 63));  // 5 standard deviations
        EXPECT_NEAR(sum / kDraws, 0.5, 5 * std::sqrt(1.0 / 12 / kDraws));
        EXPECT_NEAR(lagged / kDraws, 0.0, 5.0 / 12 / std::sqrt(kDraws));
    }
}

TEST(RandomSeed, Differs) {
    std::set<std::uint64_t> seeds;
    for (int i = 0; i < 100; ++i) {
        const std::uint64_t seed = random_seed();
        EXPECT_LT(seed, std::uint64_t{1} << 53);
        seeds.insert(seed);
    }
    EXPECT_EQ(seeds.size(), 100u);
}

}  // namespace
}  // namespace puna::base
