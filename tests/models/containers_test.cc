// The same model in several containers: logits are the same bits, whatever dialect its names and its rows are in
// (tools/make_huggingface_fixtures.py writes the folders from the GGUF files).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/model_session.h"
#include "support/temp_file.h"
#include "support/test_data.h"

namespace puna::models {
namespace {

using kernels::Activations;
using support::load_model;
using support::Logits;
using support::ModelSession;
using testing::HasSubstr;

std::string gguf(const std::string& name) {
    return support::model_data + name + ".gguf";
}
std::string huggingface(const std::string& name) {
    return support::model_data + "huggingface/" + name;
}

/// Laws that the fastest set and the scalar one compute by.
std::vector<support::SessionOptions> all_ways() {
    std::vector<support::SessionOptions> ways;
    for (const kernels::KernelSet& set : kernels::all_kernel_sets()) {
        if (!set.available) continue;
        for (const Activations kind :
             {Activations::float32, Activations::int16, Activations::int8, Activations::bf16_tiles}) {
            if (set.table->matmul(quant::TensorType::F32, kind) == nullptr) continue;
            ways.push_back({.isa = std::string(set.table->name), .activations = kind, .kv = kernels::KvType::f16});
        }
    }
    return ways;
}

std::vector<float> logits_of(const std::string& path, const support::SessionOptions& options) {
    std::vector<std::int32_t> tokens;
    for (std::int32_t i = 0; i < 40; ++i)
        tokens.push_back(3 + i * 7919 % 280);
    ModelSession session(load_model(path), options);
    return session.evaluate(session.cache().add_sequence(), tokens, 16).values;
}

struct Pair {
    const char* name;
    const char* gguf;
    const char* folder;
};

class Containers : public testing::TestWithParam<Pair> {};

TEST_P(Containers, GiveTheSameBits) {
    for (const support::SessionOptions& options : all_ways()) {
        const auto expected = logits_of(gguf(GetParam().gguf), options);
        const auto found = logits_of(huggingface(GetParam().folder), options);
        ASSERT_EQ(found.size(), expected.size());
        EXPECT_EQ(std::memcmp(found.data(), expected.data(), expected.size() * sizeof(float)), 0)
            << options.isa << ' ' << kernels::activations_name(options.activations);
    }
}

INSTANTIATE_TEST_SUITE_P(
    All, Containers,
    testing::Values(Pair{"plain", "tiny_llama1", "tiny_llama1"}, Pair{"llama3_scaling", "tiny_llama3", "tiny_llama3"},
                    Pair{"linear_scaling_of_transformers_5", "tiny_linear_rope", "tiny_linear_rope"},
                    Pair{"sharded_with_wide_heads", "tiny_mistral", "tiny_mistral"}),
    [](const auto& param) { return param.param.name; });

// F64 weights are decoded to float32 in any mode, and these hold nothing that float32 does not.
TEST(ContainerTypes, F64IsComputedAsFloat32) {
    for (const support::SessionOptions& options : all_ways()) {
        support::SessionOptions plain = options;
        plain.activations = Activations::float32;
        EXPECT_EQ(logits_of(huggingface("tiny_f64"), options), logits_of(gguf("tiny_linear_rope"), plain))
            << options.isa << ' ' << kernels::activations_name(options.activations);
    }
}

TEST(ContainerTypes, EveryTypeRunsAndIsNearTheOriginal) {
    const auto expected = logits_of(gguf("tiny_linear_rope"), {});
    for (const auto& [name, bound] :
         {std::pair{"tiny_f16", 0.05F}, {"tiny_bf16", 0.3F}, {"tiny_f8_e4m3", 3.0F}, {"tiny_f8_e5m2", 6.0F}}) {
        const auto found = logits_of(huggingface(name), {});
        double sum = 0;
        for (std::size_t i = 0; i < found.size(); ++i)
            sum += std::abs(static_cast<double>(found[i]) - expected[i]);
        EXPECT_GT(sum, 0) << name;
        EXPECT_LT(sum / static_cast<double>(found.size()), bound) << name;
    }
}

/// A folder whose config.json, or whose weights' header, can be changed.
class Changed : public testing::Test {
  protected:
    void make(const std::string& name) {
        for (const auto& entry : std::filesystem::directory_iterator(huggingface(name)))
            std::filesystem::copy_file(entry.path(), folder_.path(entry.path().filename().string()));
    }
    void set(const std::string& key, const nlohmann::json& value) {
        nlohmann::json config = nlohmann::json::parse(std::ifstream(folder_.path("config.json")));
        config[key] = value;
        folder_.write("config.json", std::string_view(config.dump()));
    }
    /// Replaces text of the same length in the weights' header.
    void rename(const std::string& from, const std::string& to) {
        ASSERT_EQ(from.size(), to.size());
        std::ifstream in(folder_.path("model.safetensors"), std::ios::binary);
        std::string bytes{std::istreambuf_iterator<char>(in), {}};
        const std::size_t at = bytes.find(from);
        ASSERT_NE(at, std::string::npos);
        bytes.replace(at, from.size(), to);
        folder_.write("model.safetensors", std::string_view(bytes));
    }
    Error error() {
        auto file = formats::read_model_file(folder_.path(""));
        if (!file.ok()) return file.error();
        const auto model = create_model(*file);
        return model.ok() ? Error{} : model.error();
    }
    support::TempFolder folder_;
};

TEST_F(Changed, VariantsThatAreNotTheFamilysAreRefusedByName) {
    make("tiny_llama3");
    const std::tuple<const char*, nlohmann::json, ErrorCode, const char*> variants[] = {
        {"model_type", "qwen9", ErrorCode::unsupported_architecture, "the architecture 'qwen9'"},
        {"architectures", {"LlamaForSequenceClassification"}, ErrorCode::unsupported_architecture, "'architectures'"},
        {"hidden_act", "gelu", ErrorCode::unsupported_architecture, "'gelu'"},
        {"rope_interleaved", true, ErrorCode::unsupported_architecture, "'rope_interleaved'"},
        {"partial_rotary_factor", 0.5, ErrorCode::unsupported_architecture, "partial_rotary_factor is 0.5"},
        {"rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}, ErrorCode::unsupported_architecture, "'yarn'"},
        {"rope_scaling", {{"type", "dynamic"}, {"factor", 4.0}}, ErrorCode::unsupported_architecture, "'dynamic'"},
        {"num_local_experts", 8, ErrorCode::unsupported_architecture, "8 experts"},
        {"quantization_config", {{"quant_method", "gptq"}, {"bits", 4}}, ErrorCode::unsupported_tensor_type, "'gptq'"},
    };
    const nlohmann::json original = nlohmann::json::parse(std::ifstream(folder_.path("config.json")));
    ASSERT_EQ(error().message, "");
    for (const auto& [key, value, code, says] : variants) {
        set(key, value);
        EXPECT_EQ(error_code_name(error().code), error_code_name(code)) << key;
        EXPECT_THAT(error().message, HasSubstr(says));
        folder_.write("config.json", std::string_view(original.dump()));
    }
}

TEST_F(Changed, HyperParametersThatCannotBeAreNamedInConfigJson) {
    make("tiny_llama3");
    const std::pair<const char*, nlohmann::json> values[] = {
        {"hidden_size", 0},
        {"hidden_size", -32},
        {"hidden_size", 32.5},
        {"hidden_size", "32"},
        {"num_hidden_layers", 1e12},
        {"num_hidden_layers", 3},
        {"num_attention_heads", 3},
        {"num_key_value_heads", 3},
        {"rms_norm_eps", 0},
        {"rope_theta", -1.0},
        {"head_dim", 15},
        {"max_position_embeddings", 4294967296},
        {"tie_word_embeddings", 1},
    };
    const nlohmann::json original = nlohmann::json::parse(std::ifstream(folder_.path("config.json")));
    for (const auto& [key, value] : values) {
        set(key, value);
        EXPECT_EQ(error_code_name(error().code), "file_malformed") << key << ' ' << value;
        EXPECT_THAT(error().message, HasSubstr(key));
        EXPECT_THAT(error().message, testing::ContainsRegex("\\(at byte [0-9]+\\)")) << key << ' ' << value;
        folder_.write("config.json", std::string_view(original.dump()));
    }
    for (const char* key : {"low_freq_factor", "factor"}) {
        auto scaling = original["rope_scaling"];
        scaling[key] = key == std::string("factor") ? 0.0 : 4.0;
        set("rope_scaling", scaling);
        EXPECT_THAT(error().message, HasSubstr(std::string("config.json: key 'rope_scaling.") + key));
    }
}

TEST_F(Changed, ATensorThatHasNoPlaceIsNotLeftOutInSilence) {
    make("tiny_llama3");
    set("tie_word_embeddings", false);
    EXPECT_THAT(error().message, HasSubstr("tensor 'lm_head.weight' is missing"));
    set("tie_word_embeddings", true);
    rename("model.layers.1.self_attn.q_proj.weight", "model.layers.1.self_attn.q_proj.weighs");
    EXPECT_THAT(error().message, HasSubstr("tensor 'model.layers.1.self_attn.q_proj.weight' is missing"));
    rename("model.layers.1.self_attn.q_proj.weighs", "model.layers.1.self_attn.q_proj.weight");
    set("num_hidden_layers", 1);
    EXPECT_EQ(error().code, ErrorCode::unsupported_architecture);
    EXPECT_THAT(error().message, HasSubstr("'model.layers.1."));
    EXPECT_THAT(error().message, HasSubstr("has no place"));
}

TEST_F(Changed, WithoutAConfigTheWeightsAreShownButNotRun) {
    make("tiny_llama3");
    std::filesystem::remove(folder_.path("config.json"));
    EXPECT_EQ(error().code, ErrorCode::unsupported_architecture);
    EXPECT_THAT(error().hint, HasSubstr("config.json"));
}

TEST_F(Changed, AWindowLimitsTheContext) {
    make("tiny_llama3");
    set("sliding_window", 512);
    const auto model = load_model(folder_.path(""));
    EXPECT_EQ(model->dimensions().context, 512);
}

}  // namespace
}  // namespace puna::models
