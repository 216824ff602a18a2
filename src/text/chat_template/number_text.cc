#include "text/chat_template/number_text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include "text/chat_template/characters.h"

namespace puna::text::jinja {
namespace {

int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'z' ? lower - 'a' + 10 : 99;
}

/// Takes a sign away; whether it was a minus.
bool take_sign(std::string_view& text) {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    return negative;
}

std::string_view stripped(std::string_view text) {
    const ByteRange range = strip(text, true, true);
    return text.substr(range.begin, range.end - range.begin);
}

/// The base that a prefix such as "0x" stands for; 0 if there is none.
int base_of_prefix(std::string_view text) {
    if (text.size() < 2 || text[0] != '0') return 0;
    const char mark = static_cast<char>(text[1] | 0x20);
    return mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
}

/// Underscores stand singly between digits.
bool well_placed_underscores(std::string_view text) {
    return !text.starts_with('_') && !text.ends_with('_') && text.find("__") == std::string_view::npos;
}

}  // namespace

std::optional<Integer> parse_integer(std::string_view text, int base) {
    if (base != 0 && (base < 2 || base > 36)) return std::nullopt;
    text = stripped(text);
    const bool negative = take_sign(text);
    const int prefix = base_of_prefix(text);
    if (prefix != 0 && (base == 0 || base == prefix)) {
        base = prefix;
        text.remove_prefix(2);
        if (text.starts_with('_')) text.remove_prefix(1);
    } else if (base == 0) {
        if (text.starts_with('0') && text.find_first_not_of("0_") != std::string_view::npos) return std::nullopt;
        base = 10;
    }
    if (text.empty() || !well_placed_underscores(text)) return std::nullopt;
    Integer value = 0;
    for (const char c : text) {
        if (c == '_') continue;
        const int digit = digit_value(c);
        if (digit >= base) return std::nullopt;
        if (__builtin_mul_overflow(value, Integer{base}, &value)) return std::nullopt;
        if (__builtin_add_overflow(value, Integer{digit}, &value)) return std::nullopt;
    }
    return negative ? -value : value;
}

std::optional<double> parse_float(std::string_view text) {
    text = stripped(text);
    const bool negative = take_sign(text);
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '_') {
            plain += static_cast<char>(std::tolower(static_cast<unsigned char>(text[i])));
            continue;
        }
        const bool between_digits =
            i > 0 && i + 1 < text.size() && digit_value(text[i - 1]) < 10 && digit_value(text[i + 1]) < 10;
        if (!between_digits) return std::nullopt;
    }
    double value = 0;
    if (plain == "inf" || plain == "infinity") {
        value = std::numeric_limits<double>::infinity();
    } else if (plain == "nan") {
        value = std::numeric_limits<double>::quiet_NaN();
    } else {
        if (plain.empty() || (digit_value(plain[0]) > 9 && plain[0] != '.')) return std::nullopt;
        const auto [stop, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
        if (stop != plain.data() + plain.size()) return std::nullopt;
        if (error == std::errc::result_out_of_range) {
            const std::size_t exponent = plain.find("e-");
            value = exponent == std::string::npos ? std::numeric_limits<double>::infinity() : 0.0;
        } else if (error != std::errc{}) {
            return std::nullopt;
        }
    }
    return negative ? -value : value;
}

}  // namespace puna::text::jinja
