#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/characters.h"
#include "text/chat_template/operators.h"

namespace puna::text::jinja {
namespace {

/// Exact, also where the integer has more digits than a float.
std::partial_ordering compare_numbers(Integer left, double right) {
    if (std::isnan(right)) return std::partial_ordering::unordered;
    constexpr double limit = 0x1p126;
    if (right >= limit) return std::partial_ordering::less;
    if (right <= -limit) return std::partial_ordering::greater;
    const double floored = std::floor(right);
    const auto whole = static_cast<Integer>(floored);
    if (left != whole) return left < whole ? std::partial_ordering::less : std::partial_ordering::greater;
    return floored < right ? std::partial_ordering::less : std::partial_ordering::equivalent;
}

std::partial_ordering compare_numbers(const Value& left, const Value& right) {
    const auto left_integer = left.as_integer();
    const auto right_integer = right.as_integer();
    if (left_integer && right_integer) {
        if (*left_integer == *right_integer) return std::partial_ordering::equivalent;
        return *left_integer < *right_integer ? std::partial_ordering::less : std::partial_ordering::greater;
    }
    if (left_integer) return compare_numbers(*left_integer, *right.as_float());
    if (right_integer) return 0 <=> compare_numbers(*right_integer, *left.as_float());
    return *left.as_float() <=> *right.as_float();
}

bool comparable_kinds(const Sequence& left, const Sequence& right) {
    return left.kind() == right.kind() || (left.is_tuple() && right.is_tuple());
}

bool equal_items(Evaluator& evaluator, const std::vector<Value>& left, const std::vector<Value>& right) {
    return left.size() == right.size() &&
           std::ranges::equal(left, right, [&](const Value& a, const Value& b) { return equal(evaluator, a, b); });
}

bool equal_dicts(Evaluator& evaluator, const Dict& left, const Dict& right) {
    return left.size() == right.size() && std::ranges::all_of(left.entries(), [&](const Dict::Entry& entry) {
               const Value* other = right.find(entry.first);
               return other != nullptr && equal(evaluator, entry.second, *other);
           });
}

constexpr std::string_view symbol_of(CompareOperator op) {
    switch (op) {
        case CompareOperator::less: return "<";
        case CompareOperator::less_equal: return "<=";
        case CompareOperator::greater: return ">";
        default: return ">=";
    }
}

template <typename Ordering>
bool holds(CompareOperator op, Ordering ordering) {
    switch (op) {
        case CompareOperator::less: return ordering < 0;
        case CompareOperator::less_equal: return ordering <= 0;
        case CompareOperator::greater: return ordering > 0;
        default: return ordering >= 0;
    }
}

/// <, <=, > and >=.
Result<bool> ordered(Evaluator& evaluator, CompareOperator op, const Value& left, const Value& right) {
    PUNA_CHECK(evaluator.require_defined(left));
    PUNA_CHECK(evaluator.require_defined(right));
    if (left.is_number() && right.is_number()) return holds(op, compare_numbers(left, right));
    if (left.as_text() != nullptr && right.as_text() != nullptr) {
        // UTF-8 has the order of code points.
        evaluator.budget().spend_text(std::min(left.as_text()->size(), right.as_text()->size()));
        return holds(op, left.as_text()->bytes() <=> right.as_text()->bytes());
    }
    const Sequence* first = left.as_sequence();
    const Sequence* second = right.as_sequence();
    if (first != nullptr && second != nullptr && comparable_kinds(*first, *second) &&
        (first->is_tuple() || first->kind() == Sequence::Kind::list)) {
        const auto [a, b] = std::ranges::mismatch(
            first->items(), second->items(), [&](const Value& x, const Value& y) { return equal(evaluator, x, y); });
        if (evaluator.budget().exhausted()) return false;
        if (a != first->items().end() && b != second->items().end()) return ordered(evaluator, op, *a, *b);
        return holds(op, first->items().size() <=> second->items().size());
    }
    return evaluator.fail(fmt::format("'{}' not supported between instances of '{}' and '{}'", symbol_of(op),
                                      left.type_name(), right.type_name()));
}

}  // namespace

bool equal(Evaluator& evaluator, const Value& left, const Value& right) {
    if (!evaluator.budget().spend(1)) return false;
    if (left.is_number() && right.is_number()) return compare_numbers(left, right) == 0;
    if (const Text* text = left.as_text(); text != nullptr && right.as_text() != nullptr) {
        if (text->size() == right.as_text()->size()) evaluator.budget().spend_text(text->size());
        return text->bytes() == right.as_text()->bytes();
    }
    if (left.is_undefined() || right.is_undefined()) return left.is_undefined() && right.is_undefined();
    if (left.is_same(right)) return true;
    const Sequence* first = left.as_sequence();
    const Sequence* second = right.as_sequence();
    if (first != nullptr && second != nullptr) {
        return comparable_kinds(*first, *second) && equal_items(evaluator, first->items(), second->items());
    }
    if (left.as_dict() != nullptr && right.as_dict() != nullptr) {
        return equal_dicts(evaluator, *left.as_dict(), *right.as_dict());
    }
    return false;
}

Result<bool> less(Evaluator& evaluator, const Value& left, const Value& right) {
    return ordered(evaluator, CompareOperator::less, left, right);
}

Result<bool> compare(Evaluator& evaluator, CompareOperator op, const Value& left, const Value& right) {
    switch (op) {
        case CompareOperator::equal: return equal(evaluator, left, right);
        case CompareOperator::not_equal: return !equal(evaluator, left, right);
        case CompareOperator::in: return contains(evaluator, right, left);
        case CompareOperator::not_in: {
            PUNA_TRY(const bool found, contains(evaluator, right, left));
            return !found;
        }
        default: return ordered(evaluator, op, left, right);
    }
}

Result<bool> contains(Evaluator& evaluator, const Value& container, const Value& item) {
    if (const Text* text = container.as_text()) {
        if (item.as_text() == nullptr) {
            return evaluator.fail(
                fmt::format("'in <string>' requires string as left operand, not {}", item.type_name()));
        }
        evaluator.budget().spend_text(text->size());
        return find_text(text->bytes(), item.as_text()->bytes()) != std::string_view::npos;
    }
    if (const Dict* dict = container.as_dict()) {
        if (!is_hashable(item)) return evaluator.fail(fmt::format("unhashable type: '{}'", item.type_name()));
        if (item.as_text() == nullptr) evaluator.budget().spend(1 + dict->size());
        return dict->find(item) != nullptr;
    }
    if (container.is_none() || container.is_number() || container.as_object() != nullptr) {
        return evaluator.fail(fmt::format("argument of type '{}' is not iterable", container.type_name()));
    }
    PUNA_TRY(const IteratorPtr iterator, iterate(evaluator, container));
    while (const Value* candidate = iterator->next()) {
        if (equal(evaluator, *candidate, item)) return true;
        if (evaluator.budget().exhausted()) break;
    }
    return false;
}

}  // namespace puna::text::jinja
