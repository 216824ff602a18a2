#include "text/unicode/utf8.h"

#include <cassert>

namespace puna::text {
namespace {

enum class Ending { complete, ill_formed, out_of_bytes };

struct Sequence {
    std::size_t length;  // bytes of the sequence, or of its maximal well-formed beginning (at least 1)
    Ending ending;
};

/// Well-formed sequences by their first two bytes: The Unicode Standard, table 3-7.
struct LeadByte {
    std::size_t length = 0;  // 0: no sequence begins with it
    unsigned char second_min = 0x80;
    unsigned char second_max = 0xBF;
};

LeadByte lead_byte(unsigned char byte) {
    if (byte < 0x80) return {1};
    if (byte < 0xC2) return {};
    if (byte < 0xE0) return {2};
    if (byte == 0xE0) return {3, 0xA0, 0xBF};
    if (byte == 0xED) return {3, 0x80, 0x9F};
    if (byte < 0xF0) return {3};
    if (byte == 0xF0) return {4, 0x90, 0xBF};
    if (byte < 0xF4) return {4};
    if (byte == 0xF4) return {4, 0x80, 0x8F};
    return {};
}

Sequence scan(std::string_view bytes) {
    const LeadByte lead = lead_byte(static_cast<unsigned char>(bytes[0]));
    if (lead.length == 0) return {1, Ending::ill_formed};
    for (std::size_t i = 1; i < lead.length; ++i) {
        if (i >= bytes.size()) return {i, Ending::out_of_bytes};
        const auto byte = static_cast<unsigned char>(bytes[i]);
        const unsigned char min = i == 1 ? lead.second_min : 0x80;
        const unsigned char max = i == 1 ? lead.second_max : 0xBF;
        if (byte < min || byte > max) return {i, Ending::ill_formed};
    }
    return {lead.length, Ending::complete};
}

}  // namespace

Utf8Char decode_utf8(std::string_view bytes) {
    assert(!bytes.empty());
    const Sequence sequence = scan(bytes);
    if (sequence.ending != Ending::complete) return {};
    const auto first = static_cast<unsigned char>(bytes[0]);
    if (sequence.length == 1) return {first, 1, true};
    char32_t code_point = first & (0x7Fu >> sequence.length);
    for (std::size_t i = 1; i < sequence.length; ++i) {
        code_point = code_point << 6 | (static_cast<unsigned char>(bytes[i]) & 0x3Fu);
    }
    return {code_point, static_cast<std::uint8_t>(sequence.length), true};
}

void append_utf8(std::string& out, char32_t code_point) {
    const auto byte = [&out](char32_t value) { out += static_cast<char>(static_cast<unsigned char>(value)); };
    if (code_point < 0x80) {
        byte(code_point);
    } else if (code_point < 0x800) {
        byte(0xC0u | code_point >> 6u);
        byte(0x80u | (code_point & 0x3Fu));
    } else if (code_point < 0x10000) {
        byte(0xE0u | code_point >> 12u);
        byte(0x80u | (code_point >> 6u & 0x3Fu));
        byte(0x80u | (code_point & 0x3Fu));
    } else {
        byte(0xF0u | code_point >> 18u);
        byte(0x80u | (code_point >> 12u & 0x3Fu));
        byte(0x80u | (code_point >> 6u & 0x3Fu));
        byte(0x80u | (code_point & 0x3Fu));
    }
}

std::string to_valid_utf8(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size());
    while (!bytes.empty()) {
        const Sequence sequence = scan(bytes);
        out += sequence.ending == Ending::complete ? bytes.substr(0, sequence.length) : replacement_utf8;
        bytes.remove_prefix(sequence.length);
    }
    return out;
}

std::size_t settled_length(std::string_view bytes) {
    // A byte that can begin a sequence never continues one, so the last such byte decides.
    for (std::size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
        const std::size_t begin = bytes.size() - back;
        if (lead_byte(static_cast<unsigned char>(bytes[begin])).length == 0) continue;
        const Sequence sequence = scan(bytes.substr(begin));
        const bool open = sequence.ending == Ending::out_of_bytes;
        return open ? begin : bytes.size();
    }
    return bytes.size();
}

}  // namespace puna::text
