#include "store/models.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/shard_name.h"
#include "base/system_error.h"
#include "base/text_file.h"
#include "base/try.h"

namespace puna::store {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view extension = ".gguf";
constexpr std::size_t most_named = 20;  // in a message

std::uint64_t size_of(const fs::directory_entry& entry) {
    std::error_code failure;
    const std::uintmax_t bytes = entry.file_size(failure);
    return failure ? 0 : bytes;
}

std::uint64_t size_of_folder(const fs::path& folder) {
    std::uint64_t bytes = 0;
    std::error_code failure;
    for (fs::directory_iterator entry(folder, failure), end; !failure && entry != end; entry.increment(failure)) {
        std::error_code ignored;
        if (entry->is_regular_file(ignored)) bytes += size_of(*entry);
    }
    return bytes;
}

void add(std::vector<StoredModel>& models, const fs::directory_entry& entry) {
    std::error_code ignored;
    const std::string name = entry.path().filename().string();
    const std::string path = entry.path().string();
    if (name.starts_with('.')) return;
    if (entry.is_directory(ignored)) {
        if (fs::exists(entry.path() / "config.json", ignored))
            models.push_back({name, path, size_of_folder(entry.path())});
        return;
    }
    if (!name.ends_with(extension) || !entry.is_regular_file(ignored)) return;
    const std::string stem = name.substr(0, name.size() - extension.size());
    const auto shard = base::parse_shard_name(stem);
    if (!shard || shard->model.empty()) {
        models.push_back({stem, path, size_of(entry)});
        return;
    }
    auto model = std::ranges::find(models, shard->model, &StoredModel::name);
    if (model == models.end()) model = models.insert(models.end(), {std::string(shard->model), path, 0});
    model->bytes += size_of(entry);
    if (shard->number == "00001") model->path = path;
}

std::string names_of(const std::vector<StoredModel>& models) {
    std::string names;
    for (std::size_t i = 0; i < models.size() && i < most_named; ++i)
        names += (i == 0 ? "" : ", ") + models[i].name;
    return models.size() > most_named ? names + ", ..." : names;
}

}  // namespace

std::optional<std::string> models_folder() {
    if (const auto folder = base::environment_variable("PUNA_MODELS")) return folder;
    if (const auto home = base::environment_variable("PUNA_HOME")) return *home + "/models";
    if (const auto data = base::environment_variable("XDG_DATA_HOME")) return *data + "/puna/models";
    if (const auto home = base::environment_variable("HOME")) return *home + "/.local/share/puna/models";
    return std::nullopt;
}

Result<std::vector<StoredModel>> list_models(const std::string& folder) {
    std::vector<StoredModel> models;
    std::error_code failure;
    fs::directory_iterator entry(folder, failure);
    if (failure == std::errc::no_such_file_or_directory) return models;
    for (; !failure && entry != fs::directory_iterator(); entry.increment(failure))
        add(models, *entry);
    if (failure) return base::system_error(ErrorCode::file_unreadable, "read the folder", folder, failure.value());
    std::ranges::sort(models, {}, &StoredModel::name);
    return models;
}

Result<std::string> find_model(const std::string& word) {
    std::error_code ignored;
    const auto folder = models_folder();
    if (fs::exists(word, ignored) || word.find('/') != std::string::npos || !folder) return word;
    PUNA_TRY(const std::vector<StoredModel> models, list_models(*folder));
    for (const StoredModel& model : models) {
        if (word == model.name || word == model.name + std::string(extension)) return model.path;
    }
    return Error{ErrorCode::file_not_found,
                 fmt::format("there is no file \"{}\", and no model of that name in {}", word, *folder),
                 models.empty() ? "give the path of a model; there are none in that folder"
                                : fmt::format("give a path, or one of the models there: {}", names_of(models))};
}

}  // namespace puna::store
