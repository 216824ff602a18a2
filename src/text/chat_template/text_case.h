// Case of texts, as Python's str methods change and test it.
#pragma once

#include "text/chat_template/evaluator.h"

namespace puna::text::jinja {

Value lower_text(Evaluator& evaluator, const Text& text);
Value upper_text(Evaluator& evaluator, const Text& text);
/// The first character in title case, the others in lower case.
Value capitalize_text(Evaluator& evaluator, const Text& text);
/// The filter `title`: words begin after whitespace, hyphens and opening brackets. (The method has other words.)
Value title_words(Evaluator& evaluator, const Text& text);
bool is_lower_text(const Text& text);
bool is_upper_text(const Text& text);

}  // namespace puna::text::jinja
