#include "formats/printable.h"

#include <fmt/format.h>

#include "text/unicode/utf8.h"

namespace puna::formats {

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const puna::text::Utf8Char next = puna::text::decode_utf8(text);
        if (!next.valid) return false;
        text.remove_prefix(next.length);
    }
    return true;
}

std::string printable(std::string_view text, std::size_t limit) {
    std::string out;
    while (!text.empty()) {
        if (out.size() >= limit) return out + "...";
        const puna::text::Utf8Char next = puna::text::decode_utf8(text);
        // C0 and C1 controls could move a terminal's cursor.
        const bool control = next.code_point < 0x20 || (next.code_point >= 0x7F && next.code_point < 0xA0);
        for (std::size_t i = 0; i < next.length && (control || !next.valid); ++i) {
            out += fmt::format("\\x{:02X}", static_cast<unsigned char>(text[i]));
        }
        if (next.valid && !control) out.append(text.substr(0, next.length));
        text.remove_prefix(next.length);
    }
    return out;
}

}  // namespace puna::formats
