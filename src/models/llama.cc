// The LLaMA family: LLaMA 1 to 3 (Touvron et al. 2023; Grattafiori et al. 2024), Mistral 7B (Jiang et al. 2023) and
// SmolLM2, which share one architecture: RMSNorm before each block, rotary positions, grouped-query attention, SwiGLU.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/try.h"
#include "formats/printable.h"
#include "models/dialect.h"
#include "models/families.h"
#include "models/gguf_form.h"
#include "models/weights.h"
#include "models/workspace.h"
#include "nn/attention.h"
#include "nn/embedding.h"
#include "nn/linear.h"
#include "nn/rope.h"

namespace puna::models {
namespace {

using formats::Dialect;
using formats::ModelFile;
using kernels::WeightMatrix;

// --- names in each dialect ------------------------------------------------------------------------------------------

namespace key {
constexpr Names layers = {"llama.block_count", "num_hidden_layers"};
constexpr Names embedding = {"llama.embedding_length", "hidden_size"};
constexpr Names feed_forward = {"llama.feed_forward_length", "intermediate_size"};
constexpr Names heads = {"llama.attention.head_count", "num_attention_heads"};
constexpr Names kv_heads = {"llama.attention.head_count_kv", "num_key_value_heads"};
constexpr Names context = {"llama.context_length", "max_position_embeddings"};
constexpr Names head_dim = {"llama.attention.key_length", "head_dim"};
constexpr Names value_dim = {"llama.attention.value_length"};
constexpr Names experts = {"llama.expert_count", "num_local_experts"};
constexpr Names eps = {"llama.attention.layer_norm_rms_epsilon", "rms_norm_eps"};
}  // namespace key

namespace name {
constexpr Names embedding = {"token_embd.weight", "model.embed_tokens.weight"};
constexpr Names attention_norm = {"blk.{}.attn_norm.weight", "model.layers.{}.input_layernorm.weight"};
constexpr Names q = {"blk.{}.attn_q.weight", "model.layers.{}.self_attn.q_proj.weight"};
constexpr Names k = {"blk.{}.attn_k.weight", "model.layers.{}.self_attn.k_proj.weight"};
constexpr Names v = {"blk.{}.attn_v.weight", "model.layers.{}.self_attn.v_proj.weight"};
constexpr Names attention_output = {"blk.{}.attn_output.weight", "model.layers.{}.self_attn.o_proj.weight"};
constexpr Names feed_forward_norm = {"blk.{}.ffn_norm.weight", "model.layers.{}.post_attention_layernorm.weight"};
constexpr Names gate = {"blk.{}.ffn_gate.weight", "model.layers.{}.mlp.gate_proj.weight"};
constexpr Names up = {"blk.{}.ffn_up.weight", "model.layers.{}.mlp.up_proj.weight"};
constexpr Names down = {"blk.{}.ffn_down.weight", "model.layers.{}.mlp.down_proj.weight"};
constexpr Names output_norm = {"output_norm.weight", "model.norm.weight"};
constexpr Names output = {"output.weight", "lm_head.weight"};
}  // namespace name

/// Whether RoPE's pairs stand side by side in the rows of q and k, or in halves.
bool pairs_interleaved(Dialect dialect) {
    return dialect == Dialect::gguf;
}

// --- hyper-parameters -----------------------------------------------------------------------------------------------

struct Rope {
    std::int64_t rotated = 0;
    float base = 10000.0F;
    float scale = 1.0F;
    std::vector<float> factors;  // [rotated / 2] divisors of the frequencies, or none
};

struct HyperParameters {
    Dimensions dimensions;
    Rope rope;
    float eps = 0;
    bool tied = false;  // the embedding is the output matrix
};

Error unsupported(const ModelFile& file, const std::string& what, std::string hint = "") {
    return {ErrorCode::unsupported_architecture, fmt::format("{}: {}", file.path, what), std::move(hint)};
}

Result<Dimensions> read_dimensions(const ModelFile& file) {
    constexpr std::int64_t most_heads = 4096;
    constexpr std::int64_t widest = 1 << 20;
    const Dialect dialect = file.dialect;
    const auto read = [&](const Names& names, std::int64_t least, std::int64_t most, std::int64_t fallback = -1) {
        return read_integer(file, std::string(names.in(dialect)), least, most, fallback);
    };
    Dimensions d;
    PUNA_TRY(d.layers, read(key::layers, 1, 4096));
    PUNA_TRY(d.embedding, read(key::embedding, 1, widest));
    PUNA_TRY(d.feed_forward, read(key::feed_forward, 1, widest));
    PUNA_TRY(d.heads, read(key::heads, 1, most_heads));
    PUNA_TRY(d.kv_heads, read(key::kv_heads, 1, most_heads, d.heads));
    PUNA_TRY(d.context, read(key::context, 1, std::int64_t{1} << 31));
    if (d.heads % d.kv_heads != 0) {
        return malformed_value(file, key::kv_heads.in(dialect),
                               fmt::format("is {}, and {} heads cannot share as many evenly", d.kv_heads, d.heads));
    }
    if (d.embedding % d.heads != 0 && file.metadata.find(key::head_dim.in(dialect)) == nullptr) {
        return malformed_value(
            file, key::heads.in(dialect),
            fmt::format("is {}, which does not divide the embedding length {}", d.heads, d.embedding));
    }
    PUNA_TRY(d.head_dim, read(key::head_dim, 1, kernels::max_head_dim, d.embedding / d.heads));
    PUNA_TRY(const std::int64_t value_dim, read(key::value_dim, 1, kernels::max_head_dim, d.head_dim));
    if (value_dim != d.head_dim || d.head_dim > kernels::max_head_dim) {
        return unsupported(file, fmt::format("heads with keys of {} and values of {} dimensions are not supported (at "
                                             "most {}, the same for both)",
                                             d.head_dim, value_dim, kernels::max_head_dim));
    }
    PUNA_TRY(const std::int64_t experts, read(key::experts, 0, 1 << 20, 0));
    if (experts != 0) {
        return unsupported(file, fmt::format("a mixture of {} experts is not supported in this version", experts));
    }
    const formats::FoundTensor* embedding = file.find_tensor(name::embedding.in(dialect));
    d.vocabulary = static_cast<std::int64_t>(file.vocabulary.tokens.size());
    // A file without a vocabulary can still be run on token ids.
    if (d.vocabulary == 0 && embedding != nullptr && embedding->shape.size() == 2 && embedding->shape[0] < (1u << 30)) {
        d.vocabulary = static_cast<std::int64_t>(embedding->shape[0]);
    }
    return d;
}

Result<Rope> read_gguf_rope(const ModelFile& file, std::int64_t head_dim) {
    Rope rope;
    PUNA_TRY(rope.rotated, read_integer(file, "llama.rope.dimension_count", 2, head_dim, head_dim));
    if (rope.rotated % 2 != 0) {
        return malformed_value(file, "llama.rope.dimension_count",
                               fmt::format("is {}, and an odd number cannot be rotated in pairs", rope.rotated));
    }
    PUNA_TRY(const double base, read_positive(file, "llama.rope.freq_base", 10000.0));
    PUNA_TRY(const auto scaling, file.metadata.string("llama.rope.scaling.type"));
    double scale = 1.0;
    if (scaling && *scaling == "linear") {
        PUNA_TRY(scale, read_positive(file, "llama.rope.scaling.factor", 1.0));
    } else if (scaling && *scaling != "none") {
        return unsupported(file, fmt::format("RoPE scaling of type '{}' is not supported in this version", *scaling),
                           "supported are 'linear' and the factors of Llama 3.1 (tensor 'rope_freqs.weight')");
    } else if (!scaling) {
        PUNA_TRY(scale, read_positive(file, "llama.rope.scale_linear", 1.0));  // the key of early files
    }
    // Llama 3.1 stores its scaling as one divisor per frequency.
    PUNA_TRY(rope.factors, find_optional_vector(file, "rope_freqs.weight", rope.rotated / 2));
    for (const float factor : rope.factors) {
        if (!std::isfinite(factor) || factor <= 0) {
            return Error{ErrorCode::file_malformed,
                         fmt::format("{}: {} holds {}, and must hold positive numbers", file.path,
                                     file.find_tensor("rope_freqs.weight")->describe(), factor),
                         "the file is damaged, or was made for another program"};
        }
    }
    rope.base = static_cast<float>(base);
    rope.scale = static_cast<float>(scale);
    return rope;
}

/// What Llama 3.1 divides the frequencies by: nothing where a wave turns `high` times or more within the positions that
/// the model was first trained on, `factor` where it turns `low` times or less, a mixture between (Grattafiori et al.
/// 2024; config.json's rope_scaling). Rounded as GGUF files store them, so that all containers give the same bits.
Result<std::vector<float>> llama3_factors(const ModelFile& file, const std::string& scaling, const Rope& rope) {
    PUNA_TRY(const double factor, read_positive(file, scaling + "factor"));
    PUNA_TRY(const double low, read_positive(file, scaling + "low_freq_factor"));
    PUNA_TRY(const double high, read_positive(file, scaling + "high_freq_factor"));
    PUNA_TRY(const double positions, read_positive(file, scaling + "original_max_position_embeddings"));
    if (low >= high) {
        return malformed_value(file, scaling + "low_freq_factor",
                               fmt::format("is {}, which is not under high_freq_factor, {}", low, high));
    }
    std::vector<float> factors;
    for (std::int64_t i = 0; i < rope.rotated / 2; ++i) {
        const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(rope.rotated);
        const double turns = positions * std::pow(static_cast<double>(rope.base), exponent) / (2 * std::numbers::pi);
        const double smooth = std::clamp((turns - low) / (high - low), 0.0, 1.0);
        factors.push_back(static_cast<float>(1.0 / (smooth + (1.0 - smooth) / factor)));
    }
    return factors;
}

Result<Rope> read_huggingface_rope(const ModelFile& file, std::int64_t head_dim) {
    Rope rope;
    rope.rotated = head_dim;
    if (head_dim % 2 != 0) {
        return malformed_value(file, "head_dim", fmt::format("is {}, and RoPE turns pairs", head_dim));
    }
    // Transformers 5 puts all of it under rope_parameters, before it was rope_scaling beside rope_theta.
    const bool newer = file.metadata.find("rope_parameters.rope_theta") != nullptr;
    const std::string scaling = newer ? "rope_parameters." : "rope_scaling.";
    PUNA_TRY(const double base, read_positive(file, newer ? "rope_parameters.rope_theta" : "rope_theta", 10000.0));
    rope.base = static_cast<float>(base);
    for (const char* partial : {"partial_rotary_factor", "rope_parameters.partial_rotary_factor"}) {
        PUNA_TRY(const auto part, file.metadata.number(partial));
        if (part && *part != 1.0) return unsupported(file, fmt::format("{} is {}, and must be 1", partial, *part));
    }
    PUNA_TRY(auto type, file.metadata.string(scaling + "rope_type"));
    if (!type) {
        PUNA_TRY(type, file.metadata.string(scaling + "type"));
    }
    if (!type || *type == "default") return rope;
    if (*type == "linear") {
        PUNA_TRY(const double factor, read_positive(file, scaling + "factor"));
        rope.scale = static_cast<float>(factor);
        return rope;
    }
    if (*type == "llama3") {
        PUNA_TRY(rope.factors, llama3_factors(file, scaling, rope));
        return rope;
    }
    return unsupported(
        file, fmt::format("RoPE scaling of type '{}' is not supported in this version", formats::printable(*type)),
        "supported are 'default', 'linear' and 'llama3'");
}

/// What config.json may say that changes the computation.
Result<void> check_huggingface_variant(const ModelFile& file) {
    const formats::Metadata& metadata = file.metadata;
    if (const auto* value = metadata.find("architectures"); value != nullptr) {
        const auto* array = std::get_if<formats::MetadataArray>(value);
        const auto* names = array == nullptr ? nullptr : std::get_if<std::vector<std::string>>(array);
        const bool known = names != nullptr && names->size() == 1 &&
                           (names->front() == "LlamaForCausalLM" || names->front() == "MistralForCausalLM");
        if (!known) return unsupported(file, "'architectures' names no causal language model of the family");
    }
    PUNA_TRY(const auto activation, metadata.string("hidden_act"));
    if (activation && *activation != "silu") {
        return unsupported(
            file, fmt::format("the activation function '{}' is not the family's", formats::printable(*activation)));
    }
    PUNA_TRY(const auto interleaved, metadata.boolean("rope_interleaved"));
    if (interleaved.value_or(false)) return unsupported(file, "'rope_interleaved' is true, and must be false");
    constexpr std::string_view quantization = "quantization_config.";
    const auto quantized = metadata.values.lower_bound(quantization);
    if (quantized != metadata.values.end() && quantized->first.starts_with(quantization)) {
        PUNA_TRY(const auto method, metadata.string("quantization_config.quant_method"));
        return Error{ErrorCode::unsupported_tensor_type,
                     fmt::format("{}: the weights are quantized by '{}', which this version does not read", file.path,
                                 formats::printable(method.value_or("?"))),
                     "take the model in BF16 or F16, or as a GGUF file"};
    }
    return {};
}

Result<HyperParameters> read_hyper_parameters(const ModelFile& file) {
    HyperParameters h;
    const bool huggingface = file.dialect == Dialect::huggingface;
    if (huggingface) PUNA_CHECK(check_huggingface_variant(file));
    PUNA_TRY(h.dimensions, read_dimensions(file));
    // Transformers' default.
    PUNA_TRY(const double eps, read_positive(file, std::string(key::eps.in(file.dialect)), huggingface ? 1e-6 : 0.0));
    h.eps = static_cast<float>(eps);
    if (!huggingface) {
        PUNA_TRY(h.rope, read_gguf_rope(file, h.dimensions.head_dim));
        h.tied = file.find_tensor(name::output.gguf) == nullptr;
        return h;
    }
    PUNA_TRY(h.rope, read_huggingface_rope(file, h.dimensions.head_dim));
    PUNA_TRY(const auto tied, file.metadata.boolean("tie_word_embeddings"));
    h.tied = tied.value_or(false);
    PUNA_TRY(const std::int64_t window,
             read_integer(file, "sliding_window", 1, std::int64_t{1} << 31, h.dimensions.context));
    h.dimensions.context = std::min(h.dimensions.context, window);  // up to there, a window changes nothing
    return h;
}

// --- weights --------------------------------------------------------------------------------------------------------

struct Layer {
    std::vector<float> attention_norm;     // [d]
    WeightMatrix q;                        // [heads * head_dim][d]
    WeightMatrix k;                        // [kv_heads * head_dim][d]
    WeightMatrix v;                        // [kv_heads * head_dim][d]
    WeightMatrix attention_output;         // [d][heads * head_dim]
    std::vector<float> feed_forward_norm;  // [d]
    WeightMatrix gate;                     // [ff][d]
    WeightMatrix up;                       // [ff][d]
    WeightMatrix down;                     // [d][ff]
};

struct Weights {
    WeightMatrix embedding;  // [vocabulary][d]
    std::vector<Layer> layers;
    std::vector<float> output_norm;  // [d]
    WeightMatrix output;             // [vocabulary][d]; the embedding again where the two are tied
};

class Llama final : public Model {
  public:
    static Result<std::shared_ptr<const Model>> create(std::shared_ptr<const formats::ModelFile> file);

    std::uint64_t workspace_bytes(std::int64_t batch_rows, std::int64_t threads) const override;
    Result<std::unique_ptr<Runner>> create_runner(const RunnerOptions& options) const override;

    const Weights& weights() const { return weights_; }
    /// The forms of activations that this model's matrices ask for.
    nn::LinearForms linear_forms(kernels::Activations activations) const;
    const nn::RopeAngles& angles() const { return angles_; }
    float eps() const { return eps_; }

    bool interleaved() const { return pairs_interleaved(file_->dialect); }

  private:
    Result<void> find_weights(bool tied);

    Weights weights_;
    nn::RopeAngles angles_;
    float eps_ = 0;
};

// --- evaluation -----------------------------------------------------------------------------------------------------

class LlamaRunner final : public Model::Runner {
  public:
    LlamaRunner(const Llama& model, const Model::RunnerOptions& options)
        : model_(model), dims_(model.dimensions()), space_(dims_, model.linear_forms(options.activations), options) {}
    Result<void> allocate() { return space_.allocate(); }

    Result<void> forward(const nn::Batch& batch, nn::KvCache& cache, std::span<float> logits) override {
        const Weights& weights = model_.weights();
        space_.begin(batch);
        nn::embed(space_.compute(), weights.embedding, batch, space_.x());
        for (std::size_t i = 0; i < weights.layers.size(); ++i) {
            layer(weights.layers[i], static_cast<std::int64_t>(i), batch, cache);
        }
        const std::vector<std::int64_t> rows = space_.select_logit_rows(batch);
        if (!rows.empty()) {
            space_.norm_rows(rows, weights.output_norm, model_.eps());
            nn::linear(space_.compute(), space_.input(), {{&weights.output, logits.data(), dims_.vocabulary}});
        }
        return space_.check(model_.file(), logits.first(rows.size() * static_cast<std::size_t>(dims_.vocabulary)));
    }

  private:
    /// One transformer layer over the batch's rows M; x: [M][d] is the residual stream.
    void layer(const Layer& w, std::int64_t index, const nn::Batch& batch, nn::KvCache& cache) {
        const nn::Compute& compute = space_.compute();
        float* q = space_.q();          // [M][heads * head_dim]
        float* k = space_.k();          // [M][kv_heads * head_dim]
        float* v = space_.v();          // [M][kv_heads * head_dim]
        float* gate = space_.gate();    // [M][ff]
        float* up = space_.up();        // [M][ff]
        float* delta = space_.delta();  // [M][d], what a block adds to x

        space_.norm(w.attention_norm, model_.eps());
        nn::linear(compute, space_.input(), {{&w.q, q, w.q.rows}, {&w.k, k, w.k.rows}, {&w.v, v, w.v.rows}});
        space_.rotate_and_store(model_.angles(), model_.interleaved(), batch, cache, index);
        const float scale = 1.0F / std::sqrt(static_cast<float>(dims_.head_dim));
        space_.attention().run(compute, cache, index, scale, q, space_.attended(), space_.partials());

        space_.take_input(space_.attended(), w.attention_output.columns);
        nn::linear(compute, space_.input(), {{&w.attention_output, delta, dims_.embedding}});
        space_.add_and_norm(delta, w.feed_forward_norm, model_.eps());

        nn::linear(compute, space_.input(), {{&w.gate, gate, w.gate.rows}, {&w.up, up, w.up.rows}});
        space_.swiglu_input(gate, up);
        nn::linear(compute, space_.input(), {{&w.down, delta, dims_.embedding}});
        space_.add(delta);
    }

    const Llama& model_;
    const Dimensions& dims_;
    Workspace space_;
};

// --- loading --------------------------------------------------------------------------------------------------------

Result<void> Llama::find_weights(bool tied) {
    const ModelFile& file = *file_;
    const Dimensions& d = dimensions_;
    const std::int64_t q_rows = d.heads * d.head_dim;
    const std::int64_t kv_rows = d.kv_heads * d.head_dim;
    std::vector<std::string> used;
    const auto matrix = [&](std::string tensor, std::int64_t rows, std::int64_t columns) {
        used.push_back(std::move(tensor));
        return find_matrix(file, used.back(), rows, columns);
    };
    const auto vector = [&](std::string tensor, std::int64_t count) {
        used.push_back(std::move(tensor));
        return find_vector(file, used.back(), count);
    };
    PUNA_TRY(weights_.embedding, matrix(std::string(name::embedding.in(file.dialect)), d.vocabulary, d.embedding));
    const std::string last = name::attention_norm.in(file.dialect, d.layers - 1);
    if (file.find_tensor(last) == nullptr) {
        return malformed_value(file, key::layers.in(file.dialect),
                               fmt::format("is {}, but tensor '{}' is missing", d.layers, last));
    }
    for (std::int64_t i = 0; i < d.layers; ++i) {
        const auto in = [&](const Names& names) { return names.in(file.dialect, i); };
        Layer layer;
        PUNA_TRY(layer.attention_norm, vector(in(name::attention_norm), d.embedding));
        PUNA_TRY(layer.q, matrix(in(name::q), q_rows, d.embedding));
        PUNA_TRY(layer.k, matrix(in(name::k), kv_rows, d.embedding));
        PUNA_TRY(layer.v, matrix(in(name::v), kv_rows, d.embedding));
        PUNA_TRY(layer.attention_output, matrix(in(name::attention_output), d.embedding, q_rows));
        PUNA_TRY(layer.feed_forward_norm, vector(in(name::feed_forward_norm), d.embedding));
        PUNA_TRY(layer.gate, matrix(in(name::gate), d.feed_forward, d.embedding));
        PUNA_TRY(layer.up, matrix(in(name::up), d.feed_forward, d.embedding));
        PUNA_TRY(layer.down, matrix(in(name::down), d.embedding, d.feed_forward));
        weights_.layers.push_back(std::move(layer));
    }
    PUNA_TRY(weights_.output_norm, vector(std::string(name::output_norm.in(file.dialect)), d.embedding));
    weights_.output = weights_.embedding;
    if (!tied) {
        PUNA_TRY(weights_.output, matrix(std::string(name::output.in(file.dialect)), d.vocabulary, d.embedding));
    }
    if (file.dialect != Dialect::huggingface) return {};
    // Old files hold what RoPE's frequencies follow from; tied ones may hold the embedding a second time.
    if (tied) used.emplace_back(name::output.in(file.dialect));
    return check_all_used(file, std::move(used), {".rotary_emb.inv_freq"});
}

Result<std::shared_ptr<const Model>> Llama::create(std::shared_ptr<const formats::ModelFile> file) {
    auto model = std::make_shared<Llama>();
    model->file_ = std::move(file);
    PUNA_TRY(const HyperParameters h, read_hyper_parameters(*model->file_));
    model->dimensions_ = h.dimensions;
    model->eps_ = h.eps;
    model->angles_ = nn::RopeAngles(h.rope.rotated, static_cast<double>(h.rope.base), static_cast<double>(h.rope.scale),
                                    h.rope.factors);
    PUNA_CHECK(model->find_weights(h.tied));
    PUNA_CHECK(model->file_->check_mappings());
    return std::shared_ptr<const Model>(std::move(model));
}

nn::LinearForms Llama::linear_forms(kernels::Activations activations) const {
    nn::LinearForms forms;
    nn::add_form(forms, weights_.output.type, activations);
    for (const Layer& layer : weights_.layers) {
        for (const WeightMatrix* w :
             {&layer.q, &layer.k, &layer.v, &layer.attention_output, &layer.gate, &layer.up, &layer.down}) {
            nn::add_form(forms, w->type, activations);
        }
    }
    return forms;
}

std::uint64_t Llama::workspace_bytes(std::int64_t batch_rows, std::int64_t threads) const {
    const kernels::KernelTable& kernels = kernels::default_kernels();
    const RunnerOptions options{.kernels = &kernels, .activations = kernels.defaults, .max_batch_rows = batch_rows};
    return Workspace::bytes(dimensions_, linear_forms(options.activations), options, static_cast<std::size_t>(threads));
}

Result<std::unique_ptr<Model::Runner>> Llama::create_runner(const RunnerOptions& options) const {
    if (quant::type_info(weights_.layers.front().q.type).decoded_only) {
        base::log(base::LogLevel::warning,
                  fmt::format("weights in {} are slow to compute with; `puna convert` makes a faster file of them",
                              quant::type_info(weights_.layers.front().q.type).name));
    }
    auto runner = std::make_unique<LlamaRunner>(*this, options);
    PUNA_CHECK(runner->allocate());
    return std::unique_ptr<Runner>(std::move(runner));
}

}  // namespace

Result<std::shared_ptr<const Model>> create_llama(std::shared_ptr<const ModelFile> file) {
    return Llama::create(std::move(file));
}

Result<std::shared_ptr<const ModelFile>> llama_in_gguf(std::shared_ptr<const ModelFile> file) {
    PUNA_TRY(const auto model, Llama::create(file));  // every tensor is there, and nothing else
    PUNA_TRY(const HyperParameters h, read_hyper_parameters(*file));
    const Dimensions& d = h.dimensions;
    PUNA_TRY(GgufForm form, GgufForm::start(*file, "llama"));
    const auto set = [&](std::string_view parameter, std::int64_t value) {
        form.set(parameter, static_cast<std::uint32_t>(value));
    };
    set("vocab_size", d.vocabulary);
    set("context_length", d.context);
    set("embedding_length", d.embedding);
    set("block_count", d.layers);
    set("feed_forward_length", d.feed_forward);
    set("attention.head_count", d.heads);
    set("attention.head_count_kv", d.kv_heads);
    set("attention.key_length", d.head_dim);
    set("attention.value_length", d.head_dim);
    form.set("attention.layer_norm_rms_epsilon", h.eps);
    set("rope.dimension_count", h.rope.rotated);
    form.set("rope.freq_base", h.rope.base);
    if (h.rope.scale != 1.0F) {
        form.set("rope.scaling.type", std::string("linear"));
        form.set("rope.scaling.factor", h.rope.scale);
    }
    if (!h.rope.factors.empty()) form.add("rope_freqs.weight", h.rope.factors);

    const auto found = [&](const std::string& tensor) -> const formats::FoundTensor& {
        return *file->find_tensor(tensor);
    };
    const auto add = [&](const Names& names) {
        form.add(std::string(names.gguf), found(std::string(names.in(file->dialect))));
    };
    add(name::embedding);
    for (std::int64_t i = 0; i < d.layers; ++i) {
        const auto add_turned = [&](const Names& names, std::int64_t heads) {
            form.add_interleaved(names.in(Dialect::gguf, i), found(names.in(file->dialect, i)), heads, h.rope.rotated);
        };
        add_turned(name::q, d.heads);
        add_turned(name::k, d.kv_heads);
        for (const Names& names : {name::attention_norm, name::v, name::attention_output, name::feed_forward_norm,
                                   name::gate, name::up, name::down}) {
            form.add(names.in(Dialect::gguf, i), found(names.in(file->dialect, i)));
        }
    }
    add(name::output_norm);
    if (!h.tied) add(name::output);
    return std::move(form).finish();
}

}  // namespace puna::models
