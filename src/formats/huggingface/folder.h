// Hugging Face folders: weights, and beside them what the model is (docs/formats/huggingface.md).
#pragma once

#include <memory>
#include <string>

#include "base/file_mapping.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::formats::huggingface {

/// The model that a file of weights, or their index, belongs to: with what lies beside it, and for one of several files
/// with the others. Metadata are the values of config.json, those of an object within it under the names joined by dots
/// ("rope_scaling.factor"). Errors: those of read_model_file.
Result<std::shared_ptr<const ModelFile>> read_model(const std::string& path,
                                                    const std::shared_ptr<const base::FileMapping>& weights);

}  // namespace puna::formats::huggingface
