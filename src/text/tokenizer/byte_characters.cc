#include "text/tokenizer/byte_characters.h"

#include <array>
#include <cstdint>

#include "text/unicode/utf8.h"

namespace puna::text {
namespace {

constexpr std::array<char32_t, 256> byte_characters = [] {
    std::array<char32_t, 256> characters{};
    char32_t next = 0x100;
    for (char32_t byte = 0; byte < 256; ++byte) {
        const bool prints = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
        characters[byte] = prints ? byte : next++;
    }
    return characters;
}();
constexpr char32_t character_limit = 0x144;  // above them all

constexpr std::array<std::int16_t, character_limit> character_bytes = [] {
    std::array<std::int16_t, character_limit> bytes{};
    bytes.fill(-1);
    for (std::size_t byte = 0; byte < 256; ++byte)
        bytes[byte_characters[byte]] = static_cast<std::int16_t>(byte);
    return bytes;
}();

}  // namespace

std::string write_bytes(std::string_view bytes) {
    std::string token;
    for (const char byte : bytes)
        append_utf8(token, byte_characters[static_cast<unsigned char>(byte)]);
    return token;
}

std::optional<std::string> written_bytes(std::string_view token) {
    std::string bytes;
    while (!token.empty()) {
        const Utf8Char c = decode_utf8(token);
        if (c.code_point >= character_limit || character_bytes[c.code_point] < 0) return std::nullopt;
        bytes += static_cast<char>(character_bytes[c.code_point]);
        token.remove_prefix(c.length);
    }
    return bytes;
}

}  // namespace puna::text
