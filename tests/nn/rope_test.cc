#include "nn/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace puna::nn {
namespace {

TEST(RopeAngles, SineAndCosineOfTheFloatAngle) {
    const RopeAngles angles(64, 10000.0, 1.0, {});
    ASSERT_EQ(angles.rotated(), 64);
    std::vector<float> cosines(32), sines(32);
    for (const std::int64_t position : {0, 1, 2, 17, 511, 4095, 131071, 1 << 20}) {
        angles.at(position, cosines.data(), sines.data());
        for (int i = 0; i < 32; ++i) {
            const auto frequency = static_cast<float>(1.0 / std::pow(10000.0, 2.0 * i / 64));
            const auto angle = static_cast<double>(static_cast<float>(position) * frequency);
            EXPECT_NEAR(cosines[static_cast<std::size_t>(i)], std::cos(angle), 6e-8) << position << ", " << i;
            EXPECT_NEAR(sines[static_cast<std::size_t>(i)], std::sin(angle), 6e-8) << position << ", " << i;
        }
    }
}

TEST(RopeAngles, ScaleAndFactorsDivideTheFrequency) {
    const RopeAngles plain(4, 100.0, 1.0, {});
    const RopeAngles scaled(4, 100.0, 4.0, {});
    const RopeAngles divided(4, 100.0, 1.0, {4.0F, 8.0F});
    std::vector<float> a(4), b(4), c(4);
    plain.at(5, a.data(), a.data() + 2);
    scaled.at(20, b.data(), b.data() + 2);
    EXPECT_EQ(a, b);
    divided.at(40, c.data(), c.data() + 2);
    EXPECT_EQ(c[1], a[1]);
    EXPECT_FLOAT_EQ(c[0], std::cos(10.0F));
}

}  // namespace
}  // namespace puna::nn
