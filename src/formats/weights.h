// A model's weights in files that hold tensors by name and nothing else: safetensors and PyTorch's, one or several.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/file_mapping.h"
#include "formats/model_file.h"
#include "formats/tensor_file.h"
#include "puna/error.h"

namespace puna::formats {

/// Whether a file is named as the index of a model in several files.
bool is_index_name(std::string_view path);

/// The name of the file of weights in a folder, or of their index; safetensors come first. `folder` ends in a slash, or
/// is empty for the current one. Errors: unsupported_format (there is none, or which one is not clear),
/// file_unreadable.
Result<std::string> find_weights(const std::string& folder);

/// A file of either format. Errors: those of its reader, unsupported_format.
Result<TensorFile> read_tensor_file(const std::shared_ptr<const base::FileMapping>& mapping);

/// Adds what a file of weights holds, or all files of its index, or of the index that it is a part of: tensors,
/// mappings, sizes, and the format's name. Errors: those of read_tensor_file and read_index; file_malformed (a name
/// that occurs twice).
Result<void> add_weights(const std::shared_ptr<const base::FileMapping>& mapping, ModelFile& model);

}  // namespace puna::formats
