// A model whose tensors lie in several files, listed by an index.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/file_mapping.h"
#include "formats/tensor_file.h"
#include "puna/error.h"

namespace puna::formats {

inline constexpr std::size_t max_indexed_files = 2048;  // puna's own, far above what real models have

/// Reads the files that the index (`model.safetensors.index.json`, `pytorch_model.bin.index.json`) names, which must
/// lie beside it and hold exactly the tensors that it lists for each. In the order of their names. `read` reads one.
/// Errors: those of `read`, file_malformed, file_not_found, file_unreadable.
Result<std::vector<TensorFile>> read_index(
    const std::shared_ptr<const base::FileMapping>& index,
    Result<TensorFile> (*read)(const std::shared_ptr<const base::FileMapping>& mapping));

}  // namespace puna::formats
