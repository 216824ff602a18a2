// A template's text as tokens.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "puna/error.h"
#include "text/chat_template/value.h"

namespace puna::text::jinja {

enum class TokenType : std::uint8_t {
    data,            // text outside of tags
    variable_begin,  // {{
    variable_end,
    block_begin,  // {%
    block_end,
    name,
    string,
    integer,
    real,
    symbol,  // an operator or bracket, in `text`
    end,
};

struct Token {
    TokenType type = TokenType::end;
    std::size_t line = 0;
    std::string text;  // of data, names and symbols; of strings with escapes resolved
    Integer integer = 0;
    double real = 0;

    bool is_symbol(std::string_view symbol) const { return type == TokenType::symbol && text == symbol; }
    bool is_name(std::string_view name) const { return type == TokenType::name && text == name; }
};

/// "chat template, line N: ...". `line` counts from 1; 0 stands for no line.
Error template_error(ErrorCode code, std::size_t line, std::string_view message, std::string_view hint = {});
inline Error syntax_error(std::size_t line, std::string_view message) {
    return template_error(ErrorCode::file_malformed, line, message, "the model's chat template is not valid Jinja");
}

/// Follows Jinja 3.1 with trim_blocks and lstrip_blocks, and without the template's last line break, as Transformers
/// sets it: a line break after a block is left out, and so is the whitespace of a line before one. Comments are left
/// out, line breaks become \n. The last token is `end`. Linear time. Errors: file_malformed.
Result<std::vector<Token>> tokenize(std::string_view source);

}  // namespace puna::text::jinja
