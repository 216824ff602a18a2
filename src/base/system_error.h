// Errors of the operating system as puna's errors.
#pragma once

#include <string>
#include <string_view>

#include "puna/error.h"

namespace puna::base {

/// What a call that failed with `number` (an errno) while reading a file means: file_not_found, out_of_memory or
/// file_unreadable.
ErrorCode read_error_code(int number);

/// `cannot <action> "<path>": <text of number>`, with a hint where one is known. Thread-safe.
Error system_error(ErrorCode code, std::string_view action, std::string_view path, int number);

}  // namespace puna::base
