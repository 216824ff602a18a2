#include "text/chat_template/tag_lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "base/try.h"
#include "text/chat_template/characters.h"
#include "text/chat_template/python_format.h"
#include "text/unicode/unicode.h"

namespace puna::text::jinja {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// The length of `(\d+_)*\d+` at `begin`; 0 if there is none.
std::size_t digits_at(std::string_view text, std::size_t begin) {
    std::size_t end = begin;
    while (end < text.size() && (is_digit(text[end]) || (text[end] == '_' && end > begin && text[end - 1] != '_')))
        ++end;
    return end > begin && text[end - 1] == '_' ? end - 1 - begin : end - begin;
}

std::string without_underscores(std::string_view text) {
    std::string plain(text);
    std::erase(plain, '_');
    return plain;
}

/// The value of a backslash and what follows it, as Python's "unicode-escape" reads it.
struct Escape {
    std::string text;
    std::size_t length;  // bytes read, the backslash among them
};

std::optional<char32_t> number_in(std::string_view digits, int base) {
    std::uint32_t number = 0;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
    const bool whole = error == std::errc{} && stop == digits.data() + digits.size();
    return whole && is_character(number) ? std::optional<char32_t>(number) : std::nullopt;
}

std::optional<Escape> hexadecimal_escape(std::string_view text, std::size_t digits) {
    if (text.size() < 2 + digits) return std::nullopt;
    const auto number = number_in(text.substr(2, digits), 16);
    if (!number) return std::nullopt;
    Escape escape{{}, 2 + digits};
    append_utf8(escape.text, *number);
    return escape;
}

std::optional<Escape> octal_escape(std::string_view text) {
    std::size_t length = 1;
    while (length < 4 && length < text.size() && text[length] >= '0' && text[length] <= '7')
        ++length;
    Escape escape{{}, length};
    append_utf8(escape.text, *number_in(text.substr(1, length - 1), 8));
    return escape;
}

/// `text` begins with a backslash and is longer than that.
std::optional<Escape> read_escape(std::string_view text) {
    switch (text[1]) {
        case '\n': return Escape{"", 2};
        case '\\': return Escape{"\\", 2};
        case '\'': return Escape{"'", 2};
        case '"': return Escape{"\"", 2};
        case 'a': return Escape{"\a", 2};
        case 'b': return Escape{"\b", 2};
        case 'f': return Escape{"\f", 2};
        case 'n': return Escape{"\n", 2};
        case 'r': return Escape{"\r", 2};
        case 't': return Escape{"\t", 2};
        case 'v': return Escape{"\v", 2};
        case 'x': return hexadecimal_escape(text, 2);
        case 'u': return hexadecimal_escape(text, 4);
        case 'U': return hexadecimal_escape(text, 8);
        case 'N': return std::nullopt;  // a character by its name
        default: break;
    }
    if (text[1] >= '0' && text[1] <= '7') return octal_escape(text);
    if (static_cast<unsigned char>(text[1]) < 0x80) return Escape{"\\", 1};
    // Jinja writes such a character as an escape of its own first, which the backslash before it then undoes.
    const Character character = character_at(text, 1);
    const auto c = static_cast<std::uint32_t>(character.code_point);
    const std::string number = c < 0x100     ? fmt::format("x{:02x}", c)
                               : c < 0x10000 ? fmt::format("u{:04x}", c)
                                             : fmt::format("U{:08x}", c);
    return Escape{"\\" + number, character.end};
}

constexpr std::array<std::string_view, 26> symbols{"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                   "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                   ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};

char closing_bracket(char opening) {
    return opening == '(' ? ')' : opening == '[' ? ']' : '}';
}

}  // namespace

Error TagLexer::unexpected_character() const {
    const Character character = character_at(source_, position_);
    const std::string_view bytes = source_.substr(character.begin, character.end - character.begin);
    return syntax_error(line_, fmt::format("unexpected char {} at {}", quoted_for_message(bytes), position_));
}

Result<void> TagLexer::run() {
    while (true) {
        if (position_ >= source_.size()) return syntax_error(line_, "unexpected end of template within a tag");
        if (brackets_.empty() && read_end()) return {};
        const Character character = character_at(source_, position_);
        if (character.valid && is_space(character.code_point)) {
            if (character.code_point == '\n') ++line_;
            position_ = character.end;
            continue;
        }
        PUNA_CHECK(read_token());
    }
}

bool TagLexer::read_end() {
    const char sign = peek();
    const bool signed_end = sign == '-' || (is_block_ && sign == '+');
    const std::size_t end = position_ + (signed_end ? 1 : 0);
    if (source_.compare(end, 2, is_block_ ? "%}" : "}}") != 0) return false;
    add(is_block_ ? TokenType::block_end : TokenType::variable_end, {});
    position_ = end + 2;
    if (sign == '-') {
        position_ += strip(source_.substr(position_), true, false).begin;
    } else if (is_block_ && sign != '+' && peek() == '\n') {
        ++position_;
    }
    return true;
}

Result<void> TagLexer::read_token() {
    if (is_digit(peek())) return read_number();
    if (read_name()) return {};
    if (peek() == '\'' || peek() == '"') return read_string(peek());
    return read_symbol();
}

/// The length of a number with a fraction or an exponent at the position; 0 if there is none.
std::size_t TagLexer::length_of_real() const {
    if (position_ > 0 && source_[position_ - 1] == '.') return 0;
    const std::size_t whole = digits_at(source_, position_);
    std::size_t length = whole;
    if (peek(length) == '.') {
        const std::size_t fraction = digits_at(source_, position_ + length + 1);
        if (fraction > 0) length += 1 + fraction;
    }
    if (peek(length) == 'e' || peek(length) == 'E') {
        const std::size_t sign = peek(length + 1) == '+' || peek(length + 1) == '-' ? 1 : 0;
        const std::size_t exponent = digits_at(source_, position_ + length + 1 + sign);
        if (exponent > 0) length += 1 + sign + exponent;
    }
    return length > whole ? length : 0;
}

TagLexer::IntegerForm TagLexer::form_of_integer() const {
    if (peek() != '0') return {10, 0, digits_at(source_, position_)};
    const char mark = static_cast<char>(peek(1) | 0x20);
    const int base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    if (base == 10) {  // zeros alone: other digits after them are another number
        const std::size_t end = std::min(source_.find_first_not_of('0', position_), source_.size());
        return {base, 0, end - position_};
    }
    const std::string_view digits = std::string_view("0123456789abcdefABCDEF_");
    const std::string_view allowed = base == 16 ? digits : base == 8 ? "01234567_" : "01_";
    const std::size_t end = std::min(source_.find_first_not_of(allowed, position_ + 2), source_.size());
    return {base, 2, end - position_};
}

Result<void> TagLexer::read_number() {
    if (const std::size_t length = length_of_real(); length > 0) {
        const std::string digits = without_underscores(source_.substr(position_, length));
        Token token{TokenType::real, line_};
        const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), token.real);
        if (error != std::errc{}) return syntax_error(line_, "a number is out of range");
        tokens_.push_back(std::move(token));
        position_ += length;
        return {};
    }
    const IntegerForm form = form_of_integer();
    const std::string digits = without_underscores(source_.substr(position_ + form.prefix, form.length - form.prefix));
    std::uint64_t number = 0;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, form.base);
    if (error != std::errc{}) return syntax_error(line_, "an integer is malformed or too large");
    Token token{TokenType::integer, line_};
    token.integer = static_cast<Integer>(number);
    tokens_.push_back(std::move(token));
    position_ += form.length;
    return {};
}

bool TagLexer::read_name() {
    std::size_t end = position_;
    while (end < source_.size()) {
        const Character character = character_at(source_, end);
        const char32_t c = character.code_point;
        const CharClass name = char_class(c);
        const bool first = c == '_' || is_alpha(c);
        const bool part = first || name == CharClass::number || name == CharClass::mark;
        if (!character.valid || !(end == position_ ? first : part)) break;
        end = character.end;
    }
    if (end == position_) return false;
    add(TokenType::name, source_.substr(position_, end - position_));
    position_ = end;
    return true;
}

Result<void> TagLexer::read_string(char quote) {
    std::string text;
    std::size_t i = position_ + 1;
    while (true) {
        if (i >= source_.size()) return unexpected_character();
        if (source_[i] == quote) break;
        if (source_[i] != '\\') {
            text += source_[i++];
            continue;
        }
        if (i + 1 >= source_.size()) return unexpected_character();
        const auto escape = read_escape(source_.substr(i));
        if (!escape) return syntax_error(line_, "a string holds an escape that is not supported");
        text += escape->text;
        i += escape->length;
    }
    const std::string_view written = source_.substr(position_, i - position_);
    add(TokenType::string, text);
    line_ += static_cast<std::size_t>(std::ranges::count(written, '\n'));
    position_ = i + 1;
    return {};
}

Result<void> TagLexer::read_symbol() {
    const auto symbol = std::ranges::find_if(
        symbols, [this](std::string_view candidate) { return source_.substr(position_).starts_with(candidate); });
    if (symbol == symbols.end()) return unexpected_character();
    const char c = symbol->front();
    if (c == '(' || c == '[' || c == '{') {
        brackets_.push_back(closing_bracket(c));
    } else if (c == ')' || c == ']' || c == '}') {
        if (brackets_.empty()) return syntax_error(line_, fmt::format("unexpected '{}'", c));
        if (brackets_.back() != c) {
            return syntax_error(line_, fmt::format("unexpected '{}', expected '{}'", c, brackets_.back()));
        }
        brackets_.pop_back();
    }
    add(TokenType::symbol, *symbol);
    position_ += symbol->size();
    return {};
}

}  // namespace puna::text::jinja
