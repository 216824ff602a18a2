// Logits against Transformers in float32 on the same weights (tools/make_oracle.py).
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "support/model_session.h"
#include "support/test_data.h"

namespace puna {
namespace {

using kernels::Activations;
using kernels::KvType;
using support::Logits;
using support::ModelSession;
using support::SessionOptions;

nlohmann::json read_json(const std::string& name) {
    std::ifstream in(support::model_data + name);
    EXPECT_TRUE(in.good()) << name;
    return nlohmann::json::parse(in);
}

std::shared_ptr<const models::Model> demo_model() {
    static const auto model = support::load_model(PUNA_DEMO_MODEL);
    return model;
}

/// Natural log-softmax, in double.
std::vector<double> log_softmax(std::span<const float> logits) {
    const double max = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float x : logits)
        sum += std::exp(x - max);
    const double log_sum = max + std::log(sum);
    std::vector<double> result(logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i)
        result[i] = logits[i] - log_sum;
    return result;
}

std::size_t argmax(std::span<const float> logits) {
    return static_cast<std::size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// KL(reference || measured) in nats.
double divergence(std::span<const float> reference, std::span<const float> measured) {
    const auto p = log_softmax(reference);
    const auto q = log_softmax(measured);
    double sum = 0;
    for (std::size_t i = 0; i < p.size(); ++i)
        sum += std::exp(p[i]) * (p[i] - q[i]);
    return sum;
}

/// Prompt and committed chain, in one sequence.
std::vector<std::int32_t> all_tokens(const nlohmann::json& prompt) {
    auto tokens = prompt["prompt"].get<std::vector<std::int32_t>>();
    const auto chain = prompt["chain"].get<std::vector<std::int32_t>>();
    tokens.insert(tokens.end(), chain.begin(), chain.end());
    return tokens;
}

Logits evaluate_alone(const std::shared_ptr<const models::Model>& model, const SessionOptions& options,
                      const std::vector<std::int32_t>& tokens) {
    ModelSession session(model, options);
    return session.evaluate(session.cache().add_sequence(), tokens, 512);
}

TEST(Oracle, DemoModelLogProbabilities) {
    const auto oracle = read_json("smollm2_oracle.json");
    ASSERT_EQ(oracle["prompts"].size(), 5u);
    for (const auto& prompt : oracle["prompts"]) {
        SCOPED_TRACE(prompt["name"].get<std::string>());
        const Logits logits = evaluate_alone(demo_model(), {}, all_tokens(prompt));
        double worst = 0;
        for (const auto& row : prompt["rows"]) {
            const auto position = row["position"].get<std::size_t>();
            const auto computed = log_softmax(logits.row(position));
            const auto ids = row["ids"].get<std::vector<std::size_t>>();
            const auto expected = row["logprobs"].get<std::vector<double>>();
            ASSERT_EQ(ids.size(), oracle["top"].get<std::size_t>());
            for (std::size_t i = 0; i < ids.size(); ++i) {
                EXPECT_NEAR(computed[ids[i]], expected[i], 1e-3) << "position " << position << ", token " << ids[i];
                worst = std::max(worst, std::abs(computed[ids[i]] - expected[i]));
            }
        }
        RecordProperty(prompt["name"].get<std::string>() + "_worst", std::to_string(worst));
    }
}

TEST(Oracle, DemoModelGreedyChain) {
    const auto oracle = read_json("smollm2_oracle.json");
    for (const auto& prompt : oracle["prompts"]) {
        SCOPED_TRACE(prompt["name"].get<std::string>());
        const Logits logits = evaluate_alone(demo_model(), {}, all_tokens(prompt));
        const auto chain = prompt["chain"].get<std::vector<std::size_t>>();
        const auto margins = prompt["margins"].get<std::vector<double>>();
        for (std::size_t i = 0; i < chain.size(); ++i) {
            if (margins[i] <= 1e-3) continue;  // a tie to within rounding
            EXPECT_EQ(argmax(logits.row(prompt["prompt"].size() - 1 + i)), chain[i]) << "token " << i;
        }
    }
}

class Int16Fidelity : public testing::TestWithParam<KvType> {};

TEST_P(Int16Fidelity, MeanDivergenceFromFloat32) {
    double sum = 0;
    std::size_t predictions = 0;
    const auto oracle = read_json("smollm2_oracle.json");
    for (const auto& prompt : oracle["prompts"]) {
        const auto tokens = all_tokens(prompt);
        const Logits reference = evaluate_alone(demo_model(), {.kv = GetParam()}, tokens);
        const Logits measured =
            evaluate_alone(demo_model(), {.activations = Activations::int16, .kv = GetParam()}, tokens);
        for (std::size_t row = 0; row < reference.rows(); ++row) {
            sum += divergence(reference.row(row), measured.row(row));
        }
        predictions += reference.rows();
    }
    EXPECT_GT(predictions, 500u);
    EXPECT_LT(sum / static_cast<double>(predictions), 1e-5);
    RecordProperty("mean_divergence", fmt::format("{:.3g}", sum / static_cast<double>(predictions)));
    EXPECT_GT(sum, 0);  // the two are not one and the same computation
}

INSTANTIATE_TEST_SUITE_P(KvTypes, Int16Fidelity, testing::Values(KvType::f32, KvType::f16),
                         [](const auto& instance) { return std::string(kernels::kv_type_name(instance.param)); });

class TinyModel : public testing::TestWithParam<std::string> {};

TEST_P(TinyModel, Logits) {
    const auto oracle = read_json("tiny_oracle.json");
    nlohmann::json expected;
    for (const auto& entry : oracle["models"]) {
        if (entry["file"] == GetParam() + ".gguf") expected = entry;
    }
    ASSERT_FALSE(expected.is_null());
    const auto model = support::load_model(support::model_data + expected["file"].get<std::string>());
    const Logits logits = evaluate_alone(model, {}, expected["tokens"].get<std::vector<std::int32_t>>());
    for (const auto& row : expected["rows"]) {
        const auto position = row["position"].get<std::size_t>();
        const auto values = row["logits"].get<std::vector<float>>();
        const auto computed = logits.row(position);
        ASSERT_EQ(values.size(), computed.size());
        for (std::size_t i = 0; i < values.size(); ++i) {
            ASSERT_NEAR(computed[i], values[i], 1e-4) << "position " << position << ", token " << i;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Features, TinyModel,
                         testing::Values("tiny_llama1", "tiny_llama3", "tiny_linear_rope", "tiny_mistral",
                                         "tiny_mixed_types"),
                         [](const auto& instance) { return instance.param; });

}  // namespace
}  // namespace puna
