#include "text/chat_template/operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/try.h"
#include "text/chat_template/access.h"

namespace puna::text::jinja {
namespace {

std::string_view symbol_of(BinaryOperator op) {
    constexpr std::array<std::string_view, 7> symbols{"+", "-", "*", "/", "//", "%", "** or pow()"};
    return symbols[static_cast<std::size_t>(op)];
}

Error unsupported(Evaluator& evaluator, BinaryOperator op, const Value& left, const Value& right) {
    return evaluator.fail(fmt::format("unsupported operand type(s) for {}: '{}' and '{}'", symbol_of(op),
                                      left.type_name(), right.type_name()));
}

Result<Value> integer_power(Evaluator& evaluator, Integer base, Integer exponent) {
    Integer result = 1;
    for (; exponent > 0; exponent /= 2) {
        if (exponent % 2 == 1 && __builtin_mul_overflow(result, base, &result)) return evaluator.fail(integer_overflow);
        if (exponent == 1) break;
        if (__builtin_mul_overflow(base, base, &base)) return evaluator.fail(integer_overflow);
    }
    return Value(result);
}

/// The quotient rounded down.
Integer floor_quotient(Integer left, Integer right) {
    const Integer quotient = left / right;
    const bool inexact = quotient * right != left;
    return inexact && (left < 0) != (right < 0) ? quotient - 1 : quotient;
}

Result<Value> apply_to_integers(Evaluator& evaluator, BinaryOperator op, Integer left, Integer right) {
    Integer result = 0;
    bool overflow = false;
    switch (op) {
        case BinaryOperator::add: overflow = __builtin_add_overflow(left, right, &result); break;
        case BinaryOperator::subtract: overflow = __builtin_sub_overflow(left, right, &result); break;
        case BinaryOperator::multiply: overflow = __builtin_mul_overflow(left, right, &result); break;
        case BinaryOperator::divide: return Value(static_cast<double>(left) / static_cast<double>(right));
        case BinaryOperator::floor_divide:
        case BinaryOperator::modulo: {
            if (right == -1) {  // the one quotient that may not fit
                overflow = __builtin_sub_overflow(Integer{0}, left, &result);
                if (op == BinaryOperator::modulo) return Value(Integer{0});
                break;
            }
            const Integer quotient = floor_quotient(left, right);
            result = op == BinaryOperator::floor_divide ? quotient : left - quotient * right;
            break;
        }
        case BinaryOperator::power: return integer_power(evaluator, left, right);
    }
    if (overflow) return evaluator.fail(integer_overflow);
    return Value(result);
}

/// Quotient rounded down and remainder with the divisor's sign, as CPython computes them.
std::pair<double, double> floor_divide(double left, double right) {
    double remainder = std::fmod(left, right);
    double quotient = (left - remainder) / right;
    if (remainder != 0) {
        if ((right < 0) != (remainder < 0)) {
            remainder += right;
            quotient -= 1;
        }
    } else {
        remainder = std::copysign(0.0, right);
    }
    if (quotient == 0) return {std::copysign(0.0, left / right), remainder};
    double floored = std::floor(quotient);
    if (quotient - floored > 0.5) floored += 1;
    return {floored, remainder};
}

Result<Value> apply_to_floats(Evaluator& evaluator, BinaryOperator op, double left, double right) {
    switch (op) {
        case BinaryOperator::add: return Value(left + right);
        case BinaryOperator::subtract: return Value(left - right);
        case BinaryOperator::multiply: return Value(left * right);
        case BinaryOperator::divide: return Value(left / right);
        case BinaryOperator::floor_divide: return Value(floor_divide(left, right).first);
        case BinaryOperator::modulo: return Value(floor_divide(left, right).second);
        case BinaryOperator::power: break;
    }
    const double result = std::pow(left, right);
    if (std::isnan(result) && !std::isnan(left) && !std::isnan(right)) {
        return evaluator.fail("a power is not a real number");
    }
    if (std::isinf(result) && std::isfinite(left) && std::isfinite(right)) {
        return evaluator.fail("a power is out of range");
    }
    return Value(result);
}

Result<Value> apply_to_numbers(Evaluator& evaluator, BinaryOperator op, const Value& left, const Value& right) {
    const auto left_integer = left.as_integer();
    const auto right_integer = right.as_integer();
    const double right_float = *right.to_float();
    const bool divides =
        op == BinaryOperator::divide || op == BinaryOperator::floor_divide || op == BinaryOperator::modulo;
    const bool inverts = op == BinaryOperator::power && *left.to_float() == 0 && right_float < 0;
    if ((divides && right_float == 0) || inverts) return evaluator.fail("division by zero");
    const bool as_integers = left_integer && right_integer && !(op == BinaryOperator::power && *right_integer < 0);
    if (as_integers) return apply_to_integers(evaluator, op, *left_integer, *right_integer);
    return apply_to_floats(evaluator, op, *left.to_float(), right_float);
}

Result<Value> concatenate(Evaluator& evaluator, const Value& left, const Value& right) {
    if (left.as_text() != nullptr && right.as_text() != nullptr) {
        TextBuilder builder(evaluator.budget());
        builder.append(*left.as_text());
        builder.append(*right.as_text());
        return Value(builder.take_shared());
    }
    const Sequence* first = left.as_sequence();
    const Sequence* second = right.as_sequence();
    const bool lists = first != nullptr && second != nullptr && first->kind() == Sequence::Kind::list &&
                       second->kind() == Sequence::Kind::list;
    const bool tuples = first != nullptr && second != nullptr && first->is_tuple() && second->is_tuple();
    if (lists || tuples) {
        std::vector<Value> items;
        if (evaluator.budget().spend_items(first->items().size() + second->items().size())) {
            items = first->items();
            items.insert(items.end(), second->items().begin(), second->items().end());
        }
        return lists ? Value::list(std::move(items)) : Value::tuple(std::move(items));
    }
    if (left.as_text() != nullptr || (first != nullptr && first->kind() == Sequence::Kind::list)) {
        return evaluator.fail(
            fmt::format("can only concatenate {0} (not \"{1}\") to {0}", left.type_name(), right.type_name()));
    }
    return unsupported(evaluator, BinaryOperator::add, left, right);
}

Result<Value> repeat(Evaluator& evaluator, const Value& subject, Integer count) {
    count = std::clamp<Integer>(count, 0, Integer{1} << 40);
    if (const Text* text = subject.as_text()) {
        TextBuilder builder(evaluator.budget());
        builder.append_repeated(*text, static_cast<std::size_t>(count));
        return Value(builder.take_shared());
    }
    const Sequence& sequence = *subject.as_sequence();
    std::vector<Value> items;
    if (!sequence.items().empty()) {
        for (; count > 0 && evaluator.budget().spend_items(sequence.items().size()); --count)
            items.insert(items.end(), sequence.items().begin(), sequence.items().end());
    }
    return sequence.is_tuple() ? Value::tuple(std::move(items)) : Value::list(std::move(items));
}

bool is_repeatable(const Value& value) {
    const Sequence* sequence = value.as_sequence();
    return value.as_text() != nullptr ||
           (sequence != nullptr && (sequence->is_tuple() || sequence->kind() == Sequence::Kind::list));
}

}  // namespace

Result<Value> apply(Evaluator& evaluator, BinaryOperator op, const Value& left, const Value& right) {
    if (op == BinaryOperator::modulo && left.as_text() != nullptr) {
        return format_printf(evaluator, *left.as_text(), right);
    }
    PUNA_CHECK(evaluator.require_defined(left));
    PUNA_CHECK(evaluator.require_defined(right));
    if (left.is_number() && right.is_number()) return apply_to_numbers(evaluator, op, left, right);
    if (op == BinaryOperator::add) return concatenate(evaluator, left, right);
    if (op == BinaryOperator::multiply) {
        if (is_repeatable(left) && right.as_integer()) return repeat(evaluator, left, *right.as_integer());
        if (is_repeatable(right) && left.as_integer()) return repeat(evaluator, right, *left.as_integer());
    }
    return unsupported(evaluator, op, left, right);
}

}  // namespace puna::text::jinja
