#include "base/checked.h"

#include <gtest/gtest.h>

namespace puna::base {
namespace {

constexpr std::uint64_t kHalf = std::uint64_t{1} << 63;

TEST(Checked, Add) {
    EXPECT_EQ(checked_add(0, 0), 0u);
    EXPECT_EQ(checked_add(2, 3), 5u);
    EXPECT_EQ(checked_add(UINT64_MAX, 0), UINT64_MAX);
    EXPECT_EQ(checked_add(UINT64_MAX, 1), std::nullopt);
    EXPECT_EQ(checked_add(kHalf, kHalf), std::nullopt);
}

TEST(Checked, Multiply) {
    EXPECT_EQ(checked_multiply(0, UINT64_MAX), 0u);
    EXPECT_EQ(checked_multiply(6, 7), 42u);
    EXPECT_EQ(checked_multiply(kHalf, 1), kHalf);
    EXPECT_EQ(checked_multiply(kHalf, 2), std::nullopt);
    EXPECT_EQ(checked_multiply(UINT64_MAX, UINT64_MAX), std::nullopt);
}

}  // namespace
}  // namespace puna::base
