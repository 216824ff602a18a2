// A LLaMA as the files before GGUF hold it.
#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "base/try.h"
#include "formats/ggml/layout.h"
#include "models/families.h"
#include "models/llama_names.h"
#include "models/llama_parameters.h"

namespace puna::models {
namespace {

using formats::Dialect;
using formats::ModelFile;
using llama::HyperParameters;

namespace key = llama::key;
namespace name = llama::name;

/// Readers of 2023 computed the width of the feed-forward network: two thirds of 4 d, up to a multiple of n_mult.
/// Returns an n_mult by which they get `width`; 0 if there is none.
std::int64_t find_multiple(std::int64_t d, std::int64_t width) {
    const std::int64_t least = 2 * (4 * d) / 3;
    const auto gives_width = [&](std::int64_t multiple) {
        return (least + multiple - 1) / multiple * multiple == width;
    };
    constexpr std::int64_t usual = 256;  // of LLaMA 1
    if (gives_width(usual)) return usual;
    for (std::int64_t multiple = width; multiple > 0; --multiple) {
        if (gives_width(multiple)) return multiple;
    }
    return 0;
}

Result<void> check_holdable(const ModelFile& file, const HyperParameters& h) {
    const Dimensions& d = h.dimensions;
    const auto cannot = [&](const std::string& what) {
        return Error{ErrorCode::unsupported_architecture,
                     fmt::format("{}: a file of the formats before GGUF cannot hold {}", file.path, what),
                     "write it as GGUF"};
    };
    if (h.rope.scale != 1.0F || !h.rope.factors.empty()) return cannot("a model whose RoPE is scaled");
    if (d.head_dim * d.heads != d.embedding) {
        return cannot(fmt::format("{} heads of {} dimensions in a width of {}", d.heads, d.head_dim, d.embedding));
    }
    return {};
}

/// What a reader would take for granted, and wrongly.
std::vector<std::string> collect_unsaid(const HyperParameters& h, std::int64_t multiple) {
    const Dimensions& d = h.dimensions;
    std::vector<std::string> unsaid;
    if (h.eps != static_cast<float>(llama::usual_epsilon(Dialect::ggml, d)))
        unsaid.push_back(fmt::format("the norm epsilon (--norm-epsilon {})", h.eps));
    if (h.rope.base != static_cast<float>(llama::usual_rope_base))
        unsaid.push_back(fmt::format("the base of RoPE (--rope-base {})", h.rope.base));
    if (d.context != llama::legacy_context)
        unsaid.push_back(fmt::format("the context (--model-context {})", d.context));
    if (d.kv_heads != d.heads)
        unsaid.push_back(
            fmt::format("that there are {} KV heads, which puna sees and older programs do not", d.kv_heads));
    if (multiple == 0) {
        unsaid.push_back(
            fmt::format("the feed-forward width of {}, which puna sees and older programs compute "
                        "otherwise",
                        d.feed_forward));
    }
    return unsaid;
}

}  // namespace

Result<LegacyForm> llama_in_ggml(std::shared_ptr<const ModelFile> file) {
    PUNA_TRY(const HyperParameters h, llama::read_hyper_parameters(*file));
    PUNA_CHECK(check_llama(file));
    PUNA_CHECK(check_holdable(*file, h));
    const Dimensions& d = h.dimensions;
    const std::int64_t multiple = find_multiple(d.embedding, d.feed_forward);
    auto legacy = std::make_shared<ModelFile>();
    legacy->path = file->path;
    legacy->dialect = Dialect::ggml;
    legacy->architecture = "llama";
    legacy->metadata_path = file->metadata_path;
    legacy->vocabulary = file->vocabulary;
    legacy->mappings = file->mappings;
    legacy->file_bytes = file->file_bytes;
    const auto set = [&](std::string_view field, std::int64_t value) {
        legacy->metadata.values[std::string(field)] = static_cast<std::uint64_t>(value);
    };
    set(formats::ggml::vocabulary_size_key, d.vocabulary);
    set(key::embedding.ggml, d.embedding);
    set("n_mult", std::max<std::int64_t>(multiple, 1));
    set(key::heads.ggml, d.heads);
    set(key::layers.ggml, d.layers);
    set(key::rotated.ggml, h.rope.rotated);

    const auto add = [&](std::string to, const std::string& from) {
        legacy->tensors.push_back(*file->find_tensor(from));
        legacy->tensors.back().name = std::move(to);
    };
    const auto add_single = [&](const Names& names, const Names& from) {
        add(std::string(names.ggml), std::string(from.gguf));
    };
    add_single(name::embedding, name::embedding);
    add_single(name::output_norm, name::output_norm);
    add_single(name::output, h.tied ? name::embedding : name::output);
    for (std::int64_t i = 0; i < d.layers; ++i) {
        for (const Names& names : {name::attention_norm, name::q, name::k, name::v, name::attention_output,
                                   name::feed_forward_norm, name::gate, name::down, name::up}) {
            add(names.in(Dialect::ggml, i), names.in(Dialect::gguf, i));
        }
    }
    legacy->index_tensors();
    return LegacyForm{std::move(legacy), collect_unsaid(h, multiple)};
}

}  // namespace puna::models
