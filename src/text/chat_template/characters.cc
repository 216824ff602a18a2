#include "text/chat_template/characters.h"

#include <string.h>  // memmem

#include <algorithm>

#include "text/unicode/unicode.h"

namespace puna::text::jinja {

bool is_space(char32_t code_point) {
    // Python adds the four separators of ASCII to White_Space.
    return char_class(code_point) == CharClass::whitespace || (code_point >= 0x1C && code_point <= 0x1F);
}

bool is_printable(char32_t code_point) {
    if (code_point == ' ') return true;
    const CharClass name = char_class(code_point);
    return name != CharClass::other && name != CharClass::whitespace;
}

bool is_alpha(char32_t code_point) {
    return char_class(code_point) == CharClass::letter;
}

Character character_at(std::string_view text, std::size_t begin) {
    const Utf8Char decoded = decode_utf8(text.substr(begin));
    return {decoded.code_point, begin, begin + decoded.length, decoded.valid};
}

Character character_before(std::string_view text, std::size_t end) {
    // A character is at most 4 bytes long; the one that reaches exactly to `end`, else the last byte by itself.
    for (std::size_t length = std::min<std::size_t>(4, end); length > 1; --length) {
        const Utf8Char decoded = decode_utf8(text.substr(end - length, length));
        if (decoded.valid && decoded.length == length) return {decoded.code_point, end - length, end, true};
    }
    return character_at(text.substr(0, end), end - 1);
}

std::size_t count_characters(std::string_view text) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < text.size(); i = character_at(text, i).end)
        ++count;
    return count;
}

std::vector<std::size_t> character_offsets(std::string_view text) {
    std::vector<std::size_t> offsets;
    offsets.reserve(text.size() + 1);
    for (std::size_t i = 0; i < text.size(); i = character_at(text, i).end)
        offsets.push_back(i);
    offsets.push_back(text.size());
    return offsets;
}

std::size_t byte_offset(std::string_view text, std::size_t index) {
    std::size_t byte = 0;
    for (; index > 0 && byte < text.size(); --index)
        byte = character_at(text, byte).end;
    return byte;
}

std::size_t find_text(std::string_view text, std::string_view part, std::size_t begin) {
    if (begin > text.size()) return std::string_view::npos;
    if (part.empty()) return begin;
    const void* found = memmem(text.data() + begin, text.size() - begin, part.data(), part.size());
    if (found == nullptr) return std::string_view::npos;
    return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

namespace {

/// The code point, or a number beyond all of them for a byte that is none.
char32_t key_of(std::string_view text, const Character& character) {
    if (character.valid) return character.code_point;
    return 0x110000 + static_cast<unsigned char>(text[character.begin]);
}

}  // namespace

CharacterSet::CharacterSet(std::string_view characters) {
    for (std::size_t i = 0; i < characters.size();) {
        const Character character = character_at(characters, i);
        keys_.push_back(key_of(characters, character));
        i = character.end;
    }
    std::ranges::sort(keys_);
}

bool CharacterSet::contains(std::string_view text, const Character& character) const {
    return std::ranges::binary_search(keys_, key_of(text, character));
}

ByteRange strip(std::string_view text, bool left, bool right, const CharacterSet* set) {
    const auto stripped = [&](const Character& character) {
        if (set != nullptr) return set->contains(text, character);
        return character.valid && is_space(character.code_point);
    };
    ByteRange range{0, text.size()};
    while (left && range.begin < range.end) {
        const Character character = character_at(text, range.begin);
        if (!stripped(character)) break;
        range.begin = character.end;
    }
    while (right && range.begin < range.end) {
        const Character character = character_before(text, range.end);
        if (character.begin < range.begin || !stripped(character)) break;
        range.end = character.begin;
    }
    return range;
}

}  // namespace puna::text::jinja
