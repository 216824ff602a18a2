// What a file of tensors by name holds, whatever its format: a model's weights, or some of them.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "base/file_mapping.h"
#include "formats/model_file.h"

namespace puna::formats {

// puna's own, far above what real files hold: they bound time and memory for hostile ones.
inline constexpr std::size_t max_dimensions = 16;
inline constexpr std::size_t max_tensors = 131'072;

struct TensorFile {
    std::shared_ptr<const base::FileMapping> mapping;
    std::string_view format;           // for people
    std::vector<FoundTensor> tensors;  // one part each
};

}  // namespace puna::formats
