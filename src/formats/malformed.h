// The errors of files that are not as their format has them.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "formats/printable.h"
#include "puna/error.h"

namespace puna::formats {

/// file_malformed: "PATH: WHAT (at byte OFFSET)". `what`: the field, and what is wrong with it.
inline Error malformed(std::string_view path, std::string_view what, std::uint64_t offset,
                       std::string_view hint = "the file is damaged or incomplete; fetch it again") {
    return {ErrorCode::file_malformed, fmt::format("{}: {} (at byte {})", printable_path(path), what, offset),
            std::string(hint)};
}

/// What was read, or the error with the name of its file before it.
template <typename T>
Result<T> in_file(std::string_view path, Result<T> found) {
    if (found.ok()) return found;
    Error error = std::move(found).error();
    error.message = fmt::format("{}: {}", printable_path(path), error.message);
    return error;
}

}  // namespace puna::formats
