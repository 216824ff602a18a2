// Jinja's tests: `value is test`.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/filters.h"
#include "text/chat_template/functions.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/python_format.h"
#include "text/chat_template/text_case.h"

namespace puna::text::jinja {
namespace {

/// `argument` is null for tests that take none.
using TestPointer = Result<bool> (*)(Evaluator&, const Value& value, const Value* argument);

struct NamedTest {
    std::string_view name;
    bool has_argument;
    TestPointer function;
};

template <CompareOperator op>
Result<bool> compares(Evaluator& evaluator, const Value& value, const Value* argument) {
    return compare(evaluator, op, value, *argument);
}

template <bool (*holds)(const Value&)>
Result<bool> is(Evaluator&, const Value& value, const Value*) {
    return holds(value);
}

/// value % divisor == remainder
Result<bool> has_remainder(Evaluator& evaluator, const Value& value, const Value& divisor, std::int64_t remainder) {
    PUNA_TRY(const Value rest, apply(evaluator, BinaryOperator::modulo, value, divisor));
    return equal(evaluator, rest, Value::integer(remainder));
}

Result<bool> is_odd(Evaluator& evaluator, const Value& value, const Value*) {
    return has_remainder(evaluator, value, Value::integer(2), 1);
}

Result<bool> is_even(Evaluator& evaluator, const Value& value, const Value*) {
    return has_remainder(evaluator, value, Value::integer(2), 0);
}

Result<bool> is_divisible(Evaluator& evaluator, const Value& value, const Value* argument) {
    return has_remainder(evaluator, value, *argument, 0);
}

Result<bool> is_lower(Evaluator& evaluator, const Value& value, const Value*) {
    return is_lower_text(*to_text(evaluator.budget(), value));
}

Result<bool> is_upper(Evaluator& evaluator, const Value& value, const Value*) {
    return is_upper_text(*to_text(evaluator.budget(), value));
}

bool is_bool(const Value& value, bool wanted) {
    return value.as_bool() != nullptr && *value.as_bool() == wanted;
}

bool is_sequence(const Value& value) {
    const Sequence* sequence = value.as_sequence();
    return value.as_text() != nullptr || value.as_dict() != nullptr || value.is_undefined() ||
           (sequence != nullptr && !sequence->is_view());
}

bool is_iterable(const Value& value) {
    return is_sequence(value) || value.as_sequence() != nullptr || value.as_iterator() != nullptr;
}

bool is_callable(const Value& value) {
    return value.is_undefined() || (value.as_object() != nullptr && value.as_object()->callable());
}

/// The same object. Equal numbers and texts pass for one.
Result<bool> is_same(Evaluator& evaluator, const Value& value, const Value* argument) {
    if (value.as_text() != nullptr && argument->as_text() != nullptr) return equal(evaluator, value, *argument);
    return value.is_same(*argument);
}

Result<bool> names_filter(Evaluator&, const Value& value, const Value*) {
    return value.as_text() != nullptr && has_filter(value.as_text()->bytes());
}

Result<bool> names_test(Evaluator&, const Value& value, const Value*) {
    return value.as_text() != nullptr && has_test(value.as_text()->bytes());
}

Result<bool> is_in(Evaluator& evaluator, const Value& value, const Value* argument) {
    return contains(evaluator, *argument, value);
}

using enum CompareOperator;
constexpr std::array<NamedTest, 39> tests{{
    {"odd", false, is_odd},
    {"even", false, is_even},
    {"divisibleby", true, is_divisible},
    {"defined", false, is<[](const Value& value) { return !value.is_undefined(); }>},
    {"undefined", false, is<[](const Value& value) { return value.is_undefined(); }>},
    {"filter", false, names_filter},
    {"test", false, names_test},
    {"none", false, is<[](const Value& value) { return value.is_none(); }>},
    {"boolean", false, is<[](const Value& value) { return value.as_bool() != nullptr; }>},
    {"false", false, is<[](const Value& value) { return is_bool(value, false); }>},
    {"true", false, is<[](const Value& value) { return is_bool(value, true); }>},
    {"integer", false, is<[](const Value& value) { return value.is_plain_integer(); }>},
    {"float", false, is<[](const Value& value) { return value.as_float() != nullptr; }>},
    {"lower", false, is_lower},
    {"upper", false, is_upper},
    {"string", false, is<[](const Value& value) { return value.as_text() != nullptr; }>},
    {"mapping", false, is<[](const Value& value) { return value.as_dict() != nullptr; }>},
    {"number", false, is<[](const Value& value) { return value.is_number(); }>},
    {"sequence", false, is<is_sequence>},
    {"iterable", false, is<is_iterable>},
    {"callable", false, is<is_callable>},
    {"sameas", true, is_same},
    {"escaped", false, is<[](const Value&) { return false; }>},
    {"in", true, is_in},
    {"==", true, compares<equal>},
    {"eq", true, compares<equal>},
    {"equalto", true, compares<equal>},
    {"!=", true, compares<not_equal>},
    {"ne", true, compares<not_equal>},
    {">", true, compares<greater>},
    {"gt", true, compares<greater>},
    {"greaterthan", true, compares<greater>},
    {"ge", true, compares<greater_equal>},
    {">=", true, compares<greater_equal>},
    {"<", true, compares<less>},
    {"lt", true, compares<less>},
    {"lessthan", true, compares<less>},
    {"<=", true, compares<less_equal>},
    {"le", true, compares<less_equal>},
}};

}  // namespace

bool has_test(std::string_view name) {
    return std::ranges::find(tests, name, &NamedTest::name) != tests.end();
}

Result<bool> Evaluator::apply_test(std::string_view name, const Value& subject, const Arguments& arguments) {
    const auto* found = std::ranges::find(tests, name, &NamedTest::name);
    if (found == tests.end()) return fail(fmt::format("No test named {}.", quoted_for_message(name)));
    if (!budget_.spend(1)) return fail("the template takes too many steps");
    const std::size_t count = arguments.positional.size() + arguments.named.size();
    if (count != (found->has_argument ? 1 : 0)) {
        return fail(fmt::format("the test '{}' takes {} argument", name, found->has_argument ? "one" : "no"));
    }
    const Value* argument = nullptr;
    if (found->has_argument) {
        argument = arguments.positional.empty() ? &arguments.named[0].second : &arguments.positional[0];
    }
    return found->function(*this, subject, argument);
}

}  // namespace puna::text::jinja
