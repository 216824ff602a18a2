// The LLaMA family: LLaMA 1 to 3 (Touvron et al. 2023; Grattafiori et al. 2024), Mistral 7B (Jiang et al. 2023) and
// SmolLM2, which share one architecture: RMSNorm before each block, rotary positions, grouped-query attention, SwiGLU.
#include <fmt/format.h>

#include <atomic>
#include <cmath>

#include "base/try.h"
#include "models/families.h"
#include "models/weights.h"
#include "models/workspace.h"
#include "nn/attention.h"
#include "nn/embedding.h"
#include "nn/linear.h"
#include "nn/rope.h"

namespace puna::models {
namespace {

using kernels::WeightMatrix;

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

  private:
    Result<void> read_hyper_parameters();
    Result<void> read_rope();
    Result<void> find_weights();

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
        space_.rotate_and_store(model_.angles(), /*interleaved=*/true, batch, cache, index);
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

Result<void> Llama::read_hyper_parameters() {
    const formats::ModelFile& file = *file_;
    const auto key = [](std::string_view name) { return fmt::format("llama.{}", name); };
    constexpr std::int64_t most_heads = 4096;
    constexpr std::int64_t widest = 1 << 20;
    Dimensions& d = dimensions_;
    PUNA_TRY(d.layers, read_integer(file, key("block_count"), 1, 4096));
    PUNA_TRY(d.embedding, read_integer(file, key("embedding_length"), 1, widest));
    PUNA_TRY(d.feed_forward, read_integer(file, key("feed_forward_length"), 1, widest));
    PUNA_TRY(d.heads, read_integer(file, key("attention.head_count"), 1, most_heads));
    PUNA_TRY(d.kv_heads, read_integer(file, key("attention.head_count_kv"), 1, most_heads, d.heads));
    PUNA_TRY(d.context, read_integer(file, key("context_length"), 1, std::int64_t{1} << 31));
    if (d.heads % d.kv_heads != 0) {
        return malformed_value(file, key("attention.head_count_kv"),
                               fmt::format("is {}, and {} heads cannot share as many evenly", d.kv_heads, d.heads));
    }
    if (d.embedding % d.heads != 0 && file.metadata.find(key("attention.key_length")) == nullptr) {
        return malformed_value(
            file, key("attention.head_count"),
            fmt::format("is {}, which does not divide the embedding length {}", d.heads, d.embedding));
    }
    PUNA_TRY(d.head_dim,
             read_integer(file, key("attention.key_length"), 1, kernels::max_head_dim, d.embedding / d.heads));
    PUNA_TRY(const std::int64_t value_dim,
             read_integer(file, key("attention.value_length"), 1, kernels::max_head_dim, d.head_dim));
    if (value_dim != d.head_dim || d.head_dim > kernels::max_head_dim) {
        return Error{ErrorCode::unsupported_architecture,
                     fmt::format("{}: heads with keys of {} and values of {} dimensions are not supported (at most {}, "
                                 "the same for both)",
                                 file.path, d.head_dim, value_dim, kernels::max_head_dim),
                     ""};
    }
    PUNA_TRY(const std::int64_t experts, read_integer(file, key("expert_count"), 0, 1 << 20, 0));
    if (experts != 0) {
        return Error{ErrorCode::unsupported_architecture,
                     fmt::format("{}: a mixture of {} experts is not supported in this version", file.path, experts),
                     ""};
    }
    PUNA_TRY(const double eps, read_positive(file, key("attention.layer_norm_rms_epsilon")));
    eps_ = static_cast<float>(eps);
    const formats::FoundTensor* embedding = file.find_tensor("token_embd.weight");
    d.vocabulary = static_cast<std::int64_t>(file.vocabulary.tokens.size());
    // A file without a vocabulary can still be run on token ids.
    if (d.vocabulary == 0 && embedding != nullptr && embedding->shape.size() == 2 && embedding->shape[0] < (1u << 30)) {
        d.vocabulary = static_cast<std::int64_t>(embedding->shape[0]);
    }
    return {};
}

Result<void> Llama::read_rope() {
    const formats::ModelFile& file = *file_;
    PUNA_TRY(const std::int64_t rotated,
             read_integer(file, "llama.rope.dimension_count", 2, dimensions_.head_dim, dimensions_.head_dim));
    if (rotated % 2 != 0) {
        return malformed_value(file, "llama.rope.dimension_count",
                               fmt::format("is {}, and an odd number cannot be rotated in pairs", rotated));
    }
    PUNA_TRY(const double base, read_positive(file, "llama.rope.freq_base", 10000.0));
    PUNA_TRY(const auto scaling, file.metadata.string("llama.rope.scaling.type"));
    double scale = 1.0;
    if (scaling && *scaling == "linear") {
        PUNA_TRY(scale, read_positive(file, "llama.rope.scaling.factor", 1.0));
    } else if (scaling && *scaling != "none") {
        return Error{ErrorCode::unsupported_architecture,
                     fmt::format("{}: RoPE scaling of type '{}' is not supported in this version", file.path, *scaling),
                     "supported are 'linear' and the factors of Llama 3.1 (tensor 'rope_freqs.weight')"};
    } else if (!scaling) {
        PUNA_TRY(scale, read_positive(file, "llama.rope.scale_linear", 1.0));  // the key of early files
    }
    // Llama 3.1 stores its scaling as one divisor per frequency.
    PUNA_TRY(const std::vector<float> factors, find_optional_vector(file, "rope_freqs.weight", rotated / 2));
    for (const float factor : factors) {
        if (!std::isfinite(factor) || factor <= 0) {
            return Error{ErrorCode::file_malformed,
                         fmt::format("{}: {} holds {}, and must hold positive numbers", file.path,
                                     file.find_tensor("rope_freqs.weight")->describe(), factor),
                         "the file is damaged, or was made for another program"};
        }
    }
    angles_ = nn::RopeAngles(rotated, base, scale, factors);
    return {};
}

Result<void> Llama::find_weights() {
    const formats::ModelFile& file = *file_;
    const Dimensions& d = dimensions_;
    const std::int64_t q_rows = d.heads * d.head_dim;
    const std::int64_t kv_rows = d.kv_heads * d.head_dim;
    PUNA_TRY(weights_.embedding, find_matrix(file, "token_embd.weight", d.vocabulary, d.embedding));
    const std::string last = fmt::format("blk.{}.attn_norm.weight", d.layers - 1);
    if (file.find_tensor(last) == nullptr) {
        return malformed_value(file, "llama.block_count",
                               fmt::format("is {}, but tensor '{}' is missing", d.layers, last));
    }
    for (std::int64_t i = 0; i < d.layers; ++i) {
        const auto name = [i](std::string_view part) { return fmt::format("blk.{}.{}.weight", i, part); };
        Layer layer;
        PUNA_TRY(layer.attention_norm, find_vector(file, name("attn_norm"), d.embedding));
        PUNA_TRY(layer.q, find_matrix(file, name("attn_q"), q_rows, d.embedding));
        PUNA_TRY(layer.k, find_matrix(file, name("attn_k"), kv_rows, d.embedding));
        PUNA_TRY(layer.v, find_matrix(file, name("attn_v"), kv_rows, d.embedding));
        PUNA_TRY(layer.attention_output, find_matrix(file, name("attn_output"), d.embedding, q_rows));
        PUNA_TRY(layer.feed_forward_norm, find_vector(file, name("ffn_norm"), d.embedding));
        PUNA_TRY(layer.gate, find_matrix(file, name("ffn_gate"), d.feed_forward, d.embedding));
        PUNA_TRY(layer.up, find_matrix(file, name("ffn_up"), d.feed_forward, d.embedding));
        PUNA_TRY(layer.down, find_matrix(file, name("ffn_down"), d.embedding, d.feed_forward));
        weights_.layers.push_back(std::move(layer));
    }
    PUNA_TRY(weights_.output_norm, find_vector(file, "output_norm.weight", d.embedding));
    weights_.output = weights_.embedding;
    if (file.find_tensor("output.weight") != nullptr) {
        PUNA_TRY(weights_.output, find_matrix(file, "output.weight", d.vocabulary, d.embedding));
    }
    return {};
}

Result<std::shared_ptr<const Model>> Llama::create(std::shared_ptr<const formats::ModelFile> file) {
    auto model = std::make_shared<Llama>();
    model->file_ = std::move(file);
    PUNA_CHECK(model->read_hyper_parameters());
    PUNA_CHECK(model->read_rope());
    PUNA_CHECK(model->find_weights());
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
    auto runner = std::make_unique<LlamaRunner>(*this, options);
    PUNA_CHECK(runner->allocate());
    return std::unique_ptr<Runner>(std::move(runner));
}

}  // namespace

Result<std::shared_ptr<const Model>> create_llama(std::shared_ptr<const formats::ModelFile> file) {
    return Llama::create(std::move(file));
}

}  // namespace puna::models
