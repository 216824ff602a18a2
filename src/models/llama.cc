// The LLaMA family: LLaMA 1 to 3 (Touvron et al. 2023; Grattafiori et al. 2024), Mistral 7B (Jiang et al. 2023) and
// SmolLM2, which share one architecture: RMSNorm before each block, rotary positions, grouped-query attention, SwiGLU.
#include <fmt/format.h>

#include <cmath>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/try.h"
#include "models/families.h"
#include "models/gguf_form.h"
#include "models/llama_names.h"
#include "models/llama_parameters.h"
#include "models/merge_parts.h"
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
using llama::HyperParameters;
using llama::read_hyper_parameters;

namespace key = llama::key;
namespace name = llama::name;

// --- weights --------------------------------------------------------------------------------------------------------

struct Layer {
    std::vector<float> attention_norm;     // [d]
    StackedMatrix q;                       // [heads * head_dim][d]
    StackedMatrix k;                       // [kv_heads * head_dim][d]
    StackedMatrix v;                       // [kv_heads * head_dim][d]
    StackedMatrix attention_output;        // [d][heads * head_dim]
    std::vector<float> feed_forward_norm;  // [d]
    StackedMatrix gate;                    // [ff][d]
    StackedMatrix up;                      // [ff][d]
    StackedMatrix down;                    // [d][ff]
};

struct Weights {
    StackedMatrix embedding;  // [vocabulary][d]
    std::vector<Layer> layers;
    std::vector<float> output_norm;  // [d]
    StackedMatrix output;            // [vocabulary][d]; the embedding again where the two are tied
};

class Llama final : public Model {
  public:
    static Result<std::shared_ptr<const Model>> create(std::shared_ptr<const formats::ModelFile> file);
    /// That the file, whole, holds every tensor in its shape, and none without a place.
    static Result<void> check(std::shared_ptr<const formats::ModelFile> file, const HyperParameters& parameters);

    std::uint64_t workspace_bytes(std::int64_t batch_rows, std::int64_t threads) const override;
    Result<std::unique_ptr<Runner>> create_runner(const RunnerOptions& options) const override;

    const Weights& weights() const { return weights_; }
    /// Of the matrices that are multiplied.
    std::set<quant::TensorType> matrix_types() const;
    /// The forms of activations that they ask for.
    nn::LinearForms linear_forms(kernels::Activations activations) const;
    void report_slow_types() const;
    const nn::RopeAngles& angles() const { return angles_; }
    float eps() const { return eps_; }

    bool interleaved() const { return llama::pairs_interleaved(file_->dialect); }

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
        nn::embed(space_.compute(), weights.embedding.stacked, batch, space_.x());
        for (std::size_t i = 0; i < weights.layers.size(); ++i) {
            layer(weights.layers[i], static_cast<std::int64_t>(i), batch, cache);
        }
        const std::vector<std::int64_t> rows = space_.select_logit_rows(batch);
        if (!rows.empty()) {
            products(space_.add_and_norm_rows(rows, space_.delta(), weights.output_norm, model_.eps()),
                     {{weights.output, logits.data()}});
        }
        return space_.check(model_.file(), logits.first(rows.size() * static_cast<std::size_t>(dims_.vocabulary)));
    }

  private:
    /// One transformer layer over the batch's rows M; x: [M][d] is the residual stream, delta: [M][d] what a block adds
    /// to it, which the next block's first step does.
    void layer(const Layer& w, std::int64_t index, const nn::Batch& batch, nn::KvCache& cache) {
        float* q = space_.q();          // [M][heads * head_dim]
        float* k = space_.k();          // [M][kv_heads * head_dim]
        float* v = space_.v();          // [M][kv_heads * head_dim]
        float* gate = space_.gate();    // [M][ff]
        float* up = space_.up();        // [M][ff]
        float* delta = space_.delta();  // [M][d]
        const float eps = model_.eps();
        const float scale = 1.0F / std::sqrt(static_cast<float>(dims_.head_dim));

        products(index == 0 ? space_.norm(w.attention_norm, eps) : space_.add_and_norm(delta, w.attention_norm, eps),
                 {{w.q, q}, {w.k, k}, {w.v, v}});
        space_.attention().run(space_.compute(), cache, index, scale, q, space_.attended(), space_.partials(),
                               space_.rotate_and_store(model_.angles(), model_.interleaved(), batch, cache, index));
        products(space_.take_input(space_.attended(), w.attention_output.columns), {{w.attention_output, delta}});

        products(space_.add_and_norm(delta, w.feed_forward_norm, eps), {{w.gate, gate}, {w.up, up}});
        products(space_.swiglu_input(gate, up), {{w.down, delta}});
    }

    struct Product {
        const StackedMatrix& weights;
        float* y;  // [rows of the input][weights.rows]
    };
    /// All products with the input that `step` makes, in one fork-join.
    void products(const nn::RowStep& step, std::initializer_list<Product> wanted) {
        tasks_.clear();
        for (const Product& product : wanted)
            product.weights.add_tasks(product.y, tasks_);
        nn::linear(space_.compute(), space_.input(), tasks_, step);
    }

    const Llama& model_;
    const Dimensions& dims_;
    Workspace space_;
    std::vector<nn::LinearTask> tasks_;
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
    used.emplace_back(name::embedding.in(file.dialect));
    PUNA_TRY(weights_.embedding, find_table(file, used.back(), d.vocabulary, d.embedding));
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
    if (file.dialect == Dialect::gguf) return {};
    // Old files hold what RoPE's frequencies follow from; tied ones may hold the embedding a second time.
    if (tied) used.emplace_back(name::output.in(file.dialect));
    return check_all_used(file, std::move(used), {".rotary_emb.inv_freq", "rope.freqs"});
}

Result<void> Llama::check(std::shared_ptr<const formats::ModelFile> file, const HyperParameters& parameters) {
    Llama model;
    model.file_ = std::move(file);
    model.dimensions_ = parameters.dimensions;
    PUNA_CHECK(model.find_weights(parameters.tied));
    return model.file_->check_mappings();
}

/// How Meta cut the matrices of its larger models for several machines; the formats before GGUF kept the pieces. The
/// embedding is cut by columns up to LLaMA 2, and by rows, which are as wide as the model then, from LLaMA 3 on.
Cut cut_of(const ModelFile& file, const formats::FoundTensor& tensor) {
    const auto is = [&](const Names& names) {
        // "layers.{}.attention.wo.weight": what stands behind the layer's number
        const std::size_t number = names.meta.find("{}");
        return number == std::string_view::npos ? tensor.name == names.meta
                                                : tensor.name.ends_with(names.meta.substr(number + 2));
    };
    if (is(name::attention_output) || is(name::down)) return Cut::columns;
    const auto width = file.metadata.unsigned_integer(key::embedding.in(file.dialect));
    const bool whole_rows = width.ok() && *width == tensor.shape.back();
    return is(name::embedding) && !whole_rows ? Cut::columns : Cut::rows;
}

Result<std::shared_ptr<const Model>> Llama::create(std::shared_ptr<const formats::ModelFile> file) {
    auto model = std::make_shared<Llama>();
    PUNA_TRY(MergedFile merged, merge_parts(std::move(file), cut_of, SplitRows::assembled));
    model->file_ = std::move(merged.file);
    model->assembled_bytes_ = merged.assembled_bytes;
    if (merged.assembled_bytes > 0) {
        base::log(
            base::LogLevel::warning,
            fmt::format("{}: {} bytes of weights do not lie in the order of their elements, and were put together "
                        "in memory; `puna convert` makes a file that is used in place",
                        model->file_->path, merged.assembled_bytes));
    }
    PUNA_TRY(const HyperParameters h, read_hyper_parameters(*model->file_));
    llama::report_defaults(*model->file_, h);
    model->dimensions_ = h.dimensions;
    model->eps_ = h.eps;
    model->angles_ = nn::RopeAngles(h.rope.rotated, static_cast<double>(h.rope.base), static_cast<double>(h.rope.scale),
                                    h.rope.factors);
    PUNA_CHECK(model->find_weights(h.tied));
    PUNA_CHECK(model->file_->check_mappings());
    return std::shared_ptr<const Model>(std::move(model));
}

std::set<quant::TensorType> Llama::matrix_types() const {
    std::set<quant::TensorType> types = {weights_.output.type};
    for (const Layer& layer : weights_.layers) {
        for (const StackedMatrix* w :
             {&layer.q, &layer.k, &layer.v, &layer.attention_output, &layer.gate, &layer.up, &layer.down}) {
            types.insert(w->type);
        }
    }
    return types;
}

nn::LinearForms Llama::linear_forms(kernels::Activations activations) const {
    nn::LinearForms forms;
    for (const quant::TensorType type : matrix_types())
        nn::add_form(forms, type, activations);
    return forms;
}

/// Types that are decoded anew for every product.
void Llama::report_slow_types() const {
    for (const quant::TensorType type : matrix_types()) {
        const quant::TypeInfo& info = quant::type_info(type);
        if (!info.decoded_only) continue;
        const bool stays = type == quant::TensorType::F64;  // GGUF has it, and converting alone keeps it
        base::log(base::LogLevel::warning,
                  fmt::format("weights in {} are slow to compute with; `puna convert{}` makes a faster file of them",
                              info.name, stays ? " --type F32" : ""));
    }
}

std::uint64_t Llama::workspace_bytes(std::int64_t batch_rows, std::int64_t threads) const {
    const kernels::KernelTable& kernels = kernels::default_kernels();
    const RunnerOptions options{.kernels = &kernels, .activations = kernels.defaults, .max_batch_rows = batch_rows};
    return Workspace::bytes(dimensions_, linear_forms(options.activations), options, static_cast<std::size_t>(threads));
}

Result<std::unique_ptr<Model::Runner>> Llama::create_runner(const RunnerOptions& options) const {
    report_slow_types();
    auto runner = std::make_unique<LlamaRunner>(*this, options);
    PUNA_CHECK(runner->allocate());
    return std::unique_ptr<Runner>(std::move(runner));
}

}  // namespace

Result<std::shared_ptr<const Model>> create_llama(std::shared_ptr<const ModelFile> file) {
    return Llama::create(std::move(file));
}

Result<void> check_llama(std::shared_ptr<const ModelFile> file) {
    PUNA_TRY(const HyperParameters h, read_hyper_parameters(*file));
    return Llama::check(std::move(file), h);
}

Result<std::shared_ptr<const ModelFile>> llama_in_gguf(std::shared_ptr<const ModelFile> found_file, Defaults defaults) {
    PUNA_TRY(const MergedFile merged, merge_parts(std::move(found_file), cut_of, SplitRows::in_pieces));
    const std::shared_ptr<const ModelFile>& file = merged.file;
    PUNA_TRY(const HyperParameters h, read_hyper_parameters(*file));
    PUNA_CHECK(Llama::check(file, h));  // every tensor is there, and nothing else
    if (defaults == Defaults::reported) llama::report_defaults(*file, h);
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
            const formats::FoundTensor& tensor = found(names.in(file->dialect, i));
            if (llama::pairs_interleaved(file->dialect)) {
                form.add(names.in(Dialect::gguf, i), tensor);
            } else {
                form.add_interleaved(names.in(Dialect::gguf, i), tensor, heads, h.rope.rotated);
            }
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
