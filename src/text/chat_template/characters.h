// Texts as Python counts them: in characters (code points).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "text/unicode/utf8.h"

namespace puna::text::jinja {

/// What `str.isspace` and the regular expression \s call whitespace.
bool is_space(char32_t code_point);
/// What `repr` writes as it is.
bool is_printable(char32_t code_point);
bool is_alpha(char32_t code_point);

std::size_t count_characters(std::string_view text);
/// The byte where each character begins, and the size of the text after the last.
std::vector<std::size_t> character_offsets(std::string_view text);
/// The byte where character `index` begins; the size of the text if it has no more than `index` characters.
std::size_t byte_offset(std::string_view text, std::size_t index);

/// A character and where it lies.
struct Character {
    char32_t code_point;
    std::size_t begin;
    std::size_t end;
    bool valid;  // false: a byte that is not UTF-8
};
/// `begin` must be less than the size.
Character character_at(std::string_view text, std::size_t begin);
/// The character that ends at `end`, which must be greater than 0.
Character character_before(std::string_view text, std::size_t end);

/// Where `part` begins in `text`, from byte `begin` on; npos if nowhere. Linear time.
std::size_t find_text(std::string_view text, std::string_view part, std::size_t begin = 0);

struct ByteRange {
    std::size_t begin;
    std::size_t end;
};
/// The characters of a text, as `strip` asks for them.
class CharacterSet {
  public:
    explicit CharacterSet(std::string_view characters);
    bool contains(std::string_view text, const Character& character) const;

  private:
    std::vector<char32_t> keys_;  // ascending
};
/// What is left of `text` without characters of `set` (whitespace if null) at its ends.
ByteRange strip(std::string_view text, bool left, bool right, const CharacterSet* set = nullptr);

}  // namespace puna::text::jinja
