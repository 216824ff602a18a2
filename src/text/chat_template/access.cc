#include "text/chat_template/access.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"
#include "text/chat_template/characters.h"
#include "text/chat_template/methods.h"
#include "text/chat_template/python_format.h"

namespace puna::text::jinja {
namespace {

/// How messages speak of an object.
std::string describe(const Value& object) {
    return object.is_none() ? "None" : fmt::format("{} object", object.type_name());
}

Value missing(Evaluator& evaluator, const Value& object, const Value& key) {
    UndefinedReason reason{.object = describe(object)};
    if (const Text* name = key.as_text()) {
        reason.name = std::string(name->bytes());
    } else {
        TextBuilder builder(evaluator.budget());
        append_repr(builder, key);
        reason.name = std::string(builder.take().bytes());
        reason.is_attribute = false;
    }
    return {std::make_shared<const UndefinedReason>(std::move(reason))};
}

/// The place of an element; nullopt if there is none.
std::optional<std::size_t> place(Integer index, std::size_t size) {
    const auto count = static_cast<Integer>(size);
    if (index < 0) index += count;
    return index >= 0 && index < count ? std::optional(static_cast<std::size_t>(index)) : std::nullopt;
}

std::optional<Value> character_of(Evaluator& evaluator, const Text& text, Integer index) {
    const std::string_view bytes = text.bytes();
    evaluator.budget().spend_text(text.size());
    const auto found = place(index, count_characters(bytes));
    if (!found) return std::nullopt;
    const std::size_t begin = byte_offset(bytes, *found);
    return Value(part_of(evaluator.budget(), text, begin, character_at(bytes, begin).end));
}

/// What is found under `key` itself.
std::optional<Value> element(Evaluator& evaluator, const Value& object, const Value& key) {
    if (const Dict* dict = object.as_dict()) {
        if (!is_hashable(key)) return std::nullopt;
        if (key.as_text() == nullptr) evaluator.budget().spend(1 + dict->size());
        const Value* found = dict->find(key);
        return found == nullptr ? std::nullopt : std::optional(*found);
    }
    const auto index = key.as_integer();
    if (!index) return std::nullopt;
    if (const Text* text = object.as_text()) return character_of(evaluator, *text, *index);
    const Sequence* sequence = object.as_sequence();
    if (sequence == nullptr || sequence->is_view()) return std::nullopt;
    const auto found = place(*index, sequence->items().size());
    return found ? std::optional(sequence->items()[*found]) : std::nullopt;
}

/// Python's slice bounds, brought into range for a length.
struct Bounds {
    std::int64_t start, stop, step;
    std::size_t count;  // of elements
};

Result<std::optional<Integer>> bound(Evaluator& evaluator, const Value& value) {
    if (value.is_none()) return std::optional<Integer>();
    const auto integer = value.as_integer();
    if (integer) return std::optional(std::clamp<Integer>(*integer, -(Integer{1} << 62), Integer{1} << 62));
    PUNA_CHECK(evaluator.require_defined(value));
    return evaluator.fail("slice indices must be integers or None or have an __index__ method");
}

Result<Bounds> bounds_for(Evaluator& evaluator, std::size_t length, const Value& start, const Value& stop,
                          const Value& step) {
    PUNA_TRY(const auto first, bound(evaluator, start));
    PUNA_TRY(const auto last, bound(evaluator, stop));
    PUNA_TRY(const auto by, bound(evaluator, step));
    if (by && *by == 0) return evaluator.fail("slice step cannot be zero");
    const auto size = static_cast<Integer>(length);
    const bool backwards = by && *by < 0;
    const Integer lowest = backwards ? -1 : 0;
    const Integer highest = backwards ? size - 1 : size;
    const auto adjust = [&](const std::optional<Integer>& index, Integer otherwise) {
        if (!index) return otherwise;
        return std::clamp(*index < 0 ? *index + size : *index, lowest, highest);
    };
    Bounds bounds{};
    bounds.start = static_cast<std::int64_t>(adjust(first, backwards ? highest : lowest));
    bounds.stop = static_cast<std::int64_t>(adjust(last, backwards ? lowest : highest));
    bounds.step = static_cast<std::int64_t>(by.value_or(1));
    const std::int64_t distance = backwards ? bounds.start - bounds.stop : bounds.stop - bounds.start;
    const std::int64_t stride = backwards ? -bounds.step : bounds.step;
    if (distance > 0) bounds.count = static_cast<std::size_t>((distance - 1) / stride) + 1;
    return bounds;
}

Value slice_text(Evaluator& evaluator, const Text& text, const Bounds& bounds) {
    const std::string_view bytes = text.bytes();
    TextBuilder builder(evaluator.budget());
    if (bounds.step == 1) {
        const std::size_t begin = byte_offset(bytes, static_cast<std::size_t>(bounds.start));
        builder.append(text, begin, begin + byte_offset(bytes.substr(begin), bounds.count));
    } else {
        if (!evaluator.budget().spend(2 * bytes.size())) return {};  // an offset for each character
        const std::vector<std::size_t> offsets = character_offsets(bytes);
        for (std::size_t i = 0; i < bounds.count && !evaluator.budget().exhausted(); ++i) {
            const auto index = static_cast<std::size_t>(bounds.start + static_cast<std::int64_t>(i) * bounds.step);
            builder.append(text, offsets[index], offsets[index + 1]);
        }
    }
    return {builder.take_shared()};
}

Value slice_sequence(Evaluator& evaluator, const Sequence& sequence, const Bounds& bounds) {
    std::vector<Value> items;
    if (evaluator.budget().spend_items(bounds.count)) items.reserve(bounds.count);
    for (std::size_t i = 0; i < bounds.count && !evaluator.budget().exhausted(); ++i) {
        items.push_back(
            sequence.items()[static_cast<std::size_t>(bounds.start + static_cast<std::int64_t>(i) * bounds.step)]);
    }
    Range range = sequence.range();
    if (sequence.kind() == Sequence::Kind::range) {
        const Integer first = range.start;
        range = {first + range.step * bounds.start, first + range.step * bounds.stop, range.step * bounds.step};
    }
    const auto kind = sequence.kind() == Sequence::Kind::group ? Sequence::Kind::tuple : sequence.kind();
    return {std::make_shared<const Sequence>(kind, std::move(items), range)};
}

SequencePtr characters_of(Evaluator& evaluator, const Text& text) {
    std::vector<Value> items;
    for (std::size_t i = 0; i < text.size() && evaluator.budget().spend_items(1);) {
        const std::size_t end = character_at(text.bytes(), i).end;
        items.emplace_back(part_of(evaluator.budget(), text, i, end));
        i = end;
    }
    return std::make_shared<const Sequence>(Sequence::Kind::list, std::move(items));
}

SequencePtr keys_of(Evaluator& evaluator, const Dict& dict) {
    std::vector<Value> keys;
    if (evaluator.budget().spend_items(dict.size())) {
        for (const auto& [key, value] : dict.entries())
            keys.push_back(key);
    }
    return std::make_shared<const Sequence>(Sequence::Kind::list, std::move(keys));
}

}  // namespace

Result<std::optional<Value>> own_attribute(Evaluator& evaluator, const Value& object, std::string_view name) {
    PUNA_CHECK(evaluator.require_defined(object));
    if (Object* thing = object.as_object()) return thing->attribute(evaluator, name);
    if (const Sequence* sequence = object.as_sequence();
        sequence != nullptr && sequence->kind() == Sequence::Kind::group) {
        if (name == "grouper") return std::optional(sequence->items()[0]);
        if (name == "list") return std::optional(sequence->items()[1]);
    }
    return find_method(object, name);
}

Result<Value> get_attribute(Evaluator& evaluator, const Value& object, std::string_view name) {
    PUNA_TRY(std::optional<Value> own, own_attribute(evaluator, object, name));
    if (own) return *std::move(own);
    if (const Dict* dict = object.as_dict()) {
        if (const Value* found = dict->find(name)) return *found;
    }
    return missing(evaluator, object, Value::trusted(std::string(name)));
}

Result<Value> get_item(Evaluator& evaluator, const Value& object, const Value& key) {
    PUNA_CHECK(evaluator.require_defined(object));
    if (auto found = element(evaluator, object, key)) return *std::move(found);
    if (const Text* name = key.as_text()) {
        PUNA_TRY(std::optional<Value> own, own_attribute(evaluator, object, name->bytes()));
        if (own) return *std::move(own);
    }
    return missing(evaluator, object, key);
}

Result<Value> get_slice(Evaluator& evaluator, const Value& object, const Value& start, const Value& stop,
                        const Value& step) {
    PUNA_CHECK(evaluator.require_defined(object));
    if (const Text* text = object.as_text()) {
        evaluator.budget().spend_text(text->size());
        PUNA_TRY(const Bounds bounds, bounds_for(evaluator, count_characters(text->bytes()), start, stop, step));
        return slice_text(evaluator, *text, bounds);
    }
    const Sequence* sequence = object.as_sequence();
    if (sequence != nullptr && !sequence->is_view()) {
        PUNA_TRY(const Bounds bounds, bounds_for(evaluator, sequence->items().size(), start, stop, step));
        return slice_sequence(evaluator, *sequence, bounds);
    }
    if (object.as_dict() != nullptr) return evaluator.fail("unhashable type: 'slice'");
    return evaluator.fail(fmt::format("'{}' object is not subscriptable", object.type_name()));
}

Result<IteratorPtr> iterate(Evaluator& evaluator, const Value& value) {
    if (value.as_iterator() != nullptr) return value.iterator();
    SequencePtr source;
    std::string_view type_name = "list_iterator";
    if (value.as_sequence() != nullptr) {
        source = value.sequence();
    } else if (const Dict* dict = value.as_dict()) {
        source = keys_of(evaluator, *dict);
    } else if (const Text* text = value.as_text()) {
        source = characters_of(evaluator, *text);
    } else if (value.is_undefined()) {
        source = std::make_shared<const Sequence>(Sequence::Kind::list, std::vector<Value>{});
    } else {
        return evaluator.fail(fmt::format("'{}' object is not iterable", value.type_name()));
    }
    return std::make_shared<Iterator>(std::move(source), type_name);
}

Result<std::vector<Value>> to_vector(Evaluator& evaluator, const Value& value) {
    PUNA_TRY(const IteratorPtr iterator, iterate(evaluator, value));
    std::vector<Value> items;
    if (!evaluator.budget().spend_items(iterator->left())) return items;
    items.reserve(iterator->left());
    while (const Value* item = iterator->next())
        items.push_back(*item);
    return items;
}

Result<std::size_t> length_of(Evaluator& evaluator, const Value& value) {
    if (const Text* text = value.as_text()) {
        evaluator.budget().spend_text(text->size());
        return count_characters(text->bytes());
    }
    if (const Sequence* sequence = value.as_sequence()) return sequence->items().size();
    if (const Dict* dict = value.as_dict()) return dict->size();
    if (value.is_undefined()) return std::size_t{0};
    return evaluator.fail(fmt::format("object of type '{}' has no len()", value.type_name()));
}

Value make_iterator(std::vector<Value> items, std::string_view type_name) {
    auto source = std::make_shared<const Sequence>(Sequence::Kind::list, std::move(items));
    return {std::make_shared<Iterator>(std::move(source), type_name)};
}

}  // namespace puna::text::jinja
