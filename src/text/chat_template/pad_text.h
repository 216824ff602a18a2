// Texts brought to a width.
#pragma once

#include <cstdint>

#include "text/chat_template/evaluator.h"

namespace puna::text::jinja {

enum class Alignment : std::uint8_t { left, right, center };
/// `text` with `filler` (one character) around it, `width` characters wide if it was not wider.
Value pad_text(Evaluator& evaluator, const Text& text, std::int64_t width, const Text& filler, Alignment alignment);

}  // namespace puna::text::jinja
