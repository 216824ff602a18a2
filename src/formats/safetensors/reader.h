// One safetensors file: its header, checked, with the tensors' data where it lies.
//
// Source: the format's description in the safetensors project, and what its own reader enforces
// (docs/formats/safetensors.md).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file_mapping.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::formats::safetensors {

inline constexpr std::uint64_t max_header_bytes = 100'000'000;  // the reference's
// puna's own, far above what real files hold.
inline constexpr std::size_t max_dimensions = 16;
inline constexpr std::size_t max_shards = 2048;

/// What one file holds; a model may be spread over several (shards.h).
struct File {
    std::shared_ptr<const base::FileMapping> mapping;
    std::map<std::string, std::string, std::less<>> metadata;  // of `__metadata__`
    std::vector<FoundTensor> tensors;                          // by their place in the file, one part each
};

/// Errors: file_malformed, unsupported_tensor_type (a type that puna has no name for), file_changed.
Result<File> read_file(const std::shared_ptr<const base::FileMapping>& mapping);

}  // namespace puna::formats::safetensors
