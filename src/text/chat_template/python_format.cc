#include "text/chat_template/python_format.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "text/chat_template/characters.h"
#include "text/chat_template/object.h"

namespace puna::text::jinja {
namespace {

/// One character as `repr` writes it between quotes.
std::string escaped(std::string_view text, const Character& character, char quote) {
    const char32_t c = character.code_point;
    if (!character.valid) return fmt::format("\\x{:02x}", static_cast<unsigned char>(text[character.begin]));
    if (c == '\\' || c == static_cast<unsigned char>(quote)) return {'\\', static_cast<char>(c)};
    if (c == '\n') return "\\n";
    if (c == '\r') return "\\r";
    if (c == '\t') return "\\t";
    if (is_printable(c)) return std::string(text.substr(character.begin, character.end - character.begin));
    const auto number = static_cast<std::uint32_t>(c);
    if (number < 0x100) return fmt::format("\\x{:02x}", number);
    return number < 0x10000 ? fmt::format("\\u{:04x}", number) : fmt::format("\\U{:08x}", number);
}

char quote_for(std::string_view text) {
    const bool has_single = text.find('\'') != std::string_view::npos;
    return has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
}

void append_quoted(TextBuilder& out, const Text& text) {
    const char quote = quote_for(text.bytes());
    out.append({&quote, 1}, Origin::input);
    std::size_t begin = 0;
    for (const Text::Run& run : text.runs()) {
        std::string written;
        while (begin < run.end) {
            const Character character = character_at(text.bytes().substr(0, run.end), begin);
            written += escaped(text.bytes(), character, quote);
            begin = character.end;
        }
        out.append(written, run.origin);
    }
    out.append({&quote, 1}, Origin::input);
}

void append_elements(TextBuilder& out, const std::vector<Value>& items) {
    for (std::size_t i = 0; i < items.size() && !out.budget().exhausted(); ++i) {
        if (i > 0) out.append(", ", Origin::input);
        append_repr(out, items[i]);
    }
}

void append_sequence(TextBuilder& out, const Sequence& sequence) {
    using Kind = Sequence::Kind;
    if (sequence.kind() == Kind::range) {
        const auto& [start, stop, step] = sequence.range();
        std::string written = "range(" + format_integer(start) + ", " + format_integer(stop);
        if (step != 1) written += ", " + format_integer(step);
        out.append(written + ")", Origin::input);
        return;
    }
    std::string name;
    if (sequence.is_view())
        name = std::string(Value(std::make_shared<const Sequence>(sequence.kind(), std::vector<Value>{})).type_name());
    if (!name.empty()) out.append(name + "(", Origin::input);
    out.append(sequence.is_tuple() ? "(" : "[", Origin::input);
    append_elements(out, sequence.items());
    if (sequence.is_tuple() && sequence.items().size() == 1) out.append(",", Origin::input);
    out.append(sequence.is_tuple() ? ")" : "]", Origin::input);
    if (!name.empty()) out.append(")", Origin::input);
}

void append_dict(TextBuilder& out, const Dict& dict) {
    out.append("{", Origin::input);
    bool first = true;
    for (const auto& [key, value] : dict.entries()) {
        if (out.budget().exhausted()) return;
        if (!first) out.append(", ", Origin::input);
        first = false;
        append_repr(out, key);
        out.append(": ", Origin::input);
        append_repr(out, value);
    }
    out.append("}", Origin::input);
}

/// What holds no other values; empty for anything else.
std::string scalar(const Value& value) {
    if (value.is_none()) return "None";
    if (const bool* flag = value.as_bool()) return *flag ? "True" : "False";
    if (const double* number = value.as_float()) return format_float(*number);
    if (const auto integer = value.as_integer()) return format_integer(*integer);
    if (value.as_object() != nullptr || value.as_iterator() != nullptr)
        return fmt::format("<{} object>", value.type_name());
    return {};
}

}  // namespace

std::string format_integer(Integer value) {
    return fmt::format("{}", value);
}

std::string format_float(double value) {
    if (std::isnan(value)) return "nan";
    if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
    if (value == 0) return std::signbit(value) ? "-0.0" : "0.0";
    char buffer[32];
    const auto written = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
    // "-d.ddde+XX": Python takes another form for exponents from -4 to 15.
    const std::string_view whole(buffer, static_cast<std::size_t>(written.ptr - buffer));
    const std::size_t exponent_begin = whole.find('e');
    int exponent = 0;
    const std::size_t digits_of_exponent = exponent_begin + (whole[exponent_begin + 1] == '+' ? 2 : 1);
    std::from_chars(buffer + digits_of_exponent, written.ptr, exponent);
    if (exponent < -4 || exponent >= 16) return std::string(whole);

    std::string digits;
    for (const char c : whole.substr(0, exponent_begin)) {
        if (c >= '0' && c <= '9') digits += c;
    }
    const std::string sign = value < 0 ? "-" : "";
    if (exponent < 0) return sign + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
    const auto whole_digits = static_cast<std::size_t>(exponent) + 1;
    if (digits.size() <= whole_digits) return sign + digits + std::string(whole_digits - digits.size(), '0') + ".0";
    return sign + digits.substr(0, whole_digits) + "." + digits.substr(whole_digits);
}

void append_str(TextBuilder& out, const Value& value) {
    if (const Text* text = value.as_text()) {
        out.append(*text);
    } else if (const std::string written = scalar(value); !written.empty()) {
        out.append(written, Origin::templ);
    } else if (!value.is_undefined()) {
        append_repr(out, value);
    }
}

void append_repr(TextBuilder& out, const Value& value) {
    if (const Text* text = value.as_text()) {
        append_quoted(out, *text);
    } else if (const Sequence* sequence = value.as_sequence()) {
        append_sequence(out, *sequence);
    } else if (const Dict* dict = value.as_dict()) {
        append_dict(out, *dict);
    } else {
        out.append(value.is_undefined() ? "Undefined" : scalar(value), Origin::input);
    }
}

TextPtr to_text(Budget& budget, const Value& value) {
    if (value.as_text() != nullptr) return value.text();
    TextBuilder builder(budget);
    append_str(builder, value);
    return builder.take_shared();
}

std::string quoted_for_message(std::string_view text) {
    constexpr std::size_t limit = 100;
    const char quote = quote_for(text);
    std::string written(1, quote);
    for (std::size_t i = 0; i < text.size();) {
        if (written.size() > limit) return written + "...";
        const Character character = character_at(text, i);
        written += escaped(text, character, quote);
        i = character.end;
    }
    return written + quote;
}

}  // namespace puna::text::jinja
