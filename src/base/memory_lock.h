// Memory that is never paged out.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "puna/error.h"

namespace puna::base {

/// Brings the pages of `part` into memory and keeps them there until they are unmapped. `what`: whose they are, for the
/// message. Errors: out_of_memory, with the limit that the system sets and how to raise it.
Result<void> lock_memory(std::span<const std::byte> part, std::string_view what);

}  // namespace puna::base
