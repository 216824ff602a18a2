// The list of model families: a family is one file and one line here.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/families.h"
#include "models/model.h"

namespace puna::models {
namespace {

struct Family {
    std::string_view architecture;
    Result<std::shared_ptr<const Model>> (*create)(std::shared_ptr<const formats::ModelFile> file);
};

constexpr Family families[] = {
    {"llama", create_llama},  // LLaMA 1 to 3, Mistral, SmolLM2
};

}  // namespace

nn::KvCache::Shape Model::kv_shape(kernels::KvType type) const {
    return {{type, dimensions_.kv_heads, dimensions_.head_dim}, dimensions_.layers};
}

std::vector<std::string> known_architectures() {
    std::vector<std::string> names;
    for (const Family& family : families)
        names.emplace_back(family.architecture);
    return names;
}

Result<std::shared_ptr<const Model>> create_model(std::shared_ptr<const formats::ModelFile> file) {
    for (const Family& family : families) {
        if (family.architecture == file->architecture) return family.create(std::move(file));
    }
    return Error{
        ErrorCode::unsupported_architecture,
        fmt::format("{}: the architecture '{}' is not one that this version runs", file->path, file->architecture),
        fmt::format("it runs: {}", fmt::join(known_architectures(), ", "))};
}

}  // namespace puna::models
