// Hugging Face folders: weights in safetensors files, and beside them what the model is (docs/formats/huggingface.md).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/file_mapping.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::formats::huggingface {

/// Whether a file is named as the index of a model in several safetensors files.
bool is_index_name(std::string_view path);

/// The model in a folder. Metadata are the values of config.json, those of an object within it under the names joined
/// by dots ("rope_scaling.factor").
/// Errors: those of read_model_file.
Result<std::shared_ptr<const ModelFile>> read_folder(const std::string& path);

/// The model that a file of weights, or their index, belongs to: with what lies beside it, and for one of several files
/// with the others. Errors: those of read_model_file.
Result<std::shared_ptr<const ModelFile>> read_weights(const std::string& path,
                                                      const std::shared_ptr<const base::FileMapping>& mapping);

}  // namespace puna::formats::huggingface
