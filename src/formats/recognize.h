// Which format a file is in, by its first bytes.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "puna/error.h"

namespace puna::formats {

enum class Format { gguf, safetensors, pytorch, ggml };

/// The format of `bytes`, the whole file. Errors: unsupported_format, which names what the file is where that can be
/// told; file_malformed for a file too short to tell.
Result<Format> recognize_format(std::span<const std::byte> bytes, std::string_view path);

}  // namespace puna::formats
