// Values as Python writes them.
#pragma once

#include <string>
#include <string_view>

#include "text/chat_template/value.h"

namespace puna::text::jinja {

std::string format_integer(Integer value);
/// Python's `repr` of a float: the shortest digits that give the number back.
std::string format_float(double value);

/// `str(value)`. Numbers, True, False and None count as the template's: no text from outside is in them. The syntax
/// around the elements of lists and dictionaries counts as input.
void append_str(TextBuilder& out, const Value& value);
/// `repr(value)`.
void append_repr(TextBuilder& out, const Value& value);
/// Shared where `value` is text already.
TextPtr to_text(Budget& budget, const Value& value);

/// `repr` of a text in a message: cut if it is long.
std::string quoted_for_message(std::string_view text);

}  // namespace puna::text::jinja
