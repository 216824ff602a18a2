// The folder of models, where a name stands for a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "puna/error.h"

namespace puna::store {

struct StoredModel {
    std::string name;         // what users call it
    std::string path;         // what a reader of models takes
    std::uint64_t bytes = 0;  // of all its files
};

/// $PUNA_MODELS; else the folder `models` in $PUNA_HOME, or in $XDG_DATA_HOME/puna, by default ~/.local/share/puna;
/// nullopt without a home. It need not exist.
std::optional<std::string> models_folder();

/// The models in `folder`, by name: files NAME.gguf; of a model in several files, NAME-00001-of-0000N.gguf and so on,
/// the first for all; and folders of Hugging Face checkouts (with a config.json). None if there is no such folder.
/// Errors: file_unreadable.
Result<std::vector<StoredModel>> list_models(const std::string& folder);

/// The path of what a user named: a path that exists as it is, or else the model of that name, with or without .gguf,
/// in the store. What looks like a path stays as it is, for its reader to complain about. Errors: file_not_found, with
/// the names that there are; file_unreadable.
Result<std::string> find_model(const std::string& word);

}  // namespace puna::store
