// The list of model families: a family is one file and one line here.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.h"
#include "formats/printable.h"
#include "models/families.h"
#include "models/model.h"

namespace puna::models {
namespace {

using formats::Dialect;
using formats::ModelFile;

struct Family {
    std::string_view architecture;
    std::vector<std::string_view> huggingface;  // what config.json calls it, `model_type`
    Result<std::shared_ptr<const Model>> (*create)(std::shared_ptr<const ModelFile> file);
    Result<std::shared_ptr<const ModelFile>> (*in_gguf)(std::shared_ptr<const ModelFile> file, Defaults defaults);
    Result<LegacyForm> (*in_ggml)(std::shared_ptr<const ModelFile> file);
};

const std::vector<Family>& families() {
    static const std::vector<Family> list = {
        {"llama", {"llama", "mistral"}, create_llama, llama_in_gguf, llama_in_ggml},  // LLaMA 1 to 3, Mistral, SmolLM2
    };
    return list;
}

Result<const Family*> find_family(const ModelFile& file) {
    for (const Family& family : families()) {
        const bool named = file.dialect == Dialect::huggingface
                               ? std::ranges::find(family.huggingface, file.architecture) != family.huggingface.end()
                               : family.architecture == file.architecture;
        if (named) return &family;
    }
    if (file.architecture.empty() && file.dialect == Dialect::huggingface) {
        return Error{ErrorCode::unsupported_architecture,
                     fmt::format("{}: nothing says which architecture the weights are of", file.path),
                     fmt::format("what the model is belongs beside them: '{}' ('model_type'), or Meta's params.json",
                                 file.metadata_path)};
    }
    if (file.architecture.empty()) {
        const auto kind = file.metadata.string("general.type");  // "imatrix", "adapter"
        const std::string found = kind.ok() && *kind ? formats::printable(**kind) : std::string("unknown");
        return Error{ErrorCode::unsupported_architecture,
                     fmt::format("{}: the file holds no model that could run: its type is '{}', and it names no "
                                 "architecture",
                                 file.path, found),
                     "give a model's file"};
    }
    return Error{ErrorCode::unsupported_architecture,
                 fmt::format("{}: the architecture '{}' is not one that this version runs", file.path,
                             formats::printable(file.architecture)),
                 fmt::format("it runs: {}", fmt::join(known_architectures(), ", "))};
}

}  // namespace

nn::KvCache::Shape Model::kv_shape(kernels::KvType type) const {
    return {{type, dimensions_.kv_heads, dimensions_.head_dim}, dimensions_.layers};
}

std::vector<std::string> known_architectures() {
    std::vector<std::string> names;
    for (const Family& family : families())
        names.emplace_back(family.architecture);
    return names;
}

Result<std::shared_ptr<const Model>> create_model(std::shared_ptr<const ModelFile> file) {
    PUNA_TRY(const Family* family, find_family(*file));
    return family->create(std::move(file));
}

Result<std::shared_ptr<const ModelFile>> in_gguf_dialect(std::shared_ptr<const ModelFile> file, Defaults defaults) {
    if (file->dialect == Dialect::gguf) return file;
    PUNA_TRY(const Family* family, find_family(*file));
    return family->in_gguf(std::move(file), defaults);
}

Result<LegacyForm> in_ggml_dialect(std::shared_ptr<const ModelFile> file) {
    PUNA_TRY(std::shared_ptr<const ModelFile> gguf, in_gguf_dialect(std::move(file)));
    PUNA_TRY(const Family* family, find_family(*gguf));
    return family->in_ggml(std::move(gguf));
}

}  // namespace puna::models
