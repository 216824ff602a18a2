// The error of a file that is not as its format has it.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/printable.h"
#include "puna/error.h"

namespace puna::formats {

/// file_malformed: "PATH: WHAT (at byte OFFSET)". `what`: the field, and what is wrong with it.
inline Error malformed(std::string_view path, std::string_view what, std::uint64_t offset,
                       std::string_view hint = "the file is damaged or incomplete; fetch it again") {
    return {ErrorCode::file_malformed, fmt::format("{}: {} (at byte {})", printable_path(path), what, offset),
            std::string(hint)};
}

}  // namespace puna::formats
