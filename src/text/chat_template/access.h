// What lies within values: attributes, elements, lengths.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "text/chat_template/evaluator.h"

namespace puna::text::jinja {

/// `object.name`: methods first, then what the object holds under that name; else undefined.
Result<Value> get_attribute(Evaluator& evaluator, const Value& object, std::string_view name);
/// As get_attribute, without what a dictionary holds.
Result<std::optional<Value>> own_attribute(Evaluator& evaluator, const Value& object, std::string_view name);
/// `object[key]`: elements first, then attributes; else undefined.
Result<Value> get_item(Evaluator& evaluator, const Value& object, const Value& key);
/// `object[start:stop:step]`; bounds are none or integers.
Result<Value> get_slice(Evaluator& evaluator, const Value& object, const Value& start, const Value& stop,
                        const Value& step);
/// As `for` goes through it: an iterator is itself, the others begin anew. Text gives its characters.
Result<IteratorPtr> iterate(Evaluator& evaluator, const Value& value);
/// All that `iterate` gives.
Result<std::vector<Value>> to_vector(Evaluator& evaluator, const Value& value);
/// Python's `len`.
Result<std::size_t> length_of(Evaluator& evaluator, const Value& value);
/// A new iterator over `items`; `type_name` must live for ever.
Value make_iterator(std::vector<Value> items, std::string_view type_name = "generator");

}  // namespace puna::text::jinja
