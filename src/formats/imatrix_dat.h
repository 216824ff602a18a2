// Importance matrices as llama-imatrix wrote them before it used GGUF, in files named `.dat` (docs/formats/imatrix.md).
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "formats/imatrix.h"
#include "puna/error.h"

namespace puna::formats {

/// Whether the bytes begin as such a file does, which has no magic: with a number of entries, and the length and the
/// printable characters of a tensor's name.
bool is_imatrix_dat(std::span<const std::byte> bytes);

/// Rows are counted in chunks of a length that the file does not tell (`counts_chunks`). Errors: file_malformed
/// (message: `path`, field and byte offset).
Result<Imatrix> read_imatrix_dat(std::span<const std::byte> bytes, std::string_view path);

}  // namespace puna::formats
