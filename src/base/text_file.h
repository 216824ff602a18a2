// Small texts from outside: files read as a whole, environment variables.
#pragma once

#include <optional>
#include <string>

#include "puna/error.h"

namespace puna::base {

/// The bytes of the file at `path`, or of standard input if `path` is "-", to the end. Pipes are files too. Nothing is
/// assumed about the encoding. Errors: file_not_found, file_unreadable, out_of_memory.
Result<std::string> read_text_file(const std::string& path);

/// The value of an environment variable; nullopt if it is unset or empty. Safe beside other readers.
std::optional<std::string> environment_variable(const std::string& name);

}  // namespace puna::base
