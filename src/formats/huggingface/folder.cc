#include "formats/huggingface/folder.h"

#include <string_view>
#include <utility>

#include "base/try.h"
#include "formats/folder.h"
#include "formats/huggingface/side_files.h"
#include "formats/huggingface/vocabulary.h"
#include "formats/malformed.h"
#include "formats/weights.h"

namespace puna::formats::huggingface {
namespace {

Result<void> add_config(const SideFiles& side_files, ModelFile& model) {
    constexpr std::string_view name = "config.json";
    model.metadata_path = side_files.path(name);
    PUNA_TRY(const auto config, side_files.read_json(name));
    if (!config) return {};
    add_values(config->root(), "", model.metadata);
    PUNA_TRY(auto architecture, in_file(model.metadata_path, model.metadata.string("model_type")));
    model.architecture = std::move(architecture).value_or("");
    return {};
}

}  // namespace

Result<std::shared_ptr<const ModelFile>> read_model(const std::string& path,
                                                    const std::shared_ptr<const base::FileMapping>& weights) {
    const std::string folder = folder_of(weights->path());
    auto model = std::make_shared<ModelFile>();
    model->path = path;
    model->dialect = Dialect::huggingface;
    PUNA_CHECK(add_weights(weights, *model));
    const SideFiles side_files(folder);
    PUNA_CHECK(add_config(side_files, *model));
    PUNA_TRY(model->vocabulary, read_vocabulary(side_files, model->metadata, "config.json"));
    model->name = model->architecture.empty() ? std::string() : name_of_folder(folder);
    PUNA_CHECK(model->check_mappings());
    return std::shared_ptr<const ModelFile>(std::move(model));
}

}  // namespace puna::formats::huggingface
