// What each family's file hands to the registry.
#pragma once

#include <memory>

#include "models/model.h"

namespace puna::models {

Result<std::shared_ptr<const Model>> create_llama(std::shared_ptr<const formats::ModelFile> file);
/// That every tensor is there in its shape, as create_llama does, and none without a place. Nothing is put together.
Result<void> check_llama(std::shared_ptr<const formats::ModelFile> file);
/// Of a file of another dialect.
Result<std::shared_ptr<const formats::ModelFile>> llama_in_gguf(std::shared_ptr<const formats::ModelFile> file,
                                                                Defaults defaults);
/// Of a file in GGUF's dialect.
Result<LegacyForm> llama_in_ggml(std::shared_ptr<const formats::ModelFile> file);

}  // namespace puna::models
