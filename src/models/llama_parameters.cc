#include "models/llama_parameters.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/try.h"
#include "formats/printable.h"
#include "kernels/kernel_table.h"
#include "models/llama_names.h"
#include "models/weights.h"

namespace puna::models::llama {
namespace {

using formats::Dialect;
using formats::ModelFile;

constexpr std::string_view meta_scaled_rope = "use_scaled_rope";

Error unsupported(const ModelFile& file, const std::string& what, std::string hint = "") {
    return {ErrorCode::unsupported_architecture, fmt::format("{}: {}", file.path, what), std::move(hint)};
}

/// The rows of a matrix, for dimensions that a format leaves to the shapes.
Result<std::int64_t> rows_of(const ModelFile& file, const std::string& tensor, std::int64_t most) {
    constexpr auto hint = "the file is incomplete, or was made for another program";
    const formats::FoundTensor* found = file.find_tensor(tensor);
    if (found == nullptr) {
        return Error{ErrorCode::file_malformed, fmt::format("{}: tensor '{}' is missing", file.path, tensor), hint};
    }
    const auto refused = [&](const std::string& problem) {
        return Error{ErrorCode::file_malformed, fmt::format("{}: {} {}", file.path, found->describe(), problem), hint};
    };
    if (found->shape.size() != 2) return refused("is no matrix");
    const std::uint64_t rows = found->shape[0];
    if (rows < 1 || rows > static_cast<std::uint64_t>(most)) {
        return refused(fmt::format("has {} rows, which is not in [1, {}]", rows, most));
    }
    return static_cast<std::int64_t>(rows);
}

/// Without a tokenizer a model can still be run on token ids: as many as the embedding has rows. Rows beyond what the
/// file says are padding, as embeddings often have; a token without a row could not be looked up.
Result<std::int64_t> vocabulary_size(const ModelFile& file) {
    if (!file.vocabulary.tokens.empty()) return static_cast<std::int64_t>(file.vocabulary.tokens.size());
    constexpr std::int64_t most = std::int64_t{1} << 30;
    PUNA_TRY(const std::int64_t rows, rows_of(file, std::string(name::embedding.in(file.dialect)), most));
    PUNA_CHECK(read_integer(file, std::string(key::vocabulary.in(file.dialect)), 1, rows, rows));
    return rows;
}

/// Meta's params.json does not say it: what each version was trained on, told from what else it says.
Result<std::int64_t> meta_context(const ModelFile& file) {
    PUNA_TRY(const auto scaled, named(file, file.metadata.boolean(meta_scaled_rope)));
    if (scaled.value_or(false)) return std::int64_t{131'072};                           // Llama 3.1 and later
    if (file.metadata.find(key::rope_base.meta) != nullptr) return std::int64_t{8192};  // Llama 3
    PUNA_TRY(const auto eps, named(file, file.metadata.number(key::eps.meta)));
    return eps && *eps > 2e-6 ? 2 * legacy_context : legacy_context;  // LLaMA 2 has 1e-5, LLaMA 1 has 1e-6
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
    PUNA_TRY(d.heads, read(key::heads, 1, most_heads));
    std::int64_t stated_by_shapes = d.heads;
    std::int64_t usual_context = -1;
    if (dialect == Dialect::ggml || dialect == Dialect::meta) {
        // The first layer's, which need not be what the others have: whoever finds the weights checks that.
        PUNA_TRY(d.feed_forward, rows_of(file, name::gate.in(dialect, 0), widest));
        PUNA_TRY(const std::int64_t kv_rows, rows_of(file, name::k.in(dialect, 0), widest));
        const std::int64_t head_dim = std::max<std::int64_t>(d.embedding / d.heads, 1);
        if (kv_rows % head_dim == 0) stated_by_shapes = kv_rows / head_dim;
        PUNA_TRY(usual_context, dialect == Dialect::ggml ? Result<std::int64_t>(legacy_context) : meta_context(file));
    } else {
        PUNA_TRY(d.feed_forward, read(key::feed_forward, 1, widest));
    }
    PUNA_TRY(d.kv_heads, read(key::kv_heads, 1, most_heads, stated_by_shapes));
    PUNA_TRY(d.context, read(key::context, 1, std::int64_t{1} << 31, usual_context));
    if (d.kv_heads == 0 || d.heads % d.kv_heads != 0) {
        return malformed_value(file, key::kv_heads.in(dialect),
                               fmt::format("is {}, and {} heads cannot share as many evenly", d.kv_heads, d.heads));
    }
    if (dialect == Dialect::ggml && d.kv_heads != stated_by_shapes) {  // no file states it: it was given
        return Error{ErrorCode::invalid_argument,
                     fmt::format("{}: --kv-heads is {}, but tensor '{}' has the rows of {}", file.path, d.kv_heads,
                                 name::k.in(dialect, 0), stated_by_shapes),
                     "leave --kv-heads away"};
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
    PUNA_TRY(d.vocabulary, vocabulary_size(file));
    return d;
}

Result<Rope> read_gguf_rope(const ModelFile& file, std::int64_t head_dim) {
    Rope rope;
    PUNA_TRY(rope.rotated, read_integer(file, std::string(key::rotated.gguf), 2, head_dim, head_dim));
    if (rope.rotated % 2 != 0) {
        return malformed_value(file, "llama.rope.dimension_count",
                               fmt::format("is {}, and an odd number cannot be rotated in pairs", rope.rotated));
    }
    PUNA_TRY(const double base, read_positive(file, "llama.rope.freq_base", usual_rope_base));
    PUNA_TRY(const auto scaling, named(file, file.metadata.string("llama.rope.scaling.type")));
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

struct Llama3Scaling {
    double factor = 8.0;
    double low = 1.0;
    double high = 4.0;
    double positions = 8192.0;
};

/// What Llama 3.1 divides the frequencies by: nothing where a wave turns `high` times or more within the positions that
/// the model was first trained on, `factor` where it turns `low` times or less, a mixture between (Grattafiori et al.
/// 2024). Rounded as GGUF files store them, so that all containers give the same bits.
std::vector<float> llama3_factors(const Llama3Scaling& scaling, const Rope& rope) {
    const auto& [factor, low, high, positions] = scaling;
    std::vector<float> factors;
    for (std::int64_t i = 0; i < rope.rotated / 2; ++i) {
        const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(rope.rotated);
        const double turns = positions * std::pow(static_cast<double>(rope.base), exponent) / (2 * std::numbers::pi);
        const double smooth = std::clamp((turns - low) / (high - low), 0.0, 1.0);
        factors.push_back(static_cast<float>(1.0 / (smooth + (1.0 - smooth) / factor)));
    }
    return factors;
}

/// config.json's rope_scaling.
Result<std::vector<float>> huggingface_factors(const ModelFile& file, const std::string& prefix, const Rope& rope) {
    Llama3Scaling scaling;
    PUNA_TRY(scaling.factor, read_positive(file, prefix + "factor"));
    PUNA_TRY(scaling.low, read_positive(file, prefix + "low_freq_factor"));
    PUNA_TRY(scaling.high, read_positive(file, prefix + "high_freq_factor"));
    PUNA_TRY(scaling.positions, read_positive(file, prefix + "original_max_position_embeddings"));
    if (scaling.low >= scaling.high) {
        return malformed_value(
            file, prefix + "low_freq_factor",
            fmt::format("is {}, which is not under high_freq_factor, {}", scaling.low, scaling.high));
    }
    return llama3_factors(scaling, rope);
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
    PUNA_TRY(const double base,
             read_positive(file, newer ? "rope_parameters.rope_theta" : "rope_theta", usual_rope_base));
    rope.base = static_cast<float>(base);
    for (const char* partial : {"partial_rotary_factor", "rope_parameters.partial_rotary_factor"}) {
        PUNA_TRY(const auto part, named(file, file.metadata.number(partial)));
        if (part && *part != 1.0) return unsupported(file, fmt::format("{} is {}, and must be 1", partial, *part));
    }
    PUNA_TRY(auto type, named(file, file.metadata.string(scaling + "rope_type")));
    if (!type) {
        PUNA_TRY(type, named(file, file.metadata.string(scaling + "type")));
    }
    if (!type || *type == "default") return rope;
    if (*type == "linear") {
        PUNA_TRY(const double factor, read_positive(file, scaling + "factor"));
        rope.scale = static_cast<float>(factor);
        return rope;
    }
    if (*type == "llama3") {
        PUNA_TRY(rope.factors, huggingface_factors(file, scaling, rope));
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
    PUNA_TRY(const auto activation, named(file, metadata.string("hidden_act")));
    if (activation && *activation != "silu") {
        return unsupported(
            file, fmt::format("the activation function '{}' is not the family's", formats::printable(*activation)));
    }
    PUNA_TRY(const auto interleaved, named(file, metadata.boolean("rope_interleaved")));
    if (interleaved.value_or(false)) return unsupported(file, "'rope_interleaved' is true, and must be false");
    constexpr std::string_view quantization = "quantization_config.";
    const auto quantized = metadata.values.lower_bound(quantization);
    if (quantized != metadata.values.end() && quantized->first.starts_with(quantization)) {
        PUNA_TRY(const auto method, named(file, metadata.string("quantization_config.quant_method")));
        return Error{ErrorCode::unsupported_tensor_type,
                     fmt::format("{}: the weights are quantized by '{}', which this version does not read", file.path,
                                 formats::printable(method.value_or("?"))),
                     "take the model in BF16 or F16, or as a GGUF file"};
    }
    return {};
}

/// Of the formats before GGUF, which know RoPE in its first form alone.
Result<Rope> read_ggml_rope(const ModelFile& file, std::int64_t head_dim) {
    Rope rope;
    PUNA_TRY(rope.rotated, read_integer(file, std::string(key::rotated.ggml), 2, head_dim));
    if (rope.rotated % 2 != 0) {
        return malformed_value(file, key::rotated.ggml, fmt::format("is {}, and RoPE turns pairs", rope.rotated));
    }
    PUNA_TRY(const double base, read_positive(file, std::string(key::rope_base.ggml), usual_rope_base));
    rope.base = static_cast<float>(base);
    return rope;
}

/// Meta's own: params.json says whether the frequencies are scaled, and may say by how much.
Result<Rope> read_meta_rope(const ModelFile& file, std::int64_t head_dim) {
    Rope rope;
    rope.rotated = head_dim;
    if (head_dim % 2 != 0) {
        return malformed_value(file, key::heads.meta, fmt::format("makes heads of {}, and RoPE turns pairs", head_dim));
    }
    PUNA_TRY(const double base, read_positive(file, std::string(key::rope_base.meta), usual_rope_base));
    rope.base = static_cast<float>(base);
    PUNA_TRY(const auto scaled, named(file, file.metadata.boolean(meta_scaled_rope)));
    if (!scaled.value_or(false)) return rope;
    Llama3Scaling scaling;
    PUNA_TRY(scaling.factor, read_positive(file, "rope_scaling_factor", scaling.factor));
    PUNA_TRY(scaling.high, read_positive(file, "rope_high_freq_factor", scaling.high));
    if (scaling.low >= scaling.high) {
        return malformed_value(file, "rope_high_freq_factor", fmt::format("is {}, and must be over 1", scaling.high));
    }
    rope.factors = llama3_factors(scaling, rope);
    return rope;
}

Result<Rope> read_rope(const ModelFile& file, std::int64_t head_dim) {
    switch (file.dialect) {
        case Dialect::gguf: break;
        case Dialect::huggingface: return read_huggingface_rope(file, head_dim);
        case Dialect::ggml: return read_ggml_rope(file, head_dim);
        case Dialect::meta: return read_meta_rope(file, head_dim);
    }
    return read_gguf_rope(file, head_dim);
}

}  // namespace

/// Transformers' default; that of LLaMA 1, for which the formats before GGUF were made. Of their models, the one whose
/// heads share keys is a LLaMA 2, trained with more. 0: the file has to say.
double usual_epsilon(Dialect dialect, const Dimensions& dimensions) {
    if (dialect == Dialect::gguf) return 0.0;
    return dialect == Dialect::ggml && dimensions.kv_heads != dimensions.heads ? 1e-5 : 1e-6;
}

Result<HyperParameters> read_hyper_parameters(const ModelFile& file) {
    HyperParameters h;
    const Dialect dialect = file.dialect;
    if (dialect == Dialect::huggingface) PUNA_CHECK(check_huggingface_variant(file));
    PUNA_TRY(h.dimensions, read_dimensions(file));
    PUNA_TRY(const double eps,
             read_positive(file, std::string(key::eps.in(dialect)), usual_epsilon(dialect, h.dimensions)));
    h.eps = static_cast<float>(eps);
    PUNA_TRY(h.rope, read_rope(file, h.dimensions.head_dim));
    if (dialect == Dialect::gguf || dialect == Dialect::ggml) {
        // The formats before GGUF tell nowhere how many tensors there are: one that is missing is missing.
        h.tied = dialect == Dialect::gguf && file.find_tensor(name::output.gguf) == nullptr;
        return h;
    }
    if (dialect == Dialect::huggingface) {
        PUNA_TRY(const auto tied, named(file, file.metadata.boolean("tie_word_embeddings")));
        h.tied = tied.value_or(false);
    } else {
        h.tied = file.find_tensor(name::output.meta) == nullptr;
    }
    PUNA_TRY(const std::int64_t window,
             read_integer(file, "sliding_window", 1, std::int64_t{1} << 31, h.dimensions.context));
    h.dimensions.context = std::min(h.dimensions.context, window);  // up to there, a window changes nothing
    return h;
}

void report_defaults(const ModelFile& file, const HyperParameters& parameters) {
    if (file.dialect != Dialect::ggml && file.dialect != Dialect::meta) return;
    std::vector<std::string> taken;
    const auto add = [&](const Names& names, std::string_view flag, const std::string& value) {
        if (file.metadata.find(names.in(file.dialect)) == nullptr) taken.push_back(fmt::format("{} {}", flag, value));
    };
    add(key::eps, "--norm-epsilon", fmt::format("{}", parameters.eps));
    add(key::rope_base, "--rope-base", fmt::format("{}", parameters.rope.base));
    add(key::context, "--model-context", fmt::format("{}", parameters.dimensions.context));
    if (taken.empty()) return;
    base::log(base::LogLevel::warning, fmt::format("{}: what files of this format do not say is taken to be {}",
                                                   formats::printable_path(file.path), fmt::join(taken, ", ")));
}

}  // namespace puna::models::llama
