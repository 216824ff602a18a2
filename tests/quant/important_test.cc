// Encoding by importance: what matters loses less, and nothing that may be handed in breaks it.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string_view>
#include <vector>

#include "quant/tensor_type.h"

namespace puna::quant {
namespace {

constexpr std::size_t count = 256 * 64;

std::vector<float> decoded(const TypeInfo& info, const std::vector<std::byte>& blocks) {
    std::vector<float> values(count);
    info.to_float(blocks.data(), values.data(), count);
    return values;
}

std::vector<float> encoded_by(const TypeInfo& info, const std::vector<float>& values,
                              const std::vector<float>& importance) {
    std::vector<std::byte> blocks(count / info.block_elements * info.block_bytes);
    info.from_important(values.data(), importance.data(), blocks.data(), count);
    return decoded(info, blocks);
}

std::vector<float> encoded_evenly(const TypeInfo& info, const std::vector<float>& values) {
    std::vector<std::byte> blocks(count / info.block_elements * info.block_bytes);
    info.from_float(values.data(), blocks.data(), count);
    return decoded(info, blocks);
}

double error_of(const std::vector<float>& values, const std::vector<float>& result,
                const std::vector<float>& importance) {
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i)
        sum += double{importance[i]} * std::pow(double{values[i]} - double{result[i]}, 2);
    return sum;
}

class Important : public testing::TestWithParam<std::string_view> {
  protected:
    Important() : values_(count), importance_(count) {
        std::mt19937 random(7);
        std::normal_distribution<float> normal(0.0F, 0.02F);
        std::normal_distribution<float> spread(0.0F, 1.5F);
        for (std::size_t i = 0; i < count; ++i) {
            values_[i] = normal(random);
            importance_[i] = std::max(1e-3F, std::exp(spread(random)));
        }
    }
    const TypeInfo& info_ = *find_type(GetParam());
    std::vector<float> values_;
    std::vector<float> importance_;
};

TEST_P(Important, LosesLessOfWhatMatters) {
    const double even = error_of(values_, encoded_evenly(info_, values_), importance_);
    const double important = error_of(values_, encoded_by(info_, values_, importance_), importance_);
    RecordProperty("ratio", std::to_string(important / even));
    EXPECT_LT(important, 0.92 * even);
}

TEST_P(Important, EqualImportanceLosesNoMoreThanNone) {
    const std::vector<float> ones(count, 1.0F);
    const double even = error_of(values_, encoded_evenly(info_, values_), ones);
    EXPECT_LE(error_of(values_, encoded_by(info_, values_, ones), ones), 1.002 * even);
}

TEST_P(Important, OnlyRatiosCount) {
    std::vector<float> scaled = importance_;
    for (float& w : scaled)
        w *= 1024.0F;
    EXPECT_EQ(encoded_by(info_, values_, importance_), encoded_by(info_, values_, scaled));
}

// Groups may choose different codes for them, whose scales are rounded apart.
TEST_P(Important, NearlyKeepsConstants) {
    for (const float constant : {1.0F, -1.0F, 0.03125F}) {
        for (const float v : encoded_by(info_, std::vector<float>(count, constant), importance_))
            ASSERT_NEAR(v, constant, std::fabs(constant) * 0.04F);
    }
}

TEST_P(Important, TakesAnyFloats) {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    constexpr float huge = std::numeric_limits<float>::max();
    constexpr float tiny = std::numeric_limits<float>::denorm_min();
    for (const float v : {0.0F, infinity, -infinity, std::nanf(""), huge, -huge, tiny}) {
        std::vector<float> values = values_;
        values[3] = v;
        encoded_by(info_, values, importance_);
        encoded_by(info_, std::vector<float>(count, v), importance_);
        std::vector<float> importance = importance_;  // a broken promise must still not be undefined behaviour
        importance[3] = v;
        encoded_by(info_, values_, importance);
        encoded_by(info_, values_, std::vector<float>(count, v));
    }
    for (const float v : encoded_by(info_, std::vector<float>(count, 0.0F), importance_))
        ASSERT_EQ(v, 0.0F);
}

INSTANTIATE_TEST_SUITE_P(EveryType, Important,
                         testing::Values("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K",
                                         "IQ4_NL", "IQ4_XS", "IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS",
                                         "IQ3_S"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace puna::quant
