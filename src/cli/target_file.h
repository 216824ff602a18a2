// Files that a command writes: what is checked before the work begins.
#pragma once

#include <cstdint>
#include <string>

#include "puna/error.h"

namespace puna::cli {

/// Whether a new file may come to `path`. Errors: invalid_argument (one is there, and not to be
/// replaced; it is a folder, or "-").
Result<void> check_target(const std::string& path, bool replace);

/// Whether `needed` bytes are free on the disk of `path`. Errors: io_error.
Result<void> check_room(const std::string& path, std::uint64_t needed);

}  // namespace puna::cli
