// Character classes, as the regular expressions of pre-tokenizers name them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace puna::text {

/// The first letter of the general category, and White_Space, which holds all separators (Z) and six controls. Each
/// code point has one class: `\p{L}`, `\p{M}`, `\p{N}`, `\p{P}`, `\p{S}`, `\s`, or other (the remaining C).
enum class CharClass : std::uint8_t { other, letter, mark, number, punctuation, symbol, whitespace };

struct ClassRange {
    char32_t first;
    char32_t last;
    CharClass name;
};

extern const CharClass ascii_classes[128];
/// Ascending and disjoint; what no range holds is `other`.
extern const ClassRange class_ranges[];
extern const std::size_t class_range_count;

/// `other` for anything beyond U+10FFFF.
CharClass char_class(char32_t code_point);

}  // namespace puna::text
