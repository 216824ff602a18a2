// What a model may call.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "puna/error.h"

namespace puna::text::chat_parse {

struct Tool {
    std::string name;
    std::string parameters;  ///< a JSON Schema of an object, as text

    bool operator==(const Tool&) const = default;
};

/// Whether a function can have this name: 1 to 128 letters, digits and _ - . : /
bool is_tool_name(std::string_view name);
bool is_tool_name_byte(char c);
inline constexpr std::size_t max_tool_name = 128;

/// From a JSON array of {"type": "function", "function": {"name", "description", "parameters"}}, or of the inner
/// objects. Errors: invalid_argument, which says which tool and why; also two of one name.
Result<std::vector<Tool>> parse_tools(std::string_view json);

}  // namespace puna::text::chat_parse
