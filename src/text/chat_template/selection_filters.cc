// Filters that ask other filters and tests about each element.
#include <fmt/format.h>

#include <array>
#include <optional>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/filters.h"
#include "text/chat_template/functions.h"

namespace puna::text::jinja {
namespace {

Arguments without_first(const Arguments& arguments, std::size_t count) {
    Arguments rest = arguments;
    rest.positional.erase(rest.positional.begin(), rest.positional.begin() + static_cast<std::ptrdiff_t>(count));
    return rest;
}

Result<Value> map_attribute(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "map", arguments, {"attribute", "default"}, 1));
    const Value* otherwise = given.or_none(1).is_none() ? nullptr : given[1];
    const AttributePath path(*given[0]);
    PUNA_TRY(const std::vector<Value> items, to_vector(evaluator, subject));
    std::vector<Value> results;
    for (const Value& item : items) {
        PUNA_TRY(Value result, path.get_or(evaluator, item, otherwise));
        results.push_back(std::move(result));
    }
    return make_iterator(std::move(results));
}

Result<Value> map(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    if (!subject.truthy()) return make_iterator({});
    if (arguments.positional.empty() && !arguments.named.empty()) {
        return map_attribute(evaluator, subject, arguments);
    }
    const Text* name = arguments.positional.empty() ? nullptr : arguments.positional[0].as_text();
    if (name == nullptr) return evaluator.fail("map requires a filter argument");
    const Arguments rest = without_first(arguments, 1);
    PUNA_TRY(const std::vector<Value> items, to_vector(evaluator, subject));
    std::vector<Value> results;
    for (const Value& item : items) {
        PUNA_TRY(Value result, evaluator.apply_filter(name->bytes(), item, rest));
        results.push_back(std::move(result));
    }
    return make_iterator(std::move(results));
}

/// select, reject, selectattr and rejectattr.
template <bool wanted, bool by_attribute>
Result<Value> select(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    if (!subject.truthy()) return make_iterator({});
    const std::size_t before_test = by_attribute ? 1 : 0;
    if (arguments.positional.size() < before_test) return evaluator.fail("Missing parameter for attribute name");
    const AttributePath path(by_attribute ? arguments.positional[0] : Value());
    const bool has_test = arguments.positional.size() > before_test;
    const Text* test = has_test ? arguments.positional[before_test].as_text() : nullptr;
    if (has_test && test == nullptr) return evaluator.fail("the name of a test must be a text");
    const Arguments rest = has_test ? without_first(arguments, before_test + 1) : Arguments();
    PUNA_TRY(const std::vector<Value> items, to_vector(evaluator, subject));
    std::vector<Value> kept;
    for (const Value& item : items) {
        PUNA_TRY(const Value asked, path.get(evaluator, item));
        bool holds = asked.truthy();
        if (has_test) {
            PUNA_TRY(holds, evaluator.apply_test(test->bytes(), asked, rest));
        }
        if (holds == wanted) kept.push_back(item);
    }
    return make_iterator(std::move(kept));
}

constexpr std::array<Filter, 5> selection_filter_table{{{"map", map},
                                                        {"select", select<true, false>},
                                                        {"reject", select<false, false>},
                                                        {"selectattr", select<true, true>},
                                                        {"rejectattr", select<false, true>}}};

}  // namespace

std::span<const Filter> selection_filters() {
    return selection_filter_table;
}

}  // namespace puna::text::jinja
