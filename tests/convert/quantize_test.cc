// Plans and what comes of them.
#include "convert/quantize.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>

#include "support/must.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

namespace puna::convert {
namespace {

using formats::FoundTensor;
using formats::ModelFile;
using quant::TensorType;
using support::must;
using testing::HasSubstr;

std::string code_of(const Error& error) {
    return std::string(error_code_name(error.code));
}

std::string file_bytes(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<float> decoded(const FoundTensor& tensor) {
    std::vector<float> values(tensor.elements());
    quant::type_info(tensor.type).to_float(tensor.parts.front().data.data(), values.data(), values.size());
    return values;
}

class QuantizeTest : public testing::Test {
  protected:
    /// Wide enough for the k-quants; 16 layers, 4 query heads to a KV head.
    static support::TinyModelOptions wide() {
        return {.layers = 16, .embedding = 256, .feed_forward = 512, .heads = 8, .kv_heads = 2, .tied = false};
    }
    std::shared_ptr<const ModelFile> model(const support::TinyModelOptions& options) {
        return must(formats::read_model_file(folder_.write("in.gguf", support::tiny_model(options))));
    }
    std::shared_ptr<const ModelFile> model(const support::GgufBuilder& builder) {
        return must(formats::read_model_file(folder_.write("in.gguf", builder.build().bytes)));
    }
    static QuantizeOptions as(std::string_view mix) { return {.mix = find_mix(mix)}; }

    /// Types by name of the tensor; norms left out.
    static std::map<std::string, std::string> types(const QuantizePlan& plan) {
        std::map<std::string, std::string> all;
        for (const PlannedTensor& tensor : plan.tensors)
            all[tensor.source->name] = std::string(quant::type_info(tensor.type).name);
        return all;
    }

    std::shared_ptr<const ModelFile> write(const QuantizePlan& plan, std::size_t threads = 2,
                                           const char* name = "out.gguf") {
        const auto pool = must(base::ThreadPool::create(threads));
        const auto written = write_model(plan, folder_.path(name), *pool, {});
        if (!written.ok()) throw std::runtime_error(written.error().message);
        return must(formats::read_model_file(folder_.path(name)));
    }
    std::size_t files() const {
        const auto entries =
            std::filesystem::directory_iterator(std::filesystem::path(folder_.path("x")).parent_path());
        return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
    }

    support::TempFolder folder_;
};

// What llama-quantize plans for models of this shape (16 layers, 4 query heads to a KV head, untied): tensors that do
// not get the mix's base type, by their layers.
struct Expected {
    const char* mix;
    std::map<std::string, std::map<std::string, std::vector<int>>> others;
    const char* embedding = nullptr;  // null: the base type
    const char* head = "Q6_K";
};

std::vector<int> all_layers() {
    std::vector<int> layers(16);
    for (int i = 0; i < 16; ++i)
        layers[static_cast<std::size_t>(i)] = i;
    return layers;
}

TEST_F(QuantizeTest, MixesSpendBitsWhereTheyMatter) {
    const std::vector<int> all = all_layers();
    const std::vector<int> some = {0, 1, 4, 7, 10, 13, 14, 15};
    std::vector<int> from_two = all;
    from_two.erase(from_two.begin(), from_two.begin() + 2);
    std::vector<int> from_one = all;
    from_one.erase(from_one.begin());
    const std::vector<int> middle = {2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13};
    const std::vector<Expected> mixes = {
        {"Q2_K", {{"attn_v", {{"Q4_K", all}}}, {"attn_output", {{"Q3_K", all}}}, {"ffn_down", {{"Q3_K", all}}}}},
        {"Q2_K_S", {{"attn_v", {{"Q4_K", all}}}, {"ffn_down", {{"Q4_K", {0, 1}}}}}},
        {"Q3_K_S", {}},
        {"Q3_K_M",
         {{"attn_v", {{"Q5_K", {0, 1}}, {"Q4_K", from_two}}},
          {"attn_output", {{"Q4_K", all}}},
          {"ffn_down", {{"Q5_K", {0}}, {"Q4_K", from_one}}}}},
        {"Q3_K_L", {{"attn_v", {{"Q5_K", all}}}, {"attn_output", {{"Q5_K", all}}}, {"ffn_down", {{"Q5_K", all}}}}},
        {"Q4_K_S", {{"attn_v", {{"Q5_K", {0, 1, 2, 3}}}}, {"ffn_down", {{"Q5_K", {0, 1}}}}}},
        {"Q4_K_M", {{"attn_v", {{"Q6_K", some}}}, {"ffn_down", {{"Q6_K", some}}}}},
        {"Q5_K_S", {}},
        {"Q5_K_M", {{"attn_v", {{"Q6_K", some}}}, {"ffn_down", {{"Q6_K", some}}}}},
        {"Q6_K", {}},
        {"IQ4_NL", {{"attn_v", {{"Q5_K", all}}}, {"ffn_down", {{"Q5_K", {0, 1}}}}}},
        {"IQ4_XS", {{"attn_v", {{"Q5_K", all}}}, {"ffn_down", {{"Q5_K", {0, 1}}}}}},
        {"Q4_0", {}},
        {"NVFP4", {}},
        {"Q8_0", {}, nullptr, "Q8_0"},
        {"F16", {}, nullptr, "F16"},
        {"IQ3_M", {{"attn_v", {{"Q4_K", all}}}, {"attn_output", {{"Q4_K", all}}}, {"ffn_down", {{"Q4_K", {0, 1}}}}}},
        {"IQ3_S", {{"attn_v", {{"Q4_K", all}}}}},
        {"IQ3_XS",
         {{"attn_v", {{"Q4_K", all}}},
          {"attn_q", {{"IQ3_XXS", all}}},
          {"attn_k", {{"IQ3_XXS", all}}},
          {"ffn_gate", {{"IQ3_XXS", middle}}},
          {"ffn_up", {{"IQ3_XXS", middle}}}}},
        {"IQ3_XXS",
         {{"attn_v", {{"Q4_K", all}}},
          {"attn_q", {{"IQ2_S", all}}},
          {"attn_k", {{"IQ2_S", all}}},
          {"attn_output", {{"IQ3_S", all}}},
          {"ffn_down", {{"Q4_K", {0, 1}}, {"Q3_K", from_two}}}},
         "IQ3_S",
         "Q5_K"},
        {"IQ2_M",
         {{"attn_v", {{"Q4_K", all}}}, {"attn_output", {{"IQ3_S", all}}}, {"ffn_down", {{"IQ3_S", {0, 1}}}}},
         "IQ3_S",
         "Q5_K"},
        {"IQ2_S",
         {{"attn_v", {{"Q4_K", all}}}, {"attn_output", {{"IQ3_S", all}}}, {"ffn_down", {{"IQ3_S", {0, 1}}}}},
         "IQ3_S",
         "Q5_K"},
        {"IQ2_XS", {{"attn_v", {{"Q4_K", all}}}, {"ffn_down", {{"Q2_K", {0, 1}}}}}, "Q2_K", "Q5_K"},
        {"IQ2_XXS", {{"attn_v", {{"Q4_K", all}}}, {"ffn_down", {{"Q2_K", {0, 1}}}}}, "Q2_K", "Q5_K"},
        {"IQ1_M",
         {{"attn_v", {{"Q4_K", all}}}, {"attn_output", {{"IQ2_XXS", all}}}, {"ffn_down", {{"Q2_K", {0, 1}}}}},
         "Q2_K",
         "Q5_K"},
        {"IQ1_S",
         {{"attn_v", {{"Q4_K", all}}}, {"attn_output", {{"IQ2_XXS", all}}}, {"ffn_down", {{"Q2_K", {0, 1}}}}},
         "Q2_K",
         "Q5_K"},
    };
    const auto source = model(wide());
    for (const Expected& expected : mixes) {
        const Mix& mix = *find_mix(expected.mix);
        std::map<std::string, std::string> want;
        for (const FoundTensor& tensor : source->tensors) {
            const bool vector = tensor.shape.size() == 1;
            want[tensor.name] = vector ? "F32" : std::string(quant::type_info(mix.base).name);
        }
        want["output.weight"] = expected.head;
        if (expected.embedding != nullptr) want["token_embd.weight"] = expected.embedding;
        for (const auto& [part, by_type] : expected.others) {
            for (const auto& [type, layers] : by_type) {
                for (const int layer : layers)
                    want["blk." + std::to_string(layer) + "." + part + ".weight"] = type;
            }
        }
        EXPECT_EQ(types(must(plan_quantization(source, as(expected.mix)))), want) << expected.mix;
    }
}

TEST_F(QuantizeTest, HeadsThatShareNoKeysGetFewerBitsForValues) {
    support::TinyModelOptions options = wide();
    options.kv_heads = options.heads;
    EXPECT_EQ(types(must(plan_quantization(model(options), as("Q2_K"))))["blk.3.attn_v.weight"], "Q3_K");
    EXPECT_EQ(types(must(plan_quantization(model(options), as("Q2_K_S"))))["blk.3.attn_v.weight"], "Q2_K");
    for (const auto& [mix, type] : {std::pair{"IQ3_XXS", "IQ3_S"},
                                    {"IQ3_XS", "IQ3_S"},
                                    {"IQ3_M", "Q4_K"},
                                    {"IQ2_M", "IQ3_S"},
                                    {"IQ2_XXS", "Q2_K"},
                                    {"IQ1_S", "Q2_K"}})
        EXPECT_EQ(types(must(plan_quantization(model(options), as(mix))))["blk.3.attn_v.weight"], type) << mix;
}

TEST_F(QuantizeTest, AMatrixChangesSomeTypes) {
    support::TinyModelOptions shape = wide();
    shape.kv_heads = shape.heads;
    const auto source = model(shape);
    for (const auto& [mix, type] : {std::pair{"Q4_0", "Q4_1"},
                                    {"Q5_0", "Q5_1"},
                                    {"IQ4_NL", "IQ4_NL"},
                                    {"IQ4_XS", "IQ4_XS"},
                                    {"IQ3_XXS", "IQ3_XXS"}}) {
        QuantizeOptions options = as(mix);
        options.imatrix = std::make_shared<const formats::Imatrix>();
        auto got = types(must(plan_quantization(source, options)));
        EXPECT_EQ(got["blk.1.ffn_down.weight"], type) << mix;
        EXPECT_EQ(got["blk.2.ffn_down.weight"], mix) << mix;
        EXPECT_EQ(got["blk.2.attn_v.weight"], mix) << mix;
    }
}

TEST_F(QuantizeTest, HeadsOfRowsThatDoNotDivideGetEightBits) {
    for (const char* mix : {"IQ1_S", "IQ2_M", "Q2_K"})
        EXPECT_EQ(types(must(plan_quantization(model({.tied = false}), as(mix))))["output.weight"], "Q8_0") << mix;
}

TEST_F(QuantizeTest, EmbeddingsOfTernaryModelsAreNotTernary) {
    for (const char* mix : {"TQ1_0", "TQ2_0"}) {
        auto got = types(must(plan_quantization(model(wide()), as(mix))));
        EXPECT_EQ(got["token_embd.weight"], "Q4_K");
        EXPECT_EQ(got["output.weight"], "Q6_K");
        EXPECT_EQ(got["blk.3.attn_v.weight"], mix);
        EXPECT_EQ(got["blk.3.ffn_down.weight"], mix);
    }
}

TEST_F(QuantizeTest, TiedEmbeddingsAreTheHead) {
    support::TinyModelOptions options = wide();
    options.tied = true;
    EXPECT_EQ(types(must(plan_quantization(model(options), as("Q4_K_M"))))["token_embd.weight"], "Q6_K");
    options.tied = false;
    EXPECT_EQ(types(must(plan_quantization(model(options), as("Q4_K_M"))))["token_embd.weight"], "Q4_K");
}

TEST_F(QuantizeTest, NamesIgnoreCaseAndShortOnesMeanM) {
    EXPECT_EQ(find_mix("q4_k_m"), find_mix("Q4_K_M"));
    EXPECT_EQ(find_mix("q4_k"), find_mix("Q4_K_M"));
    EXPECT_EQ(find_mix("mxfp4")->base, TensorType::MXFP4);
    EXPECT_EQ(find_mix("Q4_K_X"), nullptr);
    EXPECT_EQ(find_mix("Q1_0"), nullptr);
    for (const Mix& mix : all_mixes())
        EXPECT_NE(quant::type_info(mix.base).from_float, nullptr) << mix.name;
}

TEST_F(QuantizeTest, PureIsOneType) {
    QuantizeOptions options = as("Q4_K_M");
    options.pure = true;
    for (const auto& [name, type] : types(must(plan_quantization(model(wide()), options))))
        EXPECT_EQ(type, name.find("norm") == std::string::npos ? "Q4_K" : "F32") << name;
}

TEST_F(QuantizeTest, OverridesDecideAndTheLastOneWins) {
    QuantizeOptions options = as("Q4_K_M");
    options.overrides = {{"blk.*.ffn_down.weight", TensorType::Q8_0},
                         {"blk.1?.ffn_down.weight", TensorType::F16},
                         {"*", TensorType::Q5_K},
                         {"output.weight", TensorType::BF16}};
    auto got = types(must(plan_quantization(model(wide()), options)));
    EXPECT_EQ(got["blk.3.ffn_down.weight"], "Q5_K");
    EXPECT_EQ(got["output.weight"], "BF16");
    EXPECT_EQ(got["output_norm.weight"], "F32");  // a norm is never changed
    options.overrides.erase(options.overrides.begin() + 2);
    got = types(must(plan_quantization(model(wide()), options)));
    EXPECT_EQ(got["blk.3.ffn_down.weight"], "Q8_0");
    EXPECT_EQ(got["blk.13.ffn_down.weight"], "F16");
    EXPECT_EQ(got["blk.3.ffn_up.weight"], "Q4_K");

    options.overrides = {{"ffn_down", TensorType::Q8_0}};
    const auto unmatched = plan_quantization(model(wide()), options);
    ASSERT_FALSE(unmatched.ok());
    EXPECT_EQ(code_of(unmatched.error()), "invalid_argument");
    EXPECT_THAT(unmatched.error().message, HasSubstr("'ffn_down'"));
}

TEST_F(QuantizeTest, GlobsMatchWholeNames) {
    EXPECT_TRUE(matches_glob("*", ""));
    EXPECT_TRUE(matches_glob("a*b*c", "a-b-b-c"));
    EXPECT_TRUE(matches_glob("?*", "x"));
    EXPECT_TRUE(matches_glob("*.weight", "blk.0.weight.weight"));
    EXPECT_FALSE(matches_glob("a*b", "a-b-c"));
    EXPECT_FALSE(matches_glob("?", ""));
    EXPECT_FALSE(matches_glob("", "x"));
    EXPECT_FALSE(matches_glob("blk.?.x", "blk.10.x"));
    EXPECT_FALSE(matches_glob(std::string(60, '*') + "b", std::string(100'000, 'a')));  // no exponential time
}

TEST_F(QuantizeTest, RowsThatDoNotDivideFallBack) {
    // Rows of 64 and 96.
    const auto source = model({.tied = false});
    const std::map<std::string, std::string> instead = {
        {"Q2_K", "IQ4_NL"},    {"Q3_K_S", "IQ4_NL"}, {"IQ4_XS", "IQ4_NL"},  {"IQ1_S", "IQ4_NL"}, {"IQ1_M", "IQ4_NL"},
        {"IQ2_XXS", "IQ4_NL"}, {"IQ2_M", "IQ4_NL"},  {"IQ3_XXS", "IQ4_NL"}, {"IQ3_S", "IQ4_NL"}, {"TQ1_0", "Q4_0"},
        {"TQ2_0", "Q4_0"},     {"Q4_K_M", "Q5_0"},   {"Q5_K_S", "Q5_1"},    {"Q6_K", "Q8_0"}};
    for (const auto& [mix, type] : instead) {
        const QuantizePlan plan = must(plan_quantization(source, as(mix)));
        EXPECT_EQ(types(plan)["blk.0.ffn_up.weight"], type) << mix;
        EXPECT_EQ(types(plan)["output.weight"], "Q8_0") << mix;
        for (const PlannedTensor& tensor : plan.tensors) {
            if (tensor.source->name == "blk.0.ffn_up.weight") {
                EXPECT_EQ(tensor.wanted, find_mix(mix)->base);
            }
        }
    }
    const auto odd = model(support::tiny_model_builder().f32_tensor("odd.weight", {33, 2}, std::vector<float>(66)));
    EXPECT_EQ(types(must(plan_quantization(odd, as("Q8_0"))))["odd.weight"], "F16");
}

TEST_F(QuantizeTest, QuantizingTwiceMustBeAskedFor) {
    const auto source = model({.matrix_type = quant::find_type("Q8_0")});
    const auto refused = plan_quantization(source, as("Q4_0"));
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(code_of(refused.error()), "invalid_argument");
    EXPECT_THAT(refused.error().hint, HasSubstr("--allow-requantize"));
    QuantizeOptions options = as("Q4_0");
    options.allow_requantize = true;
    EXPECT_TRUE(plan_quantization(source, options).ok());
    EXPECT_TRUE(plan_quantization(source, as("Q8_0")).ok());  // nothing changes
    EXPECT_TRUE(plan_quantization(source, as("F32")).ok());   // decoding is not quantizing
}

TEST_F(QuantizeTest, TypesThatAreNotComputedAreCopiedButNotConverted) {
    auto builder = support::tiny_model_builder();
    builder.tensor("strange.weight", {128, 2}, static_cast<std::uint32_t>(TensorType::Q1_0),
                   std::vector<std::byte>(36, std::byte{7}));
    builder.tensor("ids.weight", {4, 2}, static_cast<std::uint32_t>(TensorType::I32), std::vector<std::byte>(32));
    const auto source = model(builder);
    QuantizeOptions options = as("Q8_0");
    options.allow_requantize = true;
    const auto refused = plan_quantization(source, options);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(code_of(refused.error()), "unsupported_tensor_type");
    EXPECT_THAT(refused.error().message, HasSubstr("strange.weight"));

    const QuantizePlan copy = must(plan_quantization(source, {}));
    write(copy);
    EXPECT_EQ(file_bytes(folder_.path("in.gguf")), file_bytes(folder_.path("out.gguf")));
    options.overrides = {{"token_embd.weight", TensorType::Q1_0}};
    const auto unwritten = plan_quantization(model(support::TinyModelOptions{.embedding = 256}), options);
    ASSERT_FALSE(unwritten.ok());
    EXPECT_EQ(code_of(unwritten.error()), "invalid_argument");
    EXPECT_THAT(unwritten.error().message, HasSubstr("to Q1_0: this build does not write the type"));
}

TEST_F(QuantizeTest, TypesWithCodeBooksBecomeOthers) {
    for (const char* name : {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"}) {
        const quant::TypeInfo& type = *quant::find_type(name);
        auto builder = support::tiny_model_builder();
        builder.tensor("small.weight", {256, 2}, static_cast<std::uint32_t>(type.type),
                       std::vector<std::byte>(std::size_t{2} * type.block_bytes, std::byte{0x25}));
        const auto source = model(builder);
        EXPECT_FALSE(plan_quantization(source, as("Q4_0")).ok()) << name;  // a second time
        const std::vector<float> want = decoded(*source->find_tensor("small.weight"));
        EXPECT_NE(want, std::vector<float>(512)) << name;
        EXPECT_EQ(decoded(*write(must(plan_quantization(source, as("F32"))))->find_tensor("small.weight")), want);
    }
}

TEST_F(QuantizeTest, WritesWhatTheEncodersGive) {
    support::TinyModelOptions options = wide();
    options.layers = 2;
    const auto source = model(options);
    for (const Mix& mix : all_mixes()) {
        const QuantizePlan plan = must(plan_quantization(source, as(mix.name)));
        const auto result = write(plan);
        ASSERT_EQ(result->tensors.size(), source->tensors.size());
        EXPECT_EQ(std::filesystem::file_size(folder_.path("out.gguf")), plan.layout.file_bytes);
        for (std::size_t i = 0; i < source->tensors.size(); ++i) {
            const FoundTensor& from = source->tensors[i];
            const FoundTensor& to = result->tensors[i];
            EXPECT_EQ(to.name, from.name);
            EXPECT_EQ(to.type, plan.tensors[i].type);
            EXPECT_EQ(to.bytes(), plan.tensors[i].bytes);
            std::vector<std::byte> blocks(to.bytes());
            const std::vector<float> values = decoded(from);
            quant::type_info(to.type).from_float(values.data(), blocks.data(), values.size());
            EXPECT_TRUE(std::ranges::equal(blocks, to.parts.front().data)) << mix.name << ' ' << to.name;
        }
        EXPECT_EQ(must(result->metadata.unsigned_integer("general.file_type")), mix.file_type);
        EXPECT_EQ(result->vocabulary.tokens, source->vocabulary.tokens);
    }
    EXPECT_EQ(must(write(must(plan_quantization(source, as("Q4_0"))))
                       ->metadata.unsigned_integer("general.quantization_version")),
              2U);
}

TEST_F(QuantizeTest, BytesDoNotDependOnThreads) {
    // 300 x 256 = 76,800 elements in the embedding: several pieces, the last not full.
    const QuantizePlan plan = must(plan_quantization(model(wide()), as("Q4_K_M")));
    write(plan, 1, "one.gguf");
    for (const std::size_t threads : {2U, 3U, 8U}) {
        write(plan, threads, "more.gguf");
        EXPECT_TRUE(file_bytes(folder_.path("one.gguf")) == file_bytes(folder_.path("more.gguf"))) << threads;
    }
}

TEST_F(QuantizeTest, EveryTypeBecomesEveryOther) {
    const char* const names[] = {"F32", "F16", "BF16", "Q8_0", "Q6_K", "Q4_0", "Q4_K_S", "MXFP4", "NVFP4"};
    for (const char* from : names) {
        const auto source =
            model({.embedding = 256, .feed_forward = 256, .matrix_type = &quant::type_info(find_mix(from)->base)});
        for (const char* to : names) {
            QuantizeOptions options = as(to);
            options.allow_requantize = true;
            options.pure = true;
            const auto result = write(must(plan_quantization(source, options)));
            const std::vector<float> want = decoded(*source->find_tensor("blk.1.ffn_up.weight"));
            const std::vector<float> got = decoded(*result->find_tensor("blk.1.ffn_up.weight"));
            double error = 0;
            double power = 0;
            for (std::size_t i = 0; i < want.size(); ++i) {
                error += std::pow(want[i] - got[i], 2.0);
                power += std::pow(want[i], 2.0);
            }
            EXPECT_LT(std::sqrt(error / power), 0.2) << from << " to " << to;
            if (find_mix(from) == find_mix(to)) {
                EXPECT_EQ(got, want);
            }
        }
    }
}

TEST_F(QuantizeTest, F32TakesAllTensors) {
    auto builder = support::tiny_model_builder({.matrix_type = quant::find_type("F16")});
    std::vector<std::byte> halves(128);
    builder.remove_tensor("output_norm.weight");
    builder.tensor("output_norm.weight", {64}, static_cast<std::uint32_t>(TensorType::F16), halves);
    const auto source = model(builder);
    EXPECT_EQ(types(must(plan_quantization(source, as("F32"))))["output_norm.weight"], "F32");
    EXPECT_EQ(types(must(plan_quantization(source, as("Q8_0"))))["output_norm.weight"], "F16");
}

TEST_F(QuantizeTest, NumbersThatCannotBeStoredAreErrors) {
    const auto with_value = [&](float value, std::string_view mix) {
        std::vector<float> values(64 * 2, 1.0F);
        values[70] = value;
        values[90] = value;
        const auto source = model(support::tiny_model_builder().f32_tensor("large.weight", {64, 2}, values));
        const auto pool = must(base::ThreadPool::create(2));
        return write_model(must(plan_quantization(source, as(mix))), folder_.path("out.gguf"), *pool, {});
    };
    for (const float value : {std::nanf(""), HUGE_VALF, -HUGE_VALF, 1e6F}) {
        for (const char* mix : {"F16", "Q8_0", "Q4_1"}) {
            const auto failed = with_value(value, mix);
            ASSERT_FALSE(failed.ok()) << value << mix;
            EXPECT_EQ(code_of(failed.error()), "invalid_number");
            EXPECT_THAT(failed.error().message, HasSubstr("tensor 'large.weight', element 70"));
            EXPECT_EQ(files(), 1U);
        }
    }
    EXPECT_TRUE(with_value(1e6F, "BF16").ok());
    EXPECT_TRUE(with_value(65504.0F, "F16").ok());
    EXPECT_TRUE(with_value(65504.0F, "Q4_0").ok());
    EXPECT_TRUE(with_value(1e6F, "MXFP4").ok());
    EXPECT_TRUE(with_value(2688.0F, "NVFP4").ok());
    EXPECT_FALSE(with_value(2689.0F, "NVFP4").ok());
}

TEST_F(QuantizeTest, CancelledLeavesNothing) {
    const QuantizePlan plan = must(plan_quantization(model(wide()), as("Q8_0")));
    const auto pool = must(base::ThreadPool::create(2));
    std::uint64_t last = 0;
    int calls = 0;
    const auto stopped = write_model(plan, folder_.path("out.gguf"), *pool, [&](std::uint64_t done, std::uint64_t all) {
        EXPECT_GE(done, last);
        EXPECT_LE(done, all);
        last = done;
        return ++calls < 20;
    });
    ASSERT_FALSE(stopped.ok());
    EXPECT_EQ(code_of(stopped.error()), "cancelled");
    EXPECT_EQ(files(), 1U);
    folder_.write("out.gguf", std::string_view("what was there"));
    EXPECT_FALSE(write_model(plan, folder_.path("out.gguf"), *pool, [](auto, auto) { return false; }).ok());
    EXPECT_EQ(file_bytes(folder_.path("out.gguf")), "what was there");
}

TEST_F(QuantizeTest, ProgressEndsAtAllBytes) {
    const QuantizePlan plan = must(plan_quantization(model(support::TinyModelOptions()), as("Q8_0")));
    const auto pool = must(base::ThreadPool::create(2));
    std::uint64_t done_last = 0;
    std::uint64_t all_last = 1;
    ASSERT_TRUE(write_model(plan, folder_.path("out.gguf"), *pool, [&](std::uint64_t done, std::uint64_t all) {
                    done_last = done;
                    all_last = all;
                    return true;
                }).ok());
    EXPECT_EQ(done_last, all_last);
}

TEST_F(QuantizeTest, TheFileMayTakeItsOwnPlace) {
    const auto source = model(wide());
    write(must(plan_quantization(source, as("Q8_0"))), 2, "in.gguf");
    EXPECT_EQ(must(formats::read_model_file(folder_.path("in.gguf")))->find_tensor("blk.0.ffn_up.weight")->type,
              TensorType::Q8_0);
}

TEST_F(QuantizeTest, AFileCutShortIsAnErrorAndLeavesNothing) {
    const auto source = model(wide());
    const QuantizePlan plan = must(plan_quantization(source, as("Q8_0")));
    const auto pool = must(base::ThreadPool::create(2));
    std::filesystem::resize_file(folder_.path("in.gguf"), 1 << 20);
    const auto failed = write_model(plan, folder_.path("out.gguf"), *pool, {});
    ASSERT_FALSE(failed.ok());
    EXPECT_EQ(code_of(failed.error()), "file_changed");
    EXPECT_EQ(files(), 1U);
}

TEST_F(QuantizeTest, ExpertsAreMatrices) {
    auto builder = support::tiny_model_builder(wide());
    std::vector<float> values(3 * 4 * 256);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = std::sin(static_cast<float>(i));
    builder.f32_tensor("blk.0.ffn_down_exps.weight", {256, 4, 3}, values)
        .f32_tensor("blk.0.ffn_gate_inp.weight", {256, 4}, std::vector<float>(1024, 1.0F))
        .f32_tensor("blk.0.attn_q.bias", {256, 4}, std::vector<float>(1024, 1.0F));
    const auto result = write(must(plan_quantization(model(builder), as("Q4_K_M"))));
    EXPECT_EQ(result->find_tensor("blk.0.ffn_down_exps.weight")->type, TensorType::Q6_K);
    EXPECT_EQ(result->find_tensor("blk.0.ffn_gate_inp.weight")->type, TensorType::F32);
    EXPECT_EQ(result->find_tensor("blk.0.attn_q.bias")->type, TensorType::F32);
    const std::vector<float> got = decoded(*result->find_tensor("blk.0.ffn_down_exps.weight"));
    for (std::size_t i = 0; i < values.size(); ++i)
        ASSERT_NEAR(got[i], values[i], 0.05);
}

}  // namespace
}  // namespace puna::convert
