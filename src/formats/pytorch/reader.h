// A file as torch.save writes it: a zip archive of a pickle and the tensors' bytes, or, before PyTorch 1.6, pickles and
// bytes one after another. Nothing in it is ever run.
//
// Source: what PyTorch's serialization writes and reads (docs/formats/pytorch.md).
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "base/file_mapping.h"
#include "formats/tensor_file.h"
#include "puna/error.h"

namespace puna::formats::pytorch {

/// Whether the bytes begin like one of the two.
bool is_pytorch(std::span<const std::byte> bytes);

/// Tensors whose elements lie in their order are used where they are; others have a view.
/// Errors: file_malformed, unsupported_format (what is no plain collection of tensors by name, compressed entries,
/// big-endian files), file_changed.
Result<TensorFile> read_file(const std::shared_ptr<const base::FileMapping>& mapping);

}  // namespace puna::formats::pytorch
