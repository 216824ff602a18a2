// Text from files, made fit for a message: one line, valid UTF-8, not endless.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace puna::formats {

/// Whether all of `text` is well-formed UTF-8.
bool is_utf8(std::string_view text);

/// `text` with control characters and bytes that are not UTF-8 written as \xNN, cut with "..." after about `limit`
/// bytes.
std::string printable(std::string_view text, std::size_t limit = 96);

/// A path, of any length that a file system allows.
inline std::string printable_path(std::string_view path) {
    return printable(path, 4096);
}

}  // namespace puna::formats
