#include "formats/weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "base/shard_name.h"
#include "base/try.h"
#include "formats/folder.h"
#include "formats/printable.h"
#include "formats/pytorch/reader.h"
#include "formats/recognize.h"
#include "formats/safetensors/reader.h"
#include "formats/weights_index.h"

namespace puna::formats {
namespace {

constexpr std::string_view index_ending = ".index.json";
/// Of files that an index lists.
constexpr std::array<std::string_view, 2> weights_endings = {".safetensors", ".bin"};

/// "model.safetensors.index.json" for "model-00001-of-00002.safetensors"; nullopt for a file that is not one of
/// several.
std::optional<std::string> index_of_shard(const std::string& path) {
    const auto* const ending = std::find_if(weights_endings.begin(), weights_endings.end(),
                                            [&](std::string_view e) { return path.ends_with(e); });
    if (ending == weights_endings.end()) return std::nullopt;
    std::string_view rest = path;
    rest.remove_suffix(ending->size());
    const auto shard = base::parse_shard_name(rest);
    if (!shard) return std::nullopt;
    return fmt::format("{}{}{}", shard->model, *ending, index_ending);
}

Error no_weights(const std::string& folder, const std::vector<std::string>& names) {
    const auto holds = [&](std::string_view ending) {
        return std::any_of(names.begin(), names.end(), [&](const std::string& name) { return name.ends_with(ending); });
    };
    std::string hint =
        "give a folder with model.safetensors or pytorch_model.bin, or with an index of several such files";
    if (holds(".gguf")) {
        hint = "it holds GGUF files: give one of them";
    } else if (holds(".bin") || holds(".pt")) {
        hint = "give the file of weights itself";
    }
    return {ErrorCode::unsupported_format,
            fmt::format("{}: the folder holds no weights in files of safetensors or PyTorch", printable_path(folder)),
            std::move(hint)};
}

}  // namespace

bool is_index_name(std::string_view path) {
    if (!path.ends_with(index_ending)) return false;
    path.remove_suffix(index_ending.size());
    return std::any_of(weights_endings.begin(), weights_endings.end(),
                       [&](std::string_view ending) { return path.ends_with(ending); });
}

Result<std::string> find_weights(const std::string& folder) {
    PUNA_TRY(const std::vector<std::string> names, list_folder(folder));
    const auto holds = [&](std::string_view name) { return std::binary_search(names.begin(), names.end(), name); };
    for (const std::string_view usual : {"model.safetensors.index.json", "model.safetensors"}) {
        if (holds(usual)) return std::string(usual);
    }
    // A folder may hold PyTorch files that are no weights (an optimizer's state): of these, usual names alone count,
    // and the only *.pth.
    for (const std::string_view ending : {".safetensors.index.json", ".safetensors", "", ".pth"}) {
        if (ending.empty()) {
            for (const std::string_view usual :
                 {"pytorch_model.bin.index.json", "pytorch_model.bin", "consolidated.00.pth"}) {
                if (holds(usual)) return std::string(usual);
            }
            continue;
        }
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

Result<TensorFile> read_tensor_file(const std::shared_ptr<const base::FileMapping>& mapping) {
    PUNA_TRY(const Format format, recognize_format(mapping->bytes(), mapping->path()));
    switch (format) {
        case Format::safetensors: return safetensors::read_file(mapping);
        case Format::pytorch: return pytorch::read_file(mapping);
        case Format::gguf:
        case Format::ggml: break;
    }
    return Error{
        ErrorCode::unsupported_format,
        fmt::format("{}: the file is in no format that holds tensors by name alone", printable_path(mapping->path())),
        "give the file itself: it is a model of its own"};
}

Result<void> add_weights(const std::shared_ptr<const base::FileMapping>& mapping, ModelFile& model) {
    auto weights = mapping;
    if (const auto index = index_of_shard(mapping->path())) {
        std::error_code ignored;
        if (std::filesystem::exists(*index, ignored)) {
            PUNA_TRY(weights, base::FileMapping::open(*index));
        }
    }
    std::vector<TensorFile> files;
    if (is_index_name(weights->path())) {
        PUNA_TRY(files, read_index(weights, read_tensor_file));
    } else {
        PUNA_TRY(TensorFile file, read_tensor_file(weights));
        files.push_back(std::move(file));
    }
    model.format = files.front().format;
    if (files.size() > 1) model.format += fmt::format(", {} files", files.size());
    for (TensorFile& file : files) {
        std::move(file.tensors.begin(), file.tensors.end(), std::back_inserter(model.tensors));
        model.file_bytes += file.mapping->bytes().size();
        model.mappings.push_back(std::move(file.mapping));
    }
    if (const FoundTensor* duplicate = nullptr; !model.index_tensors(&duplicate)) {
        const auto& place = duplicate->parts.front().mapping;
        return Error{ErrorCode::file_malformed,
                     fmt::format("{}: {}: the name occurs twice",
                                 printable_path(place == nullptr ? model.path : place->path()), duplicate->describe()),
                     "put the files of one model, and no others, into the folder"};
    }
    return {};
}

}  // namespace puna::formats
