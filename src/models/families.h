// What each family's file hands to the registry.
#pragma once

#include <memory>

#include "models/model.h"

namespace puna::models {

Result<std::shared_ptr<const Model>> create_llama(std::shared_ptr<const formats::ModelFile> file);
/// Of a file of another dialect.
Result<std::shared_ptr<const formats::ModelFile>> llama_in_gguf(std::shared_ptr<const formats::ModelFile> file);

}  // namespace puna::models
