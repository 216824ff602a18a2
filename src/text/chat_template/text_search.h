// Finding and cutting in texts; what filters and methods share.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "text/chat_template/evaluator.h"

namespace puna::text::jinja {

/// `text` with the first `limit` occurrences of `old` replaced (all if negative). An empty `old` is found before each
/// character and at the end.
Value replace_text(Evaluator& evaluator, const Text& text, const Text& old, const Text& replacement,
                   std::int64_t limit);
/// The lines, without their ends unless `keep_ends`.
std::vector<Value> split_lines(Evaluator& evaluator, const Text& text, bool keep_ends);
/// `text` without whitespace, or what `characters` (none, or a text) holds, at its ends.
Result<Value> strip_text(Evaluator& evaluator, const Text& text, bool left, bool right, const Value& characters);

}  // namespace puna::text::jinja
