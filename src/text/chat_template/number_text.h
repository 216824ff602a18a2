// Numbers from text, as Python's `int` and `float` read them.
#pragma once

#include <optional>
#include <string_view>

#include "text/chat_template/value.h"

namespace puna::text::jinja {

/// `int(text, base)`: whitespace around it, a sign, underscores between digits, a prefix that fits the base (0 takes
/// the base from it). Nullopt if it is none, or has too many digits.
std::optional<Integer> parse_integer(std::string_view text, int base);
std::optional<double> parse_float(std::string_view text);

}  // namespace puna::text::jinja
