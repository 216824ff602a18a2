// A model whose tensors lie in several safetensors files, listed by an index.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file_mapping.h"
#include "formats/safetensors/reader.h"
#include "puna/error.h"

namespace puna::formats::safetensors {

/// Reads the files that the index (`model.safetensors.index.json`) names, which must lie beside it and hold exactly the
/// tensors that it lists for each. In the order of their names.
/// Errors: those of read_file, file_not_found, file_unreadable.
Result<std::vector<File>> read_index(const std::shared_ptr<const base::FileMapping>& index);

}  // namespace puna::formats::safetensors
