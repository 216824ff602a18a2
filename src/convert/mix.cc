#include "convert/mix.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace puna::convert {
namespace {

using quant::TensorType;

// The numbers are those of general.file_type in the GGUF specification.
constexpr std::array mixes = {
    Mix{"F32", TensorType::F32, 0},        Mix{"F16", TensorType::F16, 1},
    Mix{"BF16", TensorType::BF16, 32},     Mix{"Q8_0", TensorType::Q8_0, 7},
    Mix{"Q6_K", TensorType::Q6_K, 18},     Mix{"Q5_K_M", TensorType::Q5_K, 17},
    Mix{"Q5_K_S", TensorType::Q5_K, 16},   Mix{"Q5_1", TensorType::Q5_1, 9},
    Mix{"Q5_0", TensorType::Q5_0, 8},      Mix{"Q4_K_M", TensorType::Q4_K, 15},
    Mix{"Q4_K_S", TensorType::Q4_K, 14},   Mix{"Q4_1", TensorType::Q4_1, 3},
    Mix{"Q4_0", TensorType::Q4_0, 2},      Mix{"IQ4_NL", TensorType::IQ4_NL, 25},
    Mix{"IQ4_XS", TensorType::IQ4_XS, 30}, Mix{"MXFP4", TensorType::MXFP4, 38},
    Mix{"NVFP4", TensorType::NVFP4, 39},   Mix{"Q3_K_L", TensorType::Q3_K, 13},
    Mix{"Q3_K_M", TensorType::Q3_K, 12},   Mix{"Q3_K_S", TensorType::Q3_K, 11},
    Mix{"IQ3_M", TensorType::IQ3_S, 27},   Mix{"IQ3_S", TensorType::IQ3_S, 26},
    Mix{"IQ3_XS", TensorType::IQ3_S, 22},  Mix{"IQ3_XXS", TensorType::IQ3_XXS, 23},
    Mix{"Q2_K", TensorType::Q2_K, 10},     Mix{"Q2_K_S", TensorType::Q2_K, 21},
    Mix{"IQ2_M", TensorType::IQ2_S, 29},   Mix{"IQ2_S", TensorType::IQ2_XS, 28},
    Mix{"IQ2_XS", TensorType::IQ2_XS, 20}, Mix{"IQ2_XXS", TensorType::IQ2_XXS, 19},
    Mix{"IQ1_M", TensorType::IQ1_M, 31},   Mix{"IQ1_S", TensorType::IQ1_S, 24},
    Mix{"TQ2_0", TensorType::TQ2_0, 37},   Mix{"TQ1_0", TensorType::TQ1_0, 36},
};

/// Which layers a rule is for, of n.
enum class Layers {
    all,
    first_two,
    first_four,
    first_eighth,
    first_sixteenth,
    middle,  // between the first and the last eighth
    some,    // the first and the last eighth, and every third between
};

bool holds(Layers layers, std::uint64_t layer, std::uint64_t n) {
    switch (layers) {
        case Layers::all: return true;
        case Layers::first_two: return layer < 2;
        case Layers::first_four: return layer < 4;
        case Layers::first_eighth: return layer < n / 8;
        case Layers::first_sixteenth: return layer < n / 16;
        case Layers::middle: return layer >= n / 8 && layer < 7 * n / 8;
        case Layers::some: return layer < n / 8 || layer >= 7 * n / 8 || (layer - n / 8) % 3 == 2;
    }
    return false;
}

/// Whether a rule holds with an importance matrix or without one.
enum class Matrix { any, absent, given };

bool holds(Matrix matrix, bool given) {
    return matrix == Matrix::any || (matrix == Matrix::given) == given;
}

/// Some tensors matter more than their size: the values that attention hands on, and the way back from the feed-forward
/// network. The first rule that fits decides.
struct Rule {
    std::string_view mixes;  // a glob for their names
    std::string_view part;   // of the name, behind "blk.N."
    Layers layers;
    TensorType type;
    std::uint64_t heads_per_kv = 1;  // and only where at least as many query heads share a KV head
    Matrix matrix = Matrix::any;
};

constexpr std::array rules = {
    Rule{"Q2_K", "attn_v", Layers::all, TensorType::Q4_K, 4},
    Rule{"Q2_K", "attn_v", Layers::all, TensorType::Q3_K},
    Rule{"Q2_K", "attn_output", Layers::all, TensorType::Q3_K},
    Rule{"Q2_K", "ffn_down", Layers::all, TensorType::Q3_K},
    Rule{"Q2_K_S", "attn_v", Layers::all, TensorType::Q4_K, 4},
    Rule{"Q2_K_S", "ffn_down", Layers::first_eighth, TensorType::Q4_K},
    Rule{"Q3_K_M", "attn_v", Layers::first_two, TensorType::Q5_K},
    Rule{"Q3_K_M", "attn_v", Layers::all, TensorType::Q4_K},
    Rule{"Q3_K_M", "attn_qkv", Layers::all, TensorType::Q4_K},
    Rule{"Q3_K_M", "attn_output", Layers::all, TensorType::Q4_K},
    Rule{"Q3_K_M", "ffn_down", Layers::first_sixteenth, TensorType::Q5_K},
    Rule{"Q3_K_M", "ffn_down", Layers::all, TensorType::Q4_K},
    Rule{"Q3_K_L", "attn_v", Layers::all, TensorType::Q5_K},
    Rule{"Q3_K_L", "attn_qkv", Layers::all, TensorType::Q4_K},
    Rule{"Q3_K_L", "attn_output", Layers::all, TensorType::Q5_K},
    Rule{"Q3_K_L", "ffn_down", Layers::all, TensorType::Q5_K},
    Rule{"Q4_K_S", "attn_v", Layers::first_four, TensorType::Q5_K},
    Rule{"Q4_K_S", "ffn_down", Layers::first_eighth, TensorType::Q5_K},
    Rule{"Q4_K_M", "attn_v", Layers::some, TensorType::Q6_K},
    Rule{"Q4_K_M", "attn_qkv", Layers::all, TensorType::Q5_K},
    Rule{"Q4_K_M", "ffn_down", Layers::some, TensorType::Q6_K},
    Rule{"Q5_K_M", "attn_v", Layers::some, TensorType::Q6_K},
    Rule{"Q5_K_M", "attn_qkv", Layers::all, TensorType::Q6_K},
    Rule{"Q5_K_M", "ffn_down", Layers::some, TensorType::Q6_K},
    Rule{"Q4_0", "ffn_down", Layers::first_eighth, TensorType::Q4_1, 1, Matrix::given},
    Rule{"Q5_0", "ffn_down", Layers::first_eighth, TensorType::Q5_1, 1, Matrix::given},
    Rule{"IQ4_*", "attn_v", Layers::all, TensorType::Q5_K, 4},
    Rule{"IQ4_*", "ffn_down", Layers::first_eighth, TensorType::Q5_K, 1, Matrix::absent},
    Rule{"IQ3_M", "attn_v", Layers::all, TensorType::Q4_K},
    Rule{"IQ3_M", "attn_qkv", Layers::all, TensorType::Q4_K},
    Rule{"IQ3_M", "attn_output", Layers::all, TensorType::Q4_K},
    Rule{"IQ3_M", "ffn_down", Layers::first_eighth, TensorType::Q4_K},
    Rule{"IQ3_S", "attn_v", Layers::all, TensorType::Q4_K, 4},
    Rule{"IQ3_XS", "attn_v", Layers::all, TensorType::Q4_K, 4},
    Rule{"IQ3_XS", "attn_q", Layers::all, TensorType::IQ3_XXS},
    Rule{"IQ3_XS", "attn_k", Layers::all, TensorType::IQ3_XXS},
    Rule{"IQ3_XS", "ffn_gate", Layers::middle, TensorType::IQ3_XXS},
    Rule{"IQ3_XS", "ffn_up", Layers::middle, TensorType::IQ3_XXS},
    Rule{"IQ3_XXS", "attn_v", Layers::all, TensorType::Q4_K, 4},
    Rule{"IQ3_XXS", "attn_v", Layers::all, TensorType::IQ3_S, 1, Matrix::absent},
    Rule{"IQ3_XXS", "attn_q", Layers::all, TensorType::IQ2_S},
    Rule{"IQ3_XXS", "attn_k", Layers::all, TensorType::IQ2_S},
    Rule{"IQ3_XXS", "attn_output", Layers::all, TensorType::IQ3_S},
    Rule{"IQ3_XXS", "ffn_down", Layers::first_eighth, TensorType::Q4_K, 1, Matrix::absent},
    Rule{"IQ3_XXS", "ffn_down", Layers::all, TensorType::Q3_K, 1, Matrix::absent},
    Rule{"IQ2_?", "attn_v", Layers::all, TensorType::Q4_K, 4},
    Rule{"IQ2_?", "attn_v", Layers::all, TensorType::IQ3_S},
    Rule{"IQ2_?", "attn_output", Layers::all, TensorType::IQ3_S},
    Rule{"IQ2_?", "ffn_down", Layers::first_eighth, TensorType::IQ3_S},
    Rule{"IQ2_X*", "attn_v", Layers::all, TensorType::Q4_K, 4},
    Rule{"IQ2_X*", "attn_v", Layers::all, TensorType::Q2_K},
    Rule{"IQ2_X*", "ffn_down", Layers::first_eighth, TensorType::Q2_K},
    Rule{"IQ1_?", "attn_v", Layers::all, TensorType::Q4_K, 4},
    Rule{"IQ1_?", "attn_v", Layers::all, TensorType::Q2_K},
    Rule{"IQ1_?", "attn_output", Layers::all, TensorType::IQ2_XXS},
    Rule{"IQ1_?", "ffn_down", Layers::first_eighth, TensorType::Q2_K},
};

/// Of the embedding, where it does not make the logits too.
struct EmbeddingRule {
    std::string_view mixes;  // as above
    TensorType type;
};
constexpr std::array embedding_rules = {
    EmbeddingRule{"IQ3_XXS", TensorType::IQ3_S}, EmbeddingRule{"IQ2_?", TensorType::IQ3_S},
    EmbeddingRule{"IQ2_X*", TensorType::Q2_K},   EmbeddingRule{"IQ1_?", TensorType::Q2_K},
    EmbeddingRule{"TQ?_0", TensorType::Q4_K},
};

/// Of what makes the logits, which suffer most: 6 bits, or 5 where there are under three for the others.
TensorType head_type(const Mix& mix, std::uint64_t columns) {
    switch (mix.base) {
        case TensorType::F32:
        case TensorType::F16:
        case TensorType::BF16:
        case TensorType::Q8_0: return mix.base;
        case TensorType::IQ3_XXS:
        case TensorType::IQ2_S:
        case TensorType::IQ2_XS:
        case TensorType::IQ2_XXS:
        case TensorType::IQ1_M:
        case TensorType::IQ1_S:  // rows that do not divide get Q8_0 in any mix
            return columns % quant::type_info(TensorType::Q5_K).block_elements == 0 ? TensorType::Q5_K
                                                                                    : TensorType::Q6_K;
        default: return TensorType::Q6_K;
    }
}

/// Matrices by shape, and not to be rounded: they are small, or gathered row by row, or decide where a token goes.
constexpr std::array<std::string_view, 8> kept = {
    "*norm*",        "*ffn_gate_inp*", "*position_embd*",  "*pos_embd*",
    "token_types.*", "*ssm_conv1d*",   "*shortconv.conv*", "*time_mix*",
};

/// "blk.N.PART" in pieces; nullopt for any other name. Of "ffn_down_exps.weight", the part is "ffn_down".
struct Place {
    std::uint64_t layer;
    std::string_view part;
};
std::optional<Place> place_of(std::string_view name) {
    constexpr std::string_view start = "blk.";
    if (!name.starts_with(start)) return std::nullopt;
    name.remove_prefix(start.size());
    Place place = {};
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), place.layer);
    name.remove_prefix(static_cast<std::size_t>(end - name.data()));
    if (error != std::errc() || !name.starts_with('.')) return std::nullopt;
    name.remove_prefix(1);
    place.part = name.substr(0, name.find('.'));
    for (const std::string_view experts : {"_exps", "_shexp"}) {
        if (place.part.ends_with(experts)) place.part.remove_suffix(experts.size());
    }
    return place;
}

std::uint64_t largest(const formats::Metadata& metadata, const std::string& key) {
    const auto values = metadata.numbers(key);
    if (!values.ok() || !*values) return 0;
    double most = 0;
    for (const double value : **values)
        most = std::max(most, value);
    return most < 1e6 ? static_cast<std::uint64_t>(most) : 0;
}

}  // namespace

std::span<const Mix> all_mixes() {
    return mixes;
}

const Mix* find_mix(std::string_view name) {
    for (const auto& [alias, meant] : {std::pair{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}}) {
        if (quant::same_name(name, alias)) return find_mix(meant);
    }
    const auto* found =
        std::find_if(mixes.begin(), mixes.end(), [&](const Mix& mix) { return quant::same_name(mix.name, name); });
    return found == mixes.end() ? nullptr : found;
}

ModelTraits traits_of(const formats::ModelFile& file) {
    ModelTraits traits;
    for (const formats::FoundTensor& tensor : file.tensors) {
        if (const auto place = place_of(tensor.name)) traits.layers = std::max(traits.layers, place->layer + 1);
    }
    const std::uint64_t heads = largest(file.metadata, file.architecture + ".attention.head_count");
    const std::uint64_t kv_heads = largest(file.metadata, file.architecture + ".attention.head_count_kv");
    if (heads > 0 && kv_heads > 0) traits.heads_per_kv = heads / kv_heads;
    for (const std::string_view name : {"output.weight", "token_embd.weight"}) {  // tied: the embedding makes them
        const formats::FoundTensor* tensor = file.find_tensor(name);
        if (!traits.head.empty() || tensor == nullptr) continue;
        traits.head = name;
        traits.head_columns = tensor->shape.empty() ? 1 : tensor->shape.back();
    }
    return traits;
}

bool is_convertible(const formats::FoundTensor& tensor) {
    // {1, 1, n} is a vector too.
    const auto outermost = std::find_if(tensor.shape.begin(), tensor.shape.end(), [](auto n) { return n > 1; });
    if (tensor.shape.end() - outermost < 2 || !tensor.name.ends_with(".weight")) return false;
    return std::none_of(kept.begin(), kept.end(),
                        [&](std::string_view glob) { return matches_glob(glob, tensor.name); });
}

TensorType type_in_mix(const Mix& mix, std::string_view tensor_name, const ModelTraits& traits) {
    if (tensor_name == traits.head) return head_type(mix, traits.head_columns);
    if (tensor_name == "token_embd.weight") {
        const auto* rule = std::find_if(embedding_rules.begin(), embedding_rules.end(),
                                        [&](const EmbeddingRule& r) { return matches_glob(r.mixes, mix.name); });
        return rule == embedding_rules.end() ? mix.base : rule->type;
    }
    const auto place = place_of(tensor_name);
    if (!place) return mix.base;
    for (const Rule& rule : rules) {
        if (matches_glob(rule.mixes, mix.name) && rule.part == place->part &&
            traits.heads_per_kv >= rule.heads_per_kv && holds(rule.layers, place->layer, traits.layers) &&
            holds(rule.matrix, traits.by_importance)) {
            return rule.type;
        }
    }
    return mix.base;
}

TensorType type_for_rows(TensorType type, std::uint64_t row_elements) {
    while (row_elements % quant::type_info(type).block_elements != 0) {
        switch (type) {
            case TensorType::Q2_K:
            case TensorType::Q3_K:
            case TensorType::IQ1_S:
            case TensorType::IQ1_M:
            case TensorType::IQ2_XXS:
            case TensorType::IQ2_XS:
            case TensorType::IQ2_S:
            case TensorType::IQ3_XXS:
            case TensorType::IQ3_S:
            case TensorType::NVFP4:
            case TensorType::IQ4_XS: type = TensorType::IQ4_NL; break;
            // As llama-quantize has it. Zeros of a ternary model stay zeros, which IQ4_NL does not have.
            case TensorType::TQ1_0:
            case TensorType::TQ2_0: type = TensorType::Q4_0; break;
            case TensorType::Q4_K: type = TensorType::Q5_0; break;
            case TensorType::Q5_K: type = TensorType::Q5_1; break;
            case TensorType::Q6_K: type = TensorType::Q8_0; break;
            default: type = TensorType::F16; break;  // whose blocks are single elements
        }
    }
    return type;
}

bool matches_glob(std::string_view glob, std::string_view text) {
    std::size_t g = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;  // the last one met, and what it has taken up to
    std::size_t taken = 0;
    while (t < text.size()) {
        if (g < glob.size() && glob[g] == '*') {
            star = g++;
            taken = t;
        } else if (g < glob.size() && (glob[g] == '?' || glob[g] == text[t])) {
            ++g;
            ++t;
        } else if (star != std::string_view::npos) {
            g = star + 1;
            t = ++taken;
        } else {
            return false;
        }
    }
    return std::all_of(glob.begin() + static_cast<std::ptrdiff_t>(g), glob.end(), [](char c) { return c == '*'; });
}

}  // namespace puna::convert
