// The encoders: how much they lose, and that nothing they may be handed breaks them.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <string_view>
#include <vector>

#include "quant/tensor_type.h"

namespace puna::quant {
namespace {

std::vector<float> round_trip(const TypeInfo& info, const std::vector<float>& values) {
    std::vector<std::byte> encoded(values.size() / info.block_elements * info.block_bytes);
    info.from_float(values.data(), encoded.data(), values.size());
    std::vector<float> decoded(values.size());
    info.to_float(encoded.data(), decoded.data(), decoded.size());
    return decoded;
}

/// Root of the mean squared error over that of the mean square.
double relative_error(const std::vector<float>& values, const std::vector<float>& decoded) {
    double error = 0;
    double power = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        error += std::pow(static_cast<double>(values[i]) - decoded[i], 2);
        power += std::pow(static_cast<double>(values[i]), 2);
    }
    return std::sqrt(error / power);
}

std::vector<float> normal_weights(std::size_t count, float deviation) {
    std::mt19937 random(5);
    std::normal_distribution<float> normal(0.0f, deviation);
    std::vector<float> values(count);
    for (float& v : values)
        v = normal(random);
    return values;
}

struct Bound {
    std::string_view type;
    double relative_error;
};

class Encoders : public testing::TestWithParam<Bound> {};

TEST_P(Encoders, LoseNoMoreThanTheTypeMust) {
    const TypeInfo& info = *find_type(GetParam().type);
    for (const float deviation : {0.02f, 1.0f, 300.0f}) {
        const std::vector<float> values = normal_weights(256 * 64, deviation);
        const double error = relative_error(values, round_trip(info, values));
        RecordProperty("relative_error", std::to_string(error));
        EXPECT_LT(error, GetParam().relative_error) << deviation;
    }
}

TEST_P(Encoders, KeepZerosAndConstants) {
    const TypeInfo& info = *find_type(GetParam().type);
    for (const float constant : {0.0f, 1.0f, -1.0f, 0.03125f}) {
        const std::vector<float> values(512, constant);
        for (const float v : round_trip(info, values)) {
            ASSERT_NEAR(v, constant, std::fabs(constant) * 0.01);
            if (constant == 0.0f) {
                ASSERT_EQ(v, 0.0f);
            }
        }
    }
}

TEST_P(Encoders, TakeAnyFloats) {
    // Encoders are promised finite values; a broken promise or an overflow must still not be undefined behaviour
    // (the sanitizers watch), and values below what the type can hold become zero or close to it.
    const TypeInfo& info = *find_type(GetParam().type);
    constexpr float infinity = std::numeric_limits<float>::infinity();
    constexpr float huge = std::numeric_limits<float>::max();
    constexpr float tiny = std::numeric_limits<float>::denorm_min();
    for (const float v : {infinity, -infinity, std::nanf(""), huge, -huge, tiny, 1e-38f}) {
        std::vector<float> values = normal_weights(512, 1.0f);
        values[3] = v;
        round_trip(info, values);
        round_trip(info, std::vector<float>(512, v));
    }
    for (const float v : round_trip(info, std::vector<float>(512, tiny)))
        EXPECT_LT(std::fabs(v), 1e-6f);
}

// About 5 % above what these encoders reach on normally distributed weights; NVFP4's smallest ones have denormal
// scales.
INSTANTIATE_TEST_SUITE_P(EveryType, Encoders,
                         testing::Values(Bound{"F32", 1e-30}, Bound{"F16", 2.2e-4}, Bound{"BF16", 1.8e-3},
                                         Bound{"Q4_0", 0.09}, Bound{"Q4_1", 0.082}, Bound{"Q5_0", 0.045},
                                         Bound{"Q5_1", 0.0395}, Bound{"Q8_0", 0.0056}, Bound{"Q2_K", 0.282},
                                         Bound{"Q3_K", 0.15}, Bound{"Q4_K", 0.0745}, Bound{"Q5_K", 0.0375},
                                         Bound{"Q6_K", 0.018}, Bound{"IQ4_NL", 0.078}, Bound{"IQ4_XS", 0.079},
                                         Bound{"MXFP4", 0.12}, Bound{"NVFP4", 0.1}, Bound{"TQ1_0", 0.84},
                                         Bound{"TQ2_0", 0.84}, Bound{"IQ3_S", 0.138}, Bound{"IQ3_XXS", 0.188},
                                         Bound{"IQ2_S", 0.254}, Bound{"IQ2_XS", 0.303}, Bound{"IQ2_XXS", 0.352},
                                         Bound{"IQ1_M", 0.442}, Bound{"IQ1_S", 0.482}),
                         [](const auto& test) { return std::string(test.param.type); });

}  // namespace
}  // namespace puna::quant
