#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/characters.h"
#include "text/chat_template/filters.h"
#include "text/chat_template/functions.h"

namespace puna::text::jinja {
namespace {

Result<Value> attr(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "attr", arguments, {"name"}, 1));
    const Text* name = given[0]->as_text();
    if (name == nullptr) return evaluator.fail("attribute name must be string");
    PUNA_TRY(std::optional<Value> found, own_attribute(evaluator, subject, name->bytes()));
    if (found) return *std::move(found);
    return Value::undefined(fmt::format("'{} object' has no attribute '{}'", subject.type_name(), name->bytes()));
}

Result<Value> use_default(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given,
             Parameters::bind(evaluator, "default", arguments, {"default_value", "boolean"}, 0));
    const bool use = subject.is_undefined() || (given.flag(1, false) && !subject.truthy());
    if (!use) return subject;
    return given[0] == nullptr ? Value::trusted("") : *given[0];
}

Result<Value> first(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "first", arguments, {}, 0));
    if (const Text* text = subject.as_text(); text != nullptr && text->size() > 0) {
        return Value(part_of(evaluator.budget(), *text, 0, character_at(text->bytes(), 0).end));
    }
    PUNA_TRY(const IteratorPtr iterator, iterate(evaluator, subject));
    const Value* item = iterator->next();
    return item == nullptr ? Value::undefined("No first item, sequence was empty.") : *item;
}

/// Whether Python's `reversed` takes it.
Result<void> require_reversible(Evaluator& evaluator, const Value& subject) {
    const bool reversible = subject.as_text() != nullptr || subject.as_sequence() != nullptr ||
                            subject.as_dict() != nullptr || subject.is_undefined();
    if (reversible) return {};
    return evaluator.fail(fmt::format("'{}' object is not reversible", subject.type_name()));
}

Result<Value> last(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "last", arguments, {}, 0));
    PUNA_CHECK(require_reversible(evaluator, subject));
    if (const Text* text = subject.as_text(); text != nullptr && text->size() > 0) {
        const std::size_t begin = character_before(text->bytes(), text->size()).begin;
        return Value(part_of(evaluator.budget(), *text, begin, text->size()));
    }
    PUNA_TRY(const std::vector<Value> items, to_vector(evaluator, subject));
    return items.empty() ? Value::undefined("No last item, sequence was empty.") : items.back();
}

Result<Value> reverse(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "reverse", arguments, {}, 0));
    PUNA_TRY(std::vector<Value> items, to_vector(evaluator, subject));
    std::ranges::reverse(items);
    if (subject.as_text() != nullptr) {
        TextBuilder builder(evaluator.budget());
        for (const Value& item : items)
            builder.append(*item.as_text());
        return Value(builder.take_shared());
    }
    if (subject.as_iterator() != nullptr) return Value::list(std::move(items));
    return make_iterator(std::move(items), "list_reverseiterator");
}

Result<Value> length(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "length", arguments, {}, 0));
    PUNA_TRY(const std::size_t size, length_of(evaluator, subject));
    return Value::size(size);
}

Result<Value> list(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "list", arguments, {}, 0));
    PUNA_TRY(std::vector<Value> items, to_vector(evaluator, subject));
    return Value::list(std::move(items));
}

Result<Value> items(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "items", arguments, {}, 0));
    std::vector<Value> pairs;
    if (const Dict* dict = subject.as_dict()) {
        if (evaluator.budget().spend_items(2 * dict->size())) {
            for (const auto& [key, value] : dict->entries())
                pairs.push_back(Value::tuple({key, value}));
        }
    } else if (!subject.is_undefined()) {
        return evaluator.fail("Can only get item pairs from a mapping.");
    }
    return make_iterator(std::move(pairs));
}

/// `count` copies of `filler` at the end of a row; none if there is no filler.
void fill(Evaluator& evaluator, std::vector<Value>& row, const Value* filler, std::size_t count) {
    if (filler == nullptr || filler->is_none() || !evaluator.budget().spend_items(count)) return;
    row.insert(row.end(), count, *filler);
}

Result<Value> batch(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "batch", arguments, {"linecount", "fill_with"}, 1));
    PUNA_TRY(const std::int64_t size, given.integer(evaluator, 0, 0));
    PUNA_TRY(const std::vector<Value> values, to_vector(evaluator, subject));
    std::vector<Value> rows;
    std::vector<Value> row;
    for (const Value& value : values) {
        if (static_cast<std::int64_t>(row.size()) == size) {
            if (!evaluator.budget().spend(object_steps)) break;
            rows.push_back(Value::list(std::exchange(row, {})));
        }
        row.push_back(value);
    }
    if (!row.empty()) {
        const auto missing = size - static_cast<std::int64_t>(row.size());
        if (missing > 0) fill(evaluator, row, given[1], static_cast<std::size_t>(missing));
        rows.push_back(Value::list(std::move(row)));
    }
    return make_iterator(std::move(rows));
}

Result<Value> slice(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "slice", arguments, {"slices", "fill_with"}, 1));
    PUNA_TRY(const std::int64_t slices, given.integer(evaluator, 0, 0));
    PUNA_TRY(const std::vector<Value> values, to_vector(evaluator, subject));
    if (slices == 0) return evaluator.fail("integer division or modulo by zero");
    std::vector<Value> rows;
    const auto count = static_cast<std::size_t>(std::max<std::int64_t>(slices, 0));
    std::size_t begin = 0;
    for (std::size_t i = 0; i < count && evaluator.budget().spend_items(1) && evaluator.budget().spend(object_steps);
         ++i) {
        const bool is_longer = i < values.size() % count;
        const std::size_t end = begin + values.size() / count + (is_longer ? 1 : 0);
        std::vector<Value> row(values.begin() + static_cast<std::ptrdiff_t>(begin),
                               values.begin() + static_cast<std::ptrdiff_t>(end));
        if (!is_longer) fill(evaluator, row, given[1], 1);
        rows.push_back(Value::list(std::move(row)));
        begin = end;
    }
    return make_iterator(std::move(rows));
}

constexpr std::array<Filter, 12> list_filter_table{{{"attr", attr},
                                                    {"batch", batch},
                                                    {"count", length},
                                                    {"d", use_default},
                                                    {"default", use_default},
                                                    {"first", first},
                                                    {"items", items},
                                                    {"last", last},
                                                    {"length", length},
                                                    {"list", list},
                                                    {"reverse", reverse},
                                                    {"slice", slice}}};

}  // namespace

std::span<const Filter> list_filters() {
    return list_filter_table;
}

}  // namespace puna::text::jinja
