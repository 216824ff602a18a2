// One GGUF file: header, metadata and tensor table, checked, with the tensors' data where it lies.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/file_mapping.h"
#include "formats/gguf/cursor.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::formats::gguf {

/// What one file holds; a model may be spread over several (shards.h).
struct File {
    std::shared_ptr<const base::FileMapping> mapping;
    std::uint32_t version = 0;
    Metadata metadata;
    std::vector<FoundTensor> tensors;  // in file order, one part each
};

/// Errors: file_malformed, unsupported_format (version, byte order), unsupported_tensor_type (a retired one),
/// file_changed.
Result<File> read_file(const std::shared_ptr<const base::FileMapping>& mapping);

/// Reads `count` key-value pairs. Errors: file_malformed.
Result<Metadata> read_metadata(Cursor& cursor, std::uint64_t count);

/// Reads `count` entries of the tensor table, which ends where the data section begins but for padding to `alignment`,
/// and places the tensors in `mapping`. Errors: file_malformed, unsupported_tensor_type.
Result<std::vector<FoundTensor>> read_tensors(Cursor& cursor, std::uint64_t count, std::uint64_t alignment,
                                              const std::shared_ptr<const base::FileMapping>& mapping);

}  // namespace puna::formats::gguf
