#include <fmt/format.h>
#include <fmt/printf.h>

#include <array>
#include <cmath>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/filters.h"
#include "text/chat_template/functions.h"
#include "text/chat_template/number_text.h"
#include "text/chat_template/operators.h"

namespace puna::text::jinja {
namespace {

std::optional<Integer> truncated(double number) {
    if (!std::isfinite(number) || std::fabs(number) >= 0x1p126) return std::nullopt;
    return static_cast<Integer>(number);
}

Result<Value> absolute(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "abs", arguments, {}, 0));
    PUNA_CHECK(evaluator.require_defined(subject));
    if (const double* number = subject.as_float()) return Value(std::fabs(*number));
    if (const auto integer = subject.as_integer()) return Value(*integer < 0 ? -*integer : *integer);
    return evaluator.fail(fmt::format("bad operand type for abs(): '{}'", subject.type_name()));
}

Result<Value> to_integer(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "int", arguments, {"default", "base"}, 0));
    PUNA_TRY(const std::int64_t base, given.integer(evaluator, 1, 10));
    PUNA_CHECK(evaluator.require_defined(subject));
    if (const auto integer = subject.as_integer()) return Value(*integer);
    std::optional<double> number;
    if (const Text* text = subject.as_text()) {
        if (const auto integer = parse_integer(text->bytes(), static_cast<int>(base))) return Value(*integer);
        number = parse_float(text->bytes());  // "42.23" is 42
    } else if (const double* value = subject.as_float()) {
        if (std::isinf(*value)) return evaluator.fail("cannot convert float infinity to integer");
        number = *value;
    }
    const auto integer = number ? truncated(*number) : std::nullopt;
    if (integer) return Value(*integer);
    return given[0] == nullptr ? Value::integer(0) : *given[0];
}

Result<Value> to_float(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "float", arguments, {"default"}, 0));
    PUNA_CHECK(evaluator.require_defined(subject));
    if (const auto number = subject.to_float()) return Value(*number);
    if (const Text* text = subject.as_text()) {
        if (const auto number = parse_float(text->bytes())) return Value(*number);
    }
    return given[0] == nullptr ? Value(0.0) : *given[0];
}

/// Python's `round(value, precision)`: halves go to the even neighbour, of the number's exact value.
Result<Value> round_common(Evaluator& evaluator, const Value& value, std::int64_t precision) {
    if (value.as_integer() && precision >= 0) return Value(*value.as_integer());
    if (precision < 0) return evaluator.fail("rounding to tens is not supported");
    const double number = *value.as_float();
    // Beyond this many digits a float has none.
    if (!std::isfinite(number) || precision > 340) return Value(number);
    const std::string digits = fmt::sprintf("%.*f", static_cast<int>(precision), number);
    return Value(*parse_float(digits));
}

Result<Value> round_number(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "round", arguments, {"precision", "method"}, 0));
    PUNA_TRY(const std::int64_t precision, given.integer(evaluator, 0, 0));
    PUNA_CHECK(evaluator.require_defined(subject));
    const auto number = subject.to_float();
    if (!number) {
        return evaluator.fail(fmt::format("type {} doesn't define __round__ method", subject.type_name()));
    }
    const Text* method = given[1] == nullptr ? nullptr : given[1]->as_text();
    const std::string_view name = given[1] == nullptr ? "common" : method == nullptr ? "" : method->bytes();
    if (name == "common") return round_common(evaluator, subject, precision);
    if (name != "ceil" && name != "floor") return evaluator.fail("method must be common, ceil or floor");
    if (precision < -300 || precision > 300) return evaluator.fail("the precision is out of range");
    const double scale = std::pow(10.0, static_cast<double>(precision));
    const double scaled = *number * scale;
    if (!std::isfinite(scaled)) return evaluator.fail("cannot convert float infinity to integer");
    return Value((name == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Result<Value> sum(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "sum", arguments, {"attribute", "start"}, 0));
    const Value attribute = given.or_none(0);
    const AttributePath path(attribute);
    PUNA_TRY(const std::vector<Value> items, to_vector(evaluator, subject));
    Value total = given[1] == nullptr ? Value::integer(0) : *given[1];
    if (total.as_text() != nullptr) return evaluator.fail("sum() can't sum strings [use ''.join(seq) instead]");
    for (const Value& item : items) {
        PUNA_TRY(const Value value, path.get(evaluator, item));
        PUNA_TRY(total, apply(evaluator, BinaryOperator::add, total, value));
        if (evaluator.budget().exhausted()) break;
    }
    return total;
}

constexpr std::array<Filter, 5> number_filter_table{
    {{"abs", absolute}, {"int", to_integer}, {"float", to_float}, {"round", round_number}, {"sum", sum}}};

}  // namespace

std::span<const Filter> number_filters() {
    return number_filter_table;
}

}  // namespace puna::text::jinja
