// One safetensors file: its header, checked, with the tensors' data where it lies.
//
// Source: the format's description in the safetensors project, and what its own reader enforces
// (docs/formats/safetensors.md).
#pragma once

#include <cstdint>
#include <memory>

#include "base/file_mapping.h"
#include "formats/tensor_file.h"
#include "puna/error.h"

namespace puna::formats::safetensors {

inline constexpr std::uint64_t max_header_bytes = 100'000'000;  // the reference's

/// Tensors by their place in the file. Errors: file_malformed, unsupported_tensor_type (a type that puna has no name
/// for), file_changed.
Result<TensorFile> read_file(const std::shared_ptr<const base::FileMapping>& mapping);

}  // namespace puna::formats::safetensors
