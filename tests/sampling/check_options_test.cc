#include "sampling/check_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sampling/drawing.h"

namespace puna::sampling {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// The refusal of the defaults with `change`, or "ok".
template <typename Change>
std::string message(Change change) {
    SamplingOptions options;
    change(options);
    const auto checked = check_options(options, 100);
    if (checked.ok()) return "ok";
    EXPECT_EQ(checked.error().code, ErrorCode::invalid_argument);
    EXPECT_FALSE(checked.error().hint.empty());
    return checked.error().message;
}

TEST(CheckOptions, NamesTheParameterAndItsRange) {
    EXPECT_EQ(message([](auto&) {}), "ok");
    for (const float bad : {-0.1F, nan, inf, -inf}) {
        EXPECT_THAT(message([&](auto& o) { o.temperature = bad; }), HasSubstr("temperature"));
        EXPECT_THAT(message([&](auto& o) { o.top_p = bad; }), HasSubstr("top_p"));
        EXPECT_THAT(message([&](auto& o) { o.min_p = bad; }), HasSubstr("min_p"));
        EXPECT_THAT(message([&](auto& o) { o.repeat_penalty = bad; }), HasSubstr("repeat_penalty"));
    }
    EXPECT_THAT(message([](auto& o) { o.top_p = 0; }), HasSubstr("over 0 and at most 1"));
    EXPECT_THAT(message([](auto& o) { o.top_p = 1.5F; }), HasSubstr("1.5"));
    EXPECT_THAT(message([](auto& o) { o.min_p = 1.01F; }), HasSubstr("from 0 to 1"));
    EXPECT_THAT(message([](auto& o) { o.repeat_penalty = 0; }), HasSubstr("over 0"));
    EXPECT_THAT(message([](auto& o) { o.logit_bias = {{5, nan}}; }), HasSubstr("logit_bias of token 5"));
    EXPECT_THAT(message([](auto& o) { o.logit_bias = {{5, inf}}; }), HasSubstr("logit_bias of token 5"));
    EXPECT_THAT(message([](auto& o) { o.logit_bias = {{100, 1}}; }), HasSubstr("0 to 99"));
    EXPECT_THAT(message([](auto& o) { o.logit_bias = {{-1, 1}}; }), HasSubstr("-1"));
    EXPECT_EQ(message([](auto& o) {
                  o.temperature = 0;
                  o.top_p = 1;
                  o.min_p = 1;
                  o.repeat_penalty = 0.5F;
                  o.logit_bias = {{99, -inf}, {0, 5}};
              }),
              "ok");
}

TEST(CheckOptions, HoldsEveryParameterToItsRange) {
    struct Bound {
        const char* name;
        float SamplingOptions::* member;
        std::vector<float> good;
        std::vector<float> bad;
    };
    using S = SamplingOptions;
    const std::vector<Bound> bounds = {
        {"dynatemp_range", &S::dynatemp_range, {0, 0.8F}, {-0.1F, 0.9F}},
        {"dynatemp_exponent", &S::dynatemp_exponent, {0.1F, 2}, {0, -1}},
        {"typical_p", &S::typical_p, {0.1F, 1}, {0, 1.1F}},
        {"top_n_sigma", &S::top_n_sigma, {0, 10}, {-1}},
        {"xtc_probability", &S::xtc_probability, {0, 1}, {-0.1F, 1.1F}},
        {"xtc_threshold", &S::xtc_threshold, {0.01F, 0.5F}, {0, 0.51F}},
        {"frequency_penalty", &S::frequency_penalty, {-100, 100}, {-101, 101}},
        {"presence_penalty", &S::presence_penalty, {-100, 100}, {-101, 101}},
        {"dry_multiplier", &S::dry_multiplier, {0, 5}, {-1}},
        {"dry_base", &S::dry_base, {1, 4}, {0.9F}},
        {"mirostat_tau", &S::mirostat_tau, {0, 9}, {-1}},
        {"mirostat_eta", &S::mirostat_eta, {0, 1}, {-0.1F, 1.1F}},
        {"adaptive_target", &S::adaptive_target, {0, 1}, {-0.1F, 1.1F}},
        {"adaptive_decay", &S::adaptive_decay, {0, 0.99F}, {-0.1F, 1}},
    };
    for (const Bound& bound : bounds) {
        for (const float good : bound.good)
            EXPECT_EQ(message([&](auto& o) { o.*bound.member = good; }), "ok") << bound.name << ' ' << good;
        for (const float bad : bound.bad)
            EXPECT_THAT(message([&](auto& o) { o.*bound.member = bad; }), HasSubstr(bound.name)) << bad;
        for (const float bad : {nan, inf, -inf})
            EXPECT_THAT(message([&](auto& o) { o.*bound.member = bad; }), HasSubstr(bound.name)) << bad;
    }
    EXPECT_THAT(message([](auto& o) { o.mirostat = 3; }), HasSubstr("mirostat is 3, and must be 0, 1 or 2"));
    EXPECT_THAT(message([](auto& o) { o.dry_allowed_length = 0; }), HasSubstr("dry_allowed_length"));
    EXPECT_THAT(message([](auto& o) { o.dry_breakers = {""}; }), HasSubstr("dry_breakers"));
}

TEST(CheckOptions, RefusesAnOrderThatNamesAStepTwice) {
    using enum SamplingStep;
    EXPECT_EQ(message([](auto& o) { o.samplers = {temperature, top_p, top_k}; }), "ok");
    EXPECT_THAT(message([](auto& o) { o.samplers = {top_k, top_p, top_k, temperature}; }), HasSubstr("top-k twice"));
    EXPECT_THAT(message([](auto& o) { o.samplers = {static_cast<SamplingStep>(77)}; }), HasSubstr("77"));
}

// A parameter that has no effect is not taken in silence.
TEST(CheckOptions, RefusesWhatTheOrderLeavesOut) {
    using enum SamplingStep;
    EXPECT_EQ(message([](auto& o) { o.samplers = {top_k}; }), "ok");  // top_p and temperature are the defaults
    EXPECT_EQ(message([](auto& o) {
                  o.samplers = {temperature};
                  o.top_k = 0;  // off, as asked
                  o.top_p = 1;
              }),
              "ok");
    const auto left_out = [](auto change) {
        return message([&](auto& o) {
            o.samplers = {dry};
            change(o);
        });
    };
    EXPECT_THAT(left_out([](auto& o) { o.min_p = 0.1F; }), AllOf(HasSubstr("min_p is 0.1"), HasSubstr("samplers")));
    EXPECT_THAT(left_out([](auto& o) { o.top_k = 20; }), HasSubstr("top_k is 20"));
    EXPECT_THAT(left_out([](auto& o) { o.top_p = 0.5F; }), HasSubstr("top_p is 0.5"));
    EXPECT_THAT(left_out([](auto& o) { o.temperature = 0; }), HasSubstr("temperature is 0"));
    EXPECT_THAT(left_out([](auto& o) { o.presence_penalty = 1; }), HasSubstr("presence_penalty is 1"));
    EXPECT_THAT(left_out([](auto& o) { o.typical_p = 0.5F; }), HasSubstr("typical_p"));
    EXPECT_THAT(left_out([](auto& o) { o.top_n_sigma = 1; }), HasSubstr("top_n_sigma"));
    EXPECT_THAT(left_out([](auto& o) { o.xtc_probability = 1; }), HasSubstr("xtc_probability"));
}

TEST(CheckOptions, RefusesCutsBesideMirostatButWhereTheyAreNamed) {
    using enum SamplingStep;
    EXPECT_EQ(message([](auto& o) { o.mirostat = 2; }), "ok");
    EXPECT_THAT(message([](auto& o) {
                    o.mirostat = 2;
                    o.top_k = 20;
                }),
                AllOf(HasSubstr("top_k is 20"), HasSubstr("mirostat")));
    EXPECT_EQ(message([](auto& o) {
                  o.mirostat = 2;
                  o.top_k = 20;
                  o.samplers = {top_k, temperature};
              }),
              "ok");
    EXPECT_THAT(message([](auto& o) {
                    o.mirostat = 1;
                    o.adaptive_target = 0.5F;
                }),
                AllOf(HasSubstr("mirostat"), HasSubstr("adaptive_target")));
}

TEST(CheckOptions, RefusesWhatTemperatureZeroWouldIgnore) {
    const auto at_zero = [](auto change) {
        return message([&](auto& o) {
            o.temperature = 0;
            change(o);
        });
    };
    EXPECT_EQ(at_zero([](auto&) {}), "ok");
    EXPECT_THAT(at_zero([](auto& o) { o.mirostat = 1; }), HasSubstr("mirostat"));
    EXPECT_THAT(at_zero([](auto& o) { o.adaptive_target = 0.5F; }), HasSubstr("adaptive_target"));
    EXPECT_THAT(at_zero([](auto& o) { o.xtc_probability = 0.5F; }), HasSubstr("xtc_probability"));
    EXPECT_THAT(at_zero([](auto& o) { o.typical_p = 0.5F; }), HasSubstr("typical_p"));
    EXPECT_THAT(at_zero([](auto& o) { o.dynatemp_range = 0.5F; }), HasSubstr("dynatemp_range"));
}

TEST(CheckState, RefusesWhatNoSamplerLeaves) {
    EXPECT_TRUE(check_state({}).ok());
    EXPECT_TRUE(check_state({.draws = 5, .mirostat_mu = -3, .adaptive_sum = 5, .adaptive_weight = 10}).ok());
    EXPECT_FALSE(check_state({.mirostat_mu = nan}).ok());
    EXPECT_FALSE(check_state({.adaptive_sum = inf}).ok());
    EXPECT_FALSE(check_state({.adaptive_weight = -1}).ok());
}

}  // namespace
}  // namespace puna::sampling
