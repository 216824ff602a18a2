#include "formats/huggingface/folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "base/try.h"
#include "formats/huggingface/side_files.h"
#include "formats/huggingface/vocabulary.h"
#include "formats/printable.h"
#include "formats/safetensors/reader.h"
#include "formats/safetensors/shards.h"

namespace puna::formats::huggingface {
namespace {

constexpr std::string_view index_ending = ".safetensors.index.json";
constexpr std::string_view weights_ending = ".safetensors";

std::string with_slash(const std::string& folder) {
    return folder.empty() || folder.ends_with('/') ? folder : folder + '/';
}

std::string folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

/// The last name in a path; of ".", that of the folder it stands for.
std::string name_of(const std::string& folder) {
    std::error_code ignored;
    const auto full = std::filesystem::weakly_canonical(folder.empty() ? "." : folder, ignored);
    return full.filename().empty() ? full.parent_path().filename().string() : full.filename().string();
}

bool has_digits(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// "model.safetensors.index.json" for "model-00001-of-00002.safetensors"; nullopt for a file that is not one of
/// several.
std::optional<std::string> index_of_shard(const std::string& path) {
    constexpr std::size_t digits = 5;
    constexpr std::string_view of = "-of-";
    std::string_view rest = path;
    if (!rest.ends_with(weights_ending)) return std::nullopt;
    rest.remove_suffix(weights_ending.size());
    if (rest.size() < 2 * digits + of.size() + 1) return std::nullopt;
    const std::string_view count = rest.substr(rest.size() - digits);
    const std::string_view number = rest.substr(rest.size() - 2 * digits - of.size(), digits);
    const std::size_t dash = rest.size() - 2 * digits - of.size() - 1;
    const bool is_shard = has_digits(count) && has_digits(number) && rest[dash] == '-' &&
                          rest.substr(rest.size() - digits - of.size(), of.size()) == of;
    if (!is_shard) return std::nullopt;
    return std::string(rest.substr(0, dash)) + std::string(index_ending);
}

/// The names in a folder, in order.
Result<std::vector<std::string>> list_folder(const std::string& folder) {
    std::error_code failed;
    std::vector<std::string> names;
    std::filesystem::directory_iterator entry(folder.empty() ? "." : folder, failed);
    for (; !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed))
        names.push_back(entry->path().filename().string());
    if (failed) {
        return Error{ErrorCode::file_unreadable,
                     fmt::format("cannot read the folder \"{}\": {}", printable_path(folder), failed.message()), ""};
    }
    std::sort(names.begin(), names.end());
    return names;
}

Error no_weights(const std::string& folder, const std::vector<std::string>& names) {
    const auto holds = [&](std::string_view ending) {
        return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return name.ends_with(ending); });
    };
    std::string hint = "give a folder with model.safetensors, or with an index of several such files";
    if (holds(".gguf"))
        hint = "it holds GGUF files: give one of them";
    else if (holds(".bin") || holds(".pth") || holds(".pt"))
        hint = "it holds PyTorch weights, which puna does not read yet; take the model in safetensors";
    return {ErrorCode::unsupported_format,
            fmt::format("{}: the folder holds no weights in safetensors files", printable_path(folder)),
            std::move(hint)};
}

/// The file of weights in a folder, or their index.
Result<std::string> find_weights(const std::string& folder) {
    PUNA_TRY(const std::vector<std::string> names, list_folder(folder));
    for (const std::string_view usual : {"model.safetensors.index.json", "model.safetensors"}) {
        if (std::binary_search(names.begin(), names.end(), usual)) return std::string(usual);
    }
    for (const std::string_view ending : {index_ending, weights_ending}) {
        std::vector<std::string> found;
        std::copy_if(names.begin(), names.end(), std::back_inserter(found),
                     [&](const std::string& name) { return name.ends_with(ending); });
        if (found.size() == 1) return found.front();
        if (found.size() > 1) {
            return Error{ErrorCode::unsupported_format,
                         fmt::format("{}: the folder holds {} files *{}, and which is the model's is not clear",
                                     printable_path(folder), found.size(), ending),
                         "give the file itself"};
        }
    }
    return no_weights(folder, names);
}

Result<void> add_weights(const std::shared_ptr<const base::FileMapping>& mapping, ModelFile& model) {
    std::vector<safetensors::File> files;
    if (is_index_name(mapping->path())) {
        PUNA_TRY(files, safetensors::read_index(mapping));
    } else {
        PUNA_TRY(safetensors::File file, safetensors::read_file(mapping));
        files.push_back(std::move(file));
    }
    model.format = files.size() == 1 ? "safetensors" : fmt::format("safetensors, {} files", files.size());
    for (safetensors::File& file : files) {
        std::move(file.tensors.begin(), file.tensors.end(), std::back_inserter(model.tensors));
        model.file_bytes += file.mapping->bytes().size();
        model.mappings.push_back(std::move(file.mapping));
    }
    if (const FoundTensor* duplicate = nullptr; !model.index_tensors(&duplicate)) {
        return Error{ErrorCode::file_malformed,
                     fmt::format("{}: {}: the name occurs in another file too",
                                 printable_path(duplicate->parts.front().mapping->path()), duplicate->describe()),
                     "put the files of one model, and no others, into the folder"};
    }
    return {};
}

Result<void> add_config(const SideFiles& side_files, ModelFile& model) {
    constexpr std::string_view name = "config.json";
    model.metadata_path = side_files.path(name);
    PUNA_TRY(const auto config, side_files.read_json(name));
    if (!config) return {};
    add_values(config->root(), "", model.metadata);
    auto architecture = model.metadata.string("model_type");
    if (!architecture.ok()) {
        Error error = std::move(architecture).error();
        error.message = fmt::format("{}: {}", printable_path(model.metadata_path), error.message);
        return error;
    }
    model.architecture = std::move(architecture).value().value_or("");
    return {};
}

}  // namespace

bool is_index_name(std::string_view path) {
    return path.ends_with(index_ending);
}

Result<std::shared_ptr<const ModelFile>> read_folder(const std::string& path) {
    const std::string folder = with_slash(path);
    PUNA_TRY(const std::string name, find_weights(folder));
    PUNA_TRY(const auto mapping, base::FileMapping::open(folder + name));
    return read_weights(path, mapping);
}

Result<std::shared_ptr<const ModelFile>> read_weights(const std::string& path,
                                                      const std::shared_ptr<const base::FileMapping>& mapping) {
    auto weights = mapping;
    const std::string folder = folder_of(mapping->path());
    if (const auto index = index_of_shard(mapping->path())) {
        std::error_code ignored;
        if (std::filesystem::exists(*index, ignored)) {
            PUNA_TRY(weights, base::FileMapping::open(*index));
        }
    }
    auto model = std::make_shared<ModelFile>();
    model->path = path;
    model->dialect = Dialect::huggingface;
    PUNA_CHECK(add_weights(weights, *model));
    const SideFiles side_files(folder);
    PUNA_CHECK(add_config(side_files, *model));
    PUNA_TRY(model->vocabulary, read_vocabulary(side_files, model->metadata));
    model->name = model->architecture.empty() ? std::string() : name_of(folder);
    PUNA_CHECK(model->check_mappings());
    return std::shared_ptr<const ModelFile>(std::move(model));
}

}  // namespace puna::formats::huggingface
