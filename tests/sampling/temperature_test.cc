#include "sampling/temperature.h"

#include <gtest/gtest.h>

#include "sampling/drawing.h"

namespace puna::sampling {
namespace {

/// p_0 / p_1 of {0.5, 0.25, 0.25} after the temperature: 2^(1/T).
double ratio(const SamplingOptions& options) {
    Candidates candidates = candidates_of({0.5, 0.25, 0.25});
    apply_temperature(candidates, options);
    const auto found = probabilities(candidates);
    return found.at(0) / found.at(1);
}

TEST(Temperature, RaisesProbabilitiesToItsInverse) {
    SamplingOptions options;
    options.temperature = 0.5F;
    EXPECT_NEAR(ratio(options), 4, 1e-6);
    options.temperature = 2;
    EXPECT_NEAR(ratio(options), std::sqrt(2.0), 1e-6);
}

// The entropy is 1.5 bits of log2 3 = 1.584963: a share of 0.946395.
TEST(DynamicTemperature, FollowsTheEntropy) {
    SamplingOptions options;
    options.temperature = 1;
    options.dynatemp_range = 0.5F;
    EXPECT_NEAR(ratio(options), std::exp2(1 / 1.446395), 1e-6);  // 0.5 + 1 * share
    options.dynatemp_exponent = 2;
    EXPECT_NEAR(ratio(options), std::exp2(1 / 1.395663), 1e-6);  // 0.5 + 1 * share^2
    options.dynatemp_range = 0;
    EXPECT_NEAR(ratio(options), 2, 1e-6);
}

TEST(DynamicTemperature, OfAFlatDistributionIsTheHighest) {
    SamplingOptions options;
    options.temperature = 1;
    options.dynatemp_range = 1;
    Candidates candidates = candidates_of({0.25, 0.25, 0.25, 0.25});
    apply_temperature(candidates, options);
    EXPECT_NEAR(probabilities(candidates).at(3), 0.25, 1e-12);
}

TEST(DynamicTemperature, OfASureModelMayBeZero) {
    SamplingOptions options;
    options.temperature = 1;
    options.dynatemp_range = 1;
    Candidates candidates;
    candidates.assign(std::vector<float>{2000, 0, 0});  // the others' probabilities underflow
    apply_temperature(candidates, options);
    EXPECT_EQ(left(candidates), std::set<TokenId>{0});
}

TEST(DynamicTemperature, IsDrawnFrom) {
    SamplingOptions options = plain();
    options.dynatemp_range = 0.5F;
    const double r = std::exp2(1 / 1.446395);
    // 99.9 % quantile of chi-square with 2 degrees of freedom: 13.8.
    EXPECT_LT(chi_square(count(options, log_of({0.5, 0.25, 0.25})), {r / (r + 2), 1 / (r + 2), 1 / (r + 2)}), 13.8);
}

}  // namespace
}  // namespace puna::sampling
