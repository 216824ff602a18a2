// UTF-8, read strictly: no overlong forms, no surrogates, nothing beyond U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace puna::text {

inline constexpr char32_t max_code_point = 0x10FFFF;
inline constexpr char32_t replacement_character = 0xFFFD;
inline constexpr std::string_view replacement_utf8 = "\xEF\xBF\xBD";

/// Whether UTF-8 has a form for it: no surrogate, nothing beyond U+10FFFF.
constexpr bool is_character(char32_t code_point) {
    return code_point <= max_code_point && (code_point < 0xD800 || code_point > 0xDFFF);
}

/// What stands at the beginning of some bytes.
struct Utf8Char {
    char32_t code_point = replacement_character;
    std::uint8_t length = 1;  // bytes; 1 if not valid, so that invalid bytes are taken one at a time
    bool valid = false;
};

/// Decodes the first character of `bytes`, which must not be empty. Never reads past the end.
Utf8Char decode_utf8(std::string_view bytes);

/// Appends a character (`is_character`).
void append_utf8(std::string& out, char32_t code_point);

/// `bytes` with U+FFFD for each maximal subpart of an ill-formed sequence (The Unicode Standard, section 3.9, "U+FFFD
/// Substitution of Maximal Subparts").
std::string to_valid_utf8(std::string_view bytes);

/// The length of `bytes` without a last sequence that is well-formed as far as it goes, but not finished. What comes
/// after cannot change what `to_valid_utf8` makes of that part.
std::size_t settled_length(std::string_view bytes);

}  // namespace puna::text
