#include "text/chat_template/value.h"

#include <algorithm>
#include <cmath>

#include "text/chat_template/object.h"

namespace puna::text::jinja {
namespace {

std::size_t depth_of(const std::vector<Value>& items) {
    std::size_t depth = 0;
    for (const Value& item : items)
        depth = std::max(depth, item.depth());
    return depth + 1;
}

/// Whether the integer is exactly the number.
bool equal_numbers(Integer integer, double number) {
    constexpr double limit = 0x1p126;
    return std::fabs(number) < limit && std::trunc(number) == number && static_cast<Integer>(number) == integer;
}

}  // namespace

std::string UndefinedReason::message() const {
    if (!hint.empty()) return hint;
    if (object.empty()) return "'" + name + "' is undefined";
    if (is_attribute) return "'" + object + "' has no attribute '" + name + "'";
    return object + " has no element " + name;
}

Value Value::input(std::string text) {
    return {std::make_shared<const Text>(std::move(text), Origin::input)};
}

Value Value::trusted(std::string text) {
    return {std::make_shared<const Text>(std::move(text), Origin::templ)};
}

Value Value::list(std::vector<Value> items) {
    return {std::make_shared<const Sequence>(Sequence::Kind::list, std::move(items))};
}

Value Value::tuple(std::vector<Value> items) {
    return {std::make_shared<const Sequence>(Sequence::Kind::tuple, std::move(items))};
}

Value Value::undefined(std::string hint) {
    return {std::make_shared<const UndefinedReason>(UndefinedReason{.hint = std::move(hint)})};
}

Value Value::undefined_variable(std::string_view name) {
    return {std::make_shared<const UndefinedReason>(UndefinedReason{.name = std::string(name)})};
}

std::optional<Integer> Value::as_integer() const {
    if (const auto* integer = std::get_if<Integer>(&data_)) return *integer;
    if (const bool* flag = as_bool()) return *flag ? 1 : 0;
    return std::nullopt;
}

std::optional<double> Value::to_float() const {
    if (const double* number = as_float()) return *number;
    if (const auto integer = as_integer()) return static_cast<double>(*integer);
    return std::nullopt;
}

bool Value::truthy() const {
    if (const auto integer = as_integer()) return *integer != 0;
    if (const double* number = as_float()) return *number != 0;
    if (const Text* text = as_text()) return text->size() != 0;
    if (const Sequence* sequence = as_sequence()) return !sequence->items().empty();
    if (const Dict* dict = as_dict()) return dict->size() != 0;
    return as_object() != nullptr || as_iterator() != nullptr;
}

std::string_view Value::type_name() const {
    if (is_none()) return "NoneType";
    if (as_bool() != nullptr) return "bool";
    if (is_plain_integer()) return "int";
    if (as_float() != nullptr) return "float";
    if (as_text() != nullptr) return "str";
    if (as_dict() != nullptr) return "dict";
    if (const Object* object = as_object()) return object->type_name();
    if (const Iterator* iterator = as_iterator()) return iterator->type_name();
    if (const Sequence* sequence = as_sequence()) {
        switch (sequence->kind()) {
            case Sequence::Kind::list: return "list";
            case Sequence::Kind::tuple: return "tuple";
            case Sequence::Kind::group: return "_GroupTuple";
            case Sequence::Kind::range: return "range";
            case Sequence::Kind::keys: return "dict_keys";
            case Sequence::Kind::values: return "dict_values";
            case Sequence::Kind::items: return "dict_items";
        }
    }
    return "Undefined";
}

std::size_t Value::depth() const {
    if (const Sequence* sequence = as_sequence()) return sequence->depth();
    if (const Dict* dict = as_dict()) return dict->depth();
    if (const Iterator* iterator = as_iterator()) return iterator->depth();
    if (const Object* object = as_object()) return object->depth();
    return 0;
}

Sequence::Sequence(Kind kind, std::vector<Value> items, Range range)
    : kind_(kind), depth_(depth_of(items)), items_(std::move(items)), range_(range) {}

bool is_hashable(const Value& value) {
    if (value.as_dict() != nullptr) return false;
    const Sequence* sequence = value.as_sequence();
    if (sequence == nullptr || sequence->kind() == Sequence::Kind::range) return true;
    return sequence->is_tuple() && std::ranges::all_of(sequence->items(), is_hashable);
}

bool equal_keys(const Value& a, const Value& b) {
    if (a.as_text() != nullptr && b.as_text() != nullptr) return a.as_text()->bytes() == b.as_text()->bytes();
    const auto integer_a = a.as_integer();
    const auto integer_b = b.as_integer();
    if (integer_a && integer_b) return *integer_a == *integer_b;
    if (integer_a && b.as_float() != nullptr) return equal_numbers(*integer_a, *b.as_float());
    if (integer_b && a.as_float() != nullptr) return equal_numbers(*integer_b, *a.as_float());
    const Sequence* sequence_a = a.as_sequence();
    const Sequence* sequence_b = b.as_sequence();
    if (sequence_a != nullptr && sequence_b != nullptr) {
        return sequence_a->is_tuple() && sequence_b->is_tuple() &&
               std::ranges::equal(sequence_a->items(), sequence_b->items(), equal_keys);
    }
    return a.is_same(b) || (a.is_undefined() && b.is_undefined());
}

void Dict::set(Value key, Value value) {
    depth_ = std::max({depth_, key.depth() + 1, value.depth() + 1});
    if (const auto index = index_of(key)) {
        entries_[*index].second = std::move(value);
        return;
    }
    if (const Text* text = key.as_text()) text_keys_.emplace(text->bytes(), entries_.size());
    entries_.emplace_back(std::move(key), std::move(value));
}

const Value* Dict::find(const Value& key) const {
    const auto index = index_of(key);
    return index ? &entries_[*index].second : nullptr;
}

const Value* Dict::find(std::string_view key) const {
    const auto found = text_keys_.find(key);
    return found == text_keys_.end() ? nullptr : &entries_[found->second].second;
}

std::optional<std::size_t> Dict::index_of(const Value& key) const {
    if (const Text* text = key.as_text()) {
        const auto found = text_keys_.find(text->bytes());
        return found == text_keys_.end() ? std::nullopt : std::optional(found->second);
    }
    if (text_keys_.size() == entries_.size()) return std::nullopt;  // all keys are texts
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        if (equal_keys(entries_[i].first, key)) return i;
    }
    return std::nullopt;
}

}  // namespace puna::text::jinja
