// Python's operators.
#pragma once

#include <compare>
#include <string_view>

#include "text/chat_template/evaluator.h"

namespace puna::text::jinja {

inline constexpr std::string_view integer_overflow = "an integer is too large";

/// +, -, *, /, //, % and **.
Result<Value> apply(Evaluator& evaluator, BinaryOperator op, const Value& left, const Value& right);

Result<bool> compare(Evaluator& evaluator, CompareOperator op, const Value& left, const Value& right);
/// ==. Any result if the budget is exhausted.
bool equal(Evaluator& evaluator, const Value& left, const Value& right);
/// left < right; an error if the two have no order.
Result<bool> less(Evaluator& evaluator, const Value& left, const Value& right);
/// item in container
Result<bool> contains(Evaluator& evaluator, const Value& container, const Value& item);

/// `format % arguments`, as printf; the filter `format` is the same. `arguments` is a tuple, a dictionary, or one
/// value.
Result<Value> format_printf(Evaluator& evaluator, const Text& format, const Value& arguments);

}  // namespace puna::text::jinja
