#include "cli/chat/stand_ins.h"

#include <cwchar>

#include "text/unicode/utf8.h"

namespace puna::cli {
namespace {

bool may_stand_in(char32_t code_point) {
    return (code_point >= 0xF0000 && code_point <= 0xFFFFD) || (code_point >= 0x2F800 && code_point <= 0x2FA1D);
}

/// Columns; below 0 for control characters and bytes that are no UTF-8.
int columns_of(const text::Utf8Char& character) {
    return character.valid ? ::wcwidth(static_cast<wchar_t>(character.code_point)) : -1;
}

}  // namespace

std::string StandIns::stand_in(const std::string& character, int columns) {
    const auto known = stand_in_of_.find(character);
    Range& range = columns == 2 && wide_.next <= wide_.last ? wide_ : narrow_;
    std::string out;
    if (known == stand_in_of_.end()) {
        if (range.next > range.last) return character;
        stand_in_of_.emplace(character, range.next);
        character_of_.emplace(range.next, character);
        text::append_utf8(out, range.next++);
    } else {
        text::append_utf8(out, known->second);
    }
    return out;
}

std::string StandIns::contracted(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const text::Utf8Char base = text::decode_utf8(text);
        const int columns = columns_of(base);
        std::size_t length = base.length;
        while (columns > 0 && length < text.size()) {
            const text::Utf8Char next = text::decode_utf8(text.substr(length));
            if (columns_of(next) != 0) break;
            length += next.length;
        }
        const std::string character(text.substr(0, length));
        const bool needs_one = length > base.length || (base.valid && may_stand_in(base.code_point));
        out += needs_one ? stand_in(character, columns) : character;
        text.remove_prefix(length);
    }
    return out;
}

std::string StandIns::expanded(std::string_view text) const {
    std::string out;
    while (!text.empty()) {
        const text::Utf8Char character = text::decode_utf8(text);
        const auto found = character.valid ? character_of_.find(character.code_point) : character_of_.end();
        out += found == character_of_.end() ? text.substr(0, character.length) : std::string_view(found->second);
        text.remove_prefix(character.length);
    }
    return out;
}

}  // namespace puna::cli
