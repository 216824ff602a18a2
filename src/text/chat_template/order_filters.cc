// Filters that compare elements with each other.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/filters.h"
#include "text/chat_template/functions.h"
#include "text/chat_template/operators.h"

namespace puna::text::jinja {
namespace {

/// A value and what it is compared by.
struct Keyed {
    Value key;
    Value value;
};

/// Merge sort, stable like Python's. It stays within its bounds also where an order is none (NaN), and stops at values
/// that cannot be compared.
Result<void> sort_by_key(Evaluator& evaluator, std::vector<Keyed>& items, bool reverse) {
    std::vector<Keyed> merged(items.size());
    for (std::size_t width = 1; width < items.size(); width *= 2) {
        for (std::size_t begin = 0; begin < items.size(); begin += 2 * width) {
            const std::size_t middle = std::min(begin + width, items.size());
            const std::size_t end = std::min(begin + 2 * width, items.size());
            std::size_t left = begin;
            std::size_t right = middle;
            for (std::size_t out = begin; out < end; ++out) {
                bool take_right = left == middle;
                if (left < middle && right < end) {
                    const Value& a = items[left].key;
                    const Value& b = items[right].key;
                    PUNA_TRY(take_right, reverse ? less(evaluator, a, b) : less(evaluator, b, a));
                }
                merged[out] = std::move(items[take_right ? right++ : left++]);
            }
        }
        std::swap(items, merged);
        if (!evaluator.budget().spend_items(items.size())) break;
    }
    return {};
}

Result<std::vector<Keyed>> with_keys(Evaluator& evaluator, const Value& subject, const AttributePath& path,
                                     bool case_sensitive, const Value* otherwise = nullptr) {
    PUNA_TRY(std::vector<Value> values, to_vector(evaluator, subject));
    std::vector<Keyed> items;
    items.reserve(values.size());
    for (Value& value : values) {
        PUNA_TRY(Value key, path.get_or(evaluator, value, otherwise));
        if (!case_sensitive) key = folded(evaluator, key);
        items.push_back({std::move(key), std::move(value)});
    }
    return items;
}

Value values_of(std::vector<Keyed> items) {
    std::vector<Value> values;
    values.reserve(items.size());
    for (Keyed& item : items)
        values.push_back(std::move(item.value));
    return Value::list(std::move(values));
}

/// The attributes of "a,b.c"; each element is compared by the list of them.
std::vector<Value> attributes_of(const Value& attribute) {
    const Text* text = attribute.as_text();
    if (text == nullptr) return {attribute};
    std::vector<Value> attributes;
    std::string_view rest = text->bytes();
    while (true) {
        const std::string_view one = rest.substr(0, rest.find(','));
        attributes.push_back(Value::trusted(std::string(one)));
        if (one.size() == rest.size()) return attributes;
        rest.remove_prefix(one.size() + 1);
    }
}

Result<Value> sort(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given,
             Parameters::bind(evaluator, "sort", arguments, {"reverse", "case_sensitive", "attribute"}, 0));
    const std::vector<Value> attributes = attributes_of(given.or_none(2));
    PUNA_TRY(std::vector<Value> values, to_vector(evaluator, subject));
    std::vector<Keyed> items;
    for (Value& value : values) {
        std::vector<Value> key;
        for (const Value& attribute : attributes) {
            PUNA_TRY(const Value part, AttributePath(attribute).get(evaluator, value));
            key.push_back(given.flag(1, false) ? part : folded(evaluator, part));
        }
        items.push_back({Value::list(std::move(key)), std::move(value)});
    }
    PUNA_CHECK(sort_by_key(evaluator, items, given.flag(0, false)));
    return values_of(std::move(items));
}

Result<Value> dictsort(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given,
             Parameters::bind(evaluator, "dictsort", arguments, {"case_sensitive", "by", "reverse"}, 0));
    PUNA_CHECK(evaluator.require_defined(subject));
    const Dict* dict = subject.as_dict();
    if (dict == nullptr) return evaluator.fail(fmt::format("dictsort takes a dict, not {}", subject.type_name()));
    const Text* by = given[1] == nullptr ? nullptr : given[1]->as_text();
    const std::string_view which = given[1] == nullptr ? "key" : by == nullptr ? "" : by->bytes();
    if (which != "key" && which != "value") return evaluator.fail("You can only sort by either \"key\" or \"value\"");
    std::vector<Keyed> items;
    if (!evaluator.budget().spend_items(2 * dict->size())) return Value();
    for (const auto& [name, value] : dict->entries()) {
        const Value& key = which == "key" ? name : value;
        items.push_back({given.flag(0, false) ? key : folded(evaluator, key), Value::tuple({name, value})});
    }
    PUNA_CHECK(sort_by_key(evaluator, items, given.flag(2, false)));
    return values_of(std::move(items));
}

Result<Value> unique(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given,
             Parameters::bind(evaluator, "unique", arguments, {"case_sensitive", "attribute"}, 0));
    const Value attribute = given.or_none(1);
    PUNA_TRY(std::vector<Keyed> items, with_keys(evaluator, subject, AttributePath(attribute), given.flag(0, false)));
    Dict seen;
    std::vector<Value> kept;
    for (Keyed& item : items) {
        if (!is_hashable(item.key)) {
            return evaluator.fail(fmt::format("unhashable type: '{}'", item.key.type_name()));
        }
        if (item.key.as_text() == nullptr && !evaluator.budget().spend(1 + seen.size())) break;
        if (seen.find(item.key) != nullptr) continue;
        seen.set(std::move(item.key), Value());
        kept.push_back(std::move(item.value));
    }
    return make_iterator(std::move(kept));
}

template <bool want_less>
Result<Value> extreme(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given,
             Parameters::bind(evaluator, want_less ? "min" : "max", arguments, {"case_sensitive", "attribute"}, 0));
    const Value attribute = given.or_none(1);
    PUNA_TRY(std::vector<Keyed> items, with_keys(evaluator, subject, AttributePath(attribute), given.flag(0, false)));
    if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
    std::size_t best = 0;
    for (std::size_t i = 1; i < items.size(); ++i) {
        const Value& candidate = items[i].key;
        const Value& current = items[best].key;
        PUNA_TRY(const bool better,
                 want_less ? less(evaluator, candidate, current) : less(evaluator, current, candidate));
        if (better) best = i;
    }
    return items[best].value;
}

Result<Value> groupby(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given,
             Parameters::bind(evaluator, "groupby", arguments, {"attribute", "default", "case_sensitive"}, 1));
    const Value* otherwise = given.or_none(1).is_none() ? nullptr : given[1];
    const AttributePath path(*given[0]);
    PUNA_TRY(std::vector<Keyed> items, with_keys(evaluator, subject, path, given.flag(2, false), otherwise));
    PUNA_CHECK(sort_by_key(evaluator, items, false));
    std::vector<Value> groups;
    for (std::size_t begin = 0; begin < items.size();) {
        std::vector<Value> members;
        std::size_t end = begin;
        while (end < items.size() && equal(evaluator, items[end].key, items[begin].key))
            members.push_back(items[end++].value);
        if (evaluator.budget().exhausted()) break;
        PUNA_TRY(Value name, path.get_or(evaluator, members.front(), otherwise));
        groups.push_back(Value(std::make_shared<const Sequence>(
            Sequence::Kind::group, std::vector<Value>{std::move(name), Value::list(std::move(members))})));
        begin = end;
    }
    return Value::list(std::move(groups));
}

constexpr std::array<Filter, 6> order_filter_table{{{"dictsort", dictsort},
                                                    {"groupby", groupby},
                                                    {"max", extreme<false>},
                                                    {"min", extreme<true>},
                                                    {"sort", sort},
                                                    {"unique", unique}}};

}  // namespace

std::span<const Filter> order_filters() {
    return order_filter_table;
}

}  // namespace puna::text::jinja
