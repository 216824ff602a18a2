#include "support/tiny_model.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <random>
#include <stdexcept>

namespace puna::support {
namespace {

constexpr std::uint32_t byte_tokens = 256;
constexpr std::uint32_t control_tokens = 3;

/// The pieces behind the bytes, most frequent first: each follows from shorter ones by one merge.
const std::vector<std::string>& pieces() {
    static const std::vector<std::string> list = [] {
        const std::string space = "\xE2\x96\x81";  // U+2581, which stands for a space
        std::vector<std::string> all = {space,         "e",  "t",  "a",  "o",   "i",   "n",   "s",  "h",
                                        "r",           "d",  "l",  "u",  "c",   "m",   "w",   "f",  "g",
                                        "y",           "p",  "b",  ".",  ",",   "v",   "k",   "th", "he",
                                        space + "t",   "in", "er", "an", "re",  "on",  "the", "at", space + "a",
                                        space + "the", "nd", "en", "ou", "ing", "and", "or",  "is"};
        return all;
    }();
    return list;
}

void add_vocabulary(GgufBuilder& builder, std::uint32_t size) {
    std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
    std::vector<std::int32_t> kinds = {2, 3, 3};
    for (std::uint32_t byte = 0; byte < byte_tokens; ++byte) {
        tokens.push_back(fmt::format("<0x{:02X}>", byte));
        kinds.push_back(6);
    }
    std::vector<float> scores(tokens.size(), 0.0F);
    if (size < tokens.size()) throw std::invalid_argument("the vocabulary does not hold the bytes");
    for (std::size_t i = 0; tokens.size() < size; ++i) {
        tokens.push_back(i < pieces().size() ? pieces()[i] : fmt::format("piece{}", i));
        kinds.push_back(1);
        scores.push_back(-static_cast<float>(i));
    }
    builder.string("tokenizer.ggml.model", "llama")
        .strings("tokenizer.ggml.tokens", tokens)
        .array("tokenizer.ggml.scores", GgufType::f32, scores)
        .array("tokenizer.ggml.token_type", GgufType::i32, kinds)
        .u32("tokenizer.ggml.unknown_token_id", 0)
        .u32("tokenizer.ggml.bos_token_id", 1)
        .u32("tokenizer.ggml.eos_token_id", 2)
        .boolean("tokenizer.ggml.add_bos_token", true);
}

class Weights {
  public:
    Weights(GgufBuilder& builder, const TinyModelOptions& options)
        : builder_(builder), type_(options.matrix_type), random_(options.seed) {}

    /// [rows][columns], uniform with a standard deviation of columns^-1/2, so that activations keep their size.
    void matrix(const std::string& name, std::uint32_t rows, std::uint32_t columns) {
        const std::size_t count = std::size_t{rows} * columns;
        std::vector<float> values(count);
        const double width = std::sqrt(3.0 / columns);
        for (float& v : values)
            v = static_cast<float>(width * uniform());
        if (type_ == nullptr) {
            builder_.f32_tensor(name, {columns, rows}, values);
            return;
        }
        if (type_->from_float == nullptr || columns % type_->block_elements != 0) {
            throw std::invalid_argument(fmt::format("cannot write {} columns as {}", columns, type_->name));
        }
        std::vector<std::byte> blocks(count / type_->block_elements * type_->block_bytes);
        type_->from_float(values.data(), blocks.data(), count);
        builder_.tensor(name, {columns, rows}, static_cast<std::uint32_t>(type_->type), blocks);
    }

    void norm(const std::string& name, std::uint32_t size) {
        std::vector<float> values(size);
        for (float& v : values)
            v = static_cast<float>(1.0 + 0.1 * uniform());
        builder_.f32_tensor(name, {size}, values);
    }

  private:
    /// In [-1, 1). The standard fixes mt19937_64's output, but not that of its distributions.
    double uniform() { return static_cast<double>(random_() >> 11) * 0x1p-52 - 1.0; }

    GgufBuilder& builder_;
    const quant::TypeInfo* type_;
    std::mt19937_64 random_;
};

void add_hyper_parameters(GgufBuilder& builder, const TinyModelOptions& options) {
    builder.string("general.architecture", "llama")
        .string("general.name", "tiny")
        .u32("llama.block_count", options.layers)
        .u32("llama.context_length", options.context)
        .u32("llama.embedding_length", options.embedding)
        .u32("llama.feed_forward_length", options.feed_forward)
        .u32("llama.attention.head_count", options.heads)
        .u32("llama.attention.head_count_kv", options.kv_heads)
        .f32("llama.attention.layer_norm_rms_epsilon", options.norm_epsilon)
        .f32("llama.rope.freq_base", options.rope_base)
        .u32("llama.rope.dimension_count", options.embedding / options.heads)
        .u32("llama.vocab_size", options.vocabulary);
    if (!options.rope_scaling.empty()) {
        builder.string("llama.rope.scaling.type", options.rope_scaling)
            .f32("llama.rope.scaling.factor", options.rope_scaling_factor);
    }
}

}  // namespace

GgufBuilder tiny_model_builder(const TinyModelOptions& options) {
    GgufBuilder builder(options.gguf_version);
    add_hyper_parameters(builder, options);
    add_vocabulary(builder, options.vocabulary);

    Weights weights(builder, options);
    const std::uint32_t width = options.embedding;
    const std::uint32_t kv_width = width / options.heads * options.kv_heads;
    weights.matrix("token_embd.weight", options.vocabulary, width);
    for (std::uint32_t layer = 0; layer < options.layers; ++layer) {
        const auto name = [&](const char* part) { return fmt::format("blk.{}.{}.weight", layer, part); };
        weights.norm(name("attn_norm"), width);
        weights.matrix(name("attn_q"), width, width);
        weights.matrix(name("attn_k"), kv_width, width);
        weights.matrix(name("attn_v"), kv_width, width);
        weights.matrix(name("attn_output"), width, width);
        weights.norm(name("ffn_norm"), width);
        weights.matrix(name("ffn_gate"), options.feed_forward, width);
        weights.matrix(name("ffn_up"), options.feed_forward, width);
        weights.matrix(name("ffn_down"), width, options.feed_forward);
    }
    weights.norm("output_norm.weight", width);
    if (!options.tied) weights.matrix("output.weight", options.vocabulary, width);
    if (!options.rope_frequency_factors.empty()) {
        builder.f32_tensor("rope_freqs.weight", {options.rope_frequency_factors.size()},
                           options.rope_frequency_factors);
    }
    return builder;
}

std::vector<std::byte> tiny_model(const TinyModelOptions& options) {
    return tiny_model_builder(options).build().bytes;
}

}  // namespace puna::support
