// The same model in several containers: logits are the same bits, whatever dialect its names and its rows are in
// (tools/make_huggingface_fixtures.py and tools/make_pytorch_fixtures.py write the others from the GGUF files).
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "formats/pytorch_image.h"
#include "support/model_session.h"
#include "support/must.h"
#include "support/temp_file.h"
#include "support/test_data.h"
#include "support/tiny_model.h"

namespace puna::models {
namespace {

using kernels::Activations;
using support::load_model;
using support::ModelSession;
using support::must;
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
        for (const Activations kind : kernels::all_activations) {
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

// ---- GGUF's own versions, and shards ----

/// Parts of the model `options` asks for: the first holds all metadata, tensors are dealt out by turns.
void write_shards(const support::TempFolder& folder, const support::TinyModelOptions& options, std::uint16_t count) {
    std::vector<std::string> names;
    const auto whole = must(formats::read_model_file(folder.write("whole.gguf", support::tiny_model(options))));
    for (const formats::FoundTensor& tensor : whole->tensors)
        names.push_back(tensor.name);
    for (std::uint16_t number = 0; number < count; ++number) {
        auto builder = support::tiny_model_builder(options);
        for (std::size_t i = 0; i < names.size(); ++i) {
            if (i % count != number) builder.remove_tensor(names[i]);
        }
        builder.u16("split.no", number).u16("split.count", count);
        builder.i32("split.tensors.count", static_cast<std::int32_t>(names.size()));
        folder.write(fmt::format("part-{:05}-of-{:05}.gguf", number + 1, count), builder.build().bytes);
    }
}

TEST(GgufContainers, VersionsAndShardsGiveTheSameBits) {
    const support::TempFolder folder;
    for (const char* type : {"F32", "Q4_K"}) {
        support::TinyModelOptions options = {
            .embedding = 256, .feed_forward = 512, .matrix_type = quant::find_type(type), .tied = false};
        const std::string newest = folder.write("v3.gguf", support::tiny_model(options));
        write_shards(folder, options, 3);
        std::vector<std::string> others = {folder.path("part-00001-of-00003.gguf"),
                                           folder.path("part-00003-of-00003.gguf")};
        for (const std::uint32_t version : {1U, 2U}) {
            options.gguf_version = version;
            others.push_back(folder.write(fmt::format("v{}.gguf", version), support::tiny_model(options)));
        }
        for (const support::SessionOptions& way : all_ways()) {
            const auto expected = logits_of(newest, way);
            for (const std::string& path : others) {
                EXPECT_EQ(logits_of(path, way), expected)
                    << path << ' ' << type << ' ' << way.isa << ' ' << kernels::activations_name(way.activations);
            }
        }
    }
}

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

// ---- PyTorch's files ----

std::string pytorch(const std::string& name) {
    return support::model_data + "pytorch/" + name;
}

/// The tensors of a file as safetensors.
std::string as_safetensors(const formats::ModelFile& file) {
    nlohmann::json header;
    std::string data;
    for (const formats::FoundTensor& tensor : file.tensors) {
        const std::size_t begin = data.size();
        for (const formats::TensorPart& part : tensor.parts)
            data.append(reinterpret_cast<const char*>(part.data.data()), part.data.size());
        header[tensor.name] = {{"dtype", quant::type_info(tensor.type).name},
                               {"shape", tensor.shape},
                               {"data_offsets", {begin, data.size()}}};
    }
    const std::string text = header.dump();
    return formats::raw<std::uint64_t>(text.size()) + text + data;
}

TEST(PyTorchContainers, GiveTheSameBits) {
    const support::TempFolder folder;
    std::filesystem::copy(pytorch("shards/config.json"), folder.path("config.json"));
    folder.write("model.safetensors",
                 std::string_view(as_safetensors(*support::must(formats::read_model_file(pytorch("shards"))))));
    for (const support::SessionOptions& options : all_ways()) {
        const auto expected = logits_of(gguf("ggml/llama1_f16"), options);
        for (const std::string& path : {pytorch("shards"), pytorch("stream"), pytorch("stream/pytorch_model.bin"),
                                        pytorch("meta"), pytorch("meta/consolidated.01.pth"), folder.path("")}) {
            EXPECT_EQ(logits_of(path, options), expected)
                << path << ' ' << options.isa << ' ' << kernels::activations_name(options.activations);
        }
    }
}

/// A LLaMA in Meta's form, cut for several machines, made of a GGUF file.
class MetaForm : public testing::Test {
  protected:
    static std::string meta_name(std::string name) {
        const std::pair<const char*, const char*> pairs[] = {
            {"token_embd", "tok_embeddings"}, {"output_norm", "norm"},         {"blk.", "layers."},
            {"attn_norm", "attention_norm"},  {"attn_q", "attention.wq"},      {"attn_k", "attention.wk"},
            {"attn_v", "attention.wv"},       {"attn_output", "attention.wo"}, {"ffn_gate", "feed_forward.w1"},
            {"ffn_down", "feed_forward.w2"},  {"ffn_up", "feed_forward.w3"}};
        for (const auto& [from, to] : pairs) {
            if (const std::size_t at = name.find(from); at != std::string::npos)
                name.replace(at, std::strlen(from), to);
        }
        return name;
    }

    /// The bytes of the `part`th of `parts` pieces of a matrix, by columns or by rows.
    static std::string piece(const formats::FoundTensor& tensor, bool columns, std::size_t part, std::size_t parts) {
        const auto data = tensor.parts.at(0).data;
        const std::string all(reinterpret_cast<const char*>(data.data()), data.size());
        const std::size_t rows = columns ? tensor.shape[0] : 1;
        const std::size_t row_bytes = all.size() / rows;
        std::string bytes;
        for (std::size_t row = 0; row < rows; ++row)
            bytes += all.substr(row * row_bytes + part * (row_bytes / parts), row_bytes / parts);
        return bytes;
    }

    void write_parts(const std::string& gguf_path, std::size_t parts, bool embedding_by_rows) {
        using namespace formats::pickled;
        const auto file = support::must(formats::read_model_file(gguf_path));
        for (std::size_t part = 0; part < parts; ++part) {
            std::vector<std::string> items;
            formats::ZipImage zip;
            for (const formats::FoundTensor& tensor : file->tensors) {
                const std::string name = meta_name(tensor.name);
                if (name == "rope_freqs.weight") continue;
                const bool columns = name.find("wo.") != std::string::npos || name.find("w2.") != std::string::npos ||
                                     (name == "tok_embeddings.weight" && !embedding_by_rows);
                auto shape = tensor.shape;
                if (shape.size() == 2) (columns ? shape[1] : shape[0]) /= parts;
                const std::string bytes =
                    shape.size() == 2 ? piece(tensor, columns, part, parts) : piece(tensor, false, 0, 1);
                const std::string key = std::to_string(items.size());
                const std::string type = tensor.type == quant::TensorType::F16 ? "HalfStorage" : "FloatStorage";
                const auto elements = static_cast<std::int64_t>(bytes.size() / (type == "HalfStorage" ? 2 : 4));
                std::vector<std::int64_t> size(shape.begin(), shape.end());
                std::vector<std::int64_t> stride(size.size(), 1);
                if (size.size() == 2) stride[0] = size[1];
                items.push_back(string(name));
                items.push_back(formats::pickled::tensor(storage(type, key, elements), 0, size, stride));
                zip.add("consolidated/data/" + key, bytes);
            }
            zip.add("consolidated/data.pkl", pickle(dict(items))).finish();
            folder_.write("consolidated.0" + std::to_string(part) + ".pth", std::string_view(zip.bytes));
        }
    }
    void write_parameters(const nlohmann::json& parameters) const {
        folder_.write("params.json", std::string_view(parameters.dump()));
    }
    support::TempFolder folder_;
    const nlohmann::json llama1_ = {{"dim", 32}, {"n_heads", 4}, {"n_layers", 2}, {"norm_eps", 1e-6}};
};

TEST_F(MetaForm, PartsGiveTheSameBitsHoweverTheEmbeddingIsCut) {
    const std::string original = gguf("ggml/llama1_f16");
    const auto expected = logits_of(original, {});
    for (const std::size_t parts : {1, 2, 4}) {
        for (const bool by_rows : {false, true}) {
            write_parts(original, parts, by_rows);
            write_parameters(llama1_);
            EXPECT_EQ(logits_of(folder_.path(""), {}), expected) << parts << ' ' << by_rows;
        }
    }
    // By rows, the embedding is used where it lies.
    EXPECT_EQ(load_model(folder_.path(""))->file().find_tensor("tok_embeddings.weight")->parts.size(), 4U);
}

/// Heads that share keys, and RoPE's scaling of Llama 3.1, whose base and first context are the fixture's own.
TEST_F(MetaForm, Llama3sParametersAreRead) {
    write_parts(gguf("tiny_llama3"), 2, true);
    const auto original = load_model(gguf("tiny_llama3"));
    nlohmann::json parameters = {{"dim", original->dimensions().embedding},
                                 {"n_heads", original->dimensions().heads},
                                 {"n_kv_heads", original->dimensions().kv_heads},
                                 {"n_layers", original->dimensions().layers},
                                 {"norm_eps", 1e-5},
                                 {"vocab_size", original->dimensions().vocabulary},
                                 {"multiple_of", 8},
                                 {"ffn_dim_multiplier", 1.3},
                                 {"rope_theta", 500000.0},
                                 {"use_scaled_rope", true}};
    write_parameters(parameters);
    const auto model = load_model(folder_.path(""));
    EXPECT_EQ(model->dimensions().kv_heads, original->dimensions().kv_heads);
    EXPECT_EQ(model->dimensions().feed_forward, original->dimensions().feed_forward);
    EXPECT_EQ(model->dimensions().context, 131'072);
    // What Transformers' own folder says of the same scaling gives the same bits.
    const auto hf = [&](double factor) {
        nlohmann::json config = nlohmann::json::parse(std::ifstream(huggingface("tiny_llama3") + "/config.json"));
        config["rope_theta"] = 500000.0;
        config["rms_norm_eps"] = 1e-5;
        config["rope_scaling"] = {{"rope_type", "llama3"},
                                  {"factor", factor},
                                  {"low_freq_factor", 1.0},
                                  {"high_freq_factor", 4.0},
                                  {"original_max_position_embeddings", 8192}};
        support::TempFolder folder;
        for (const auto& entry : std::filesystem::directory_iterator(huggingface("tiny_llama3")))
            std::filesystem::copy_file(entry.path(), folder.path(entry.path().filename().string()));
        folder.write("config.json", std::string_view(config.dump()));
        return logits_of(folder.path(""), {});
    };
    EXPECT_EQ(logits_of(folder_.path(""), {}), hf(8.0));
    parameters["rope_scaling_factor"] = 32;
    write_parameters(parameters);
    EXPECT_EQ(logits_of(folder_.path(""), {}), hf(32.0));
    EXPECT_NE(hf(8.0), hf(32.0));
}

TEST_F(MetaForm, TheContextFollowsFromTheVersion) {
    write_parts(gguf("ggml/llama1_f16"), 1, false);
    const auto context = [&](const nlohmann::json& changes) {
        nlohmann::json parameters = llama1_;
        if (!changes.empty()) parameters.update(changes);
        write_parameters(parameters);
        return load_model(folder_.path(""))->dimensions().context;
    };
    EXPECT_EQ(context({}), 2048);
    EXPECT_EQ(context({{"norm_eps", 1e-5}}), 4096);
    EXPECT_EQ(context({{"norm_eps", 1e-5}, {"rope_theta", 5e5}}), 8192);
    EXPECT_EQ(context({{"max_seq_len", 300}}), 300);
}

TEST_F(MetaForm, ParametersThatCannotBeAreNamed) {
    write_parts(gguf("ggml/llama1_f16"), 1, false);
    const std::pair<const char*, nlohmann::json> values[] = {
        {"dim", 0},      {"dim", "32"},      {"n_layers", 3},       {"n_layers", -1},   {"n_heads", 3},
        {"n_heads", 0},  {"n_kv_heads", 3},  {"norm_eps", 0},       {"rope_theta", -1}, {"use_scaled_rope", 1},
        {"head_dim", 7}, {"max_seq_len", 0}, {"sliding_window", 0}, {"vocab_size", 1e3}};
    for (const auto& [key, value] : values) {
        nlohmann::json parameters = llama1_;
        parameters[key] = value;
        write_parameters(parameters);
        auto file = formats::read_model_file(folder_.path(""));
        const auto model = file.ok() ? create_model(*file) : Result<std::shared_ptr<const Model>>(file.error());
        ASSERT_FALSE(model.ok()) << key << ' ' << value;
        EXPECT_EQ(error_code_name(model.error().code), "file_malformed") << key << ' ' << value;
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
        EXPECT_THAT(error().message, HasSubstr(std::string("config.json: key '") + key));
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

// Rows that no token names are padding; a token without a row could not be looked up.
TEST_F(Changed, AVocabularyWithoutATokenizerFitsTheEmbedding) {
    make("tiny_llama3");
    const nlohmann::json original = nlohmann::json::parse(std::ifstream(folder_.path("config.json")));
    const auto rows = original["vocab_size"].get<std::int64_t>();
    const nlohmann::json wrong[] = {
        0,   -1,    -rows,   rows + 1, rows + (std::int64_t{1} << 32), std::numeric_limits<std::uint64_t>::max(),
        1.5, "288", {1, "a"}};
    for (const nlohmann::json& value : wrong) {
        set("vocab_size", value);
        EXPECT_EQ(error_code_name(error().code), "file_malformed") << value;
        EXPECT_THAT(error().message, HasSubstr("config.json: key 'vocab_size' (at byte ")) << value;
    }
    for (const nlohmann::json& value : {nlohmann::json(rows), nlohmann::json(rows - 1), nlohmann::json()}) {
        set("vocab_size", value);
        EXPECT_EQ(error().message, "") << value;
        EXPECT_EQ(load_model(folder_.path(""))->dimensions().vocabulary, rows);
    }
}

TEST_F(Changed, AnEmbeddingOfMoreRowsThanThereAreIdsIsNamedWithThem) {
    make("tiny_llama3");
    auto file = std::make_shared<formats::ModelFile>(*must(formats::read_model_file(folder_.path(""))));
    for (formats::FoundTensor& tensor : file->tensors) {
        if (tensor.name == "model.embed_tokens.weight") tensor.shape[0] = std::uint64_t{1} << 34;
    }
    const auto model = create_model(file);
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.error().code, ErrorCode::file_malformed);
    EXPECT_THAT(model.error().message, HasSubstr("tensor 'model.embed_tokens.weight' (at byte "));
    EXPECT_THAT(model.error().message, HasSubstr("has 17179869184 rows, which is not in [1, 1073741824]"));
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
