// The values that templates work with: Python's, as far as they go.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "puna/error.h"
#include "text/chat_template/text.h"

namespace puna::text::jinja {

/// Wide enough for all that JSON readers give; where Python's integers would grow further, arithmetic is an error.
__extension__ using Integer = __int128;
__extension__ using UnsignedInteger = unsigned __int128;

class Value;
class Sequence;
class Dict;
class Object;
class Iterator;
using SequencePtr = std::shared_ptr<const Sequence>;
using DictPtr = std::shared_ptr<const Dict>;
using ObjectPtr = std::shared_ptr<Object>;
using IteratorPtr = std::shared_ptr<Iterator>;

/// What an undefined value says when it is used.
struct UndefinedReason {
    std::string object;        // type of what was asked, "dict object"; empty for a variable
    std::string name;          // what it was asked for
    bool is_attribute = true;  // else an element, and `name` is written as Python's repr
    std::string hint;          // takes the place of all that
    std::string message() const;
};
using UndefinedPtr = std::shared_ptr<const UndefinedReason>;

struct None {
    friend bool operator==(None, None) { return true; }
};

/// A value; cheap to copy, since what is large is shared. Immutable, but for iterators and objects.
class Value {
  public:
    Value() = default;  ///< none
    Value(None) {}
    template <std::same_as<bool> Bool>  // and nothing that converts to it
    Value(Bool value) : data_(value) {}
    Value(Integer value) : data_(value) {}
    Value(double value) : data_(value) {}
    Value(TextPtr value) : data_(std::move(value)) {}
    Value(SequencePtr value) : data_(std::move(value)) {}
    Value(DictPtr value) : data_(std::move(value)) {}
    Value(ObjectPtr value) : data_(std::move(value)) {}
    Value(IteratorPtr value) : data_(std::move(value)) {}
    Value(UndefinedPtr value) : data_(std::move(value)) {}

    static Value integer(std::int64_t value) { return {static_cast<Integer>(value)}; }
    static Value size(std::size_t value) { return {static_cast<Integer>(value)}; }
    /// Text from outside.
    static Value input(std::string text);
    /// Text that counts as the template's own: its literals, the begin and end tokens.
    static Value trusted(std::string text);
    static Value list(std::vector<Value> items);
    static Value tuple(std::vector<Value> items);
    static Value undefined(std::string hint);
    static Value undefined_variable(std::string_view name);

    bool is_none() const { return std::holds_alternative<None>(data_); }
    bool is_undefined() const { return std::holds_alternative<UndefinedPtr>(data_); }
    bool is_number() const { return as_integer().has_value() || as_float() != nullptr; }

    // Null if it is something else.
    const bool* as_bool() const { return std::get_if<bool>(&data_); }
    const double* as_float() const { return std::get_if<double>(&data_); }
    const Text* as_text() const { return get<TextPtr>(); }
    const Sequence* as_sequence() const { return get<SequencePtr>(); }
    const Dict* as_dict() const { return get<DictPtr>(); }
    Object* as_object() const { return get<ObjectPtr>(); }
    Iterator* as_iterator() const { return get<IteratorPtr>(); }
    const UndefinedReason* as_undefined() const { return get<UndefinedPtr>(); }

    /// Integers, and booleans, which Python counts among them.
    std::optional<Integer> as_integer() const;
    /// An integer that is no boolean.
    bool is_plain_integer() const { return std::holds_alternative<Integer>(data_); }
    std::optional<double> to_float() const;

    // The shared parts; only where the accessor above is not null.
    const TextPtr& text() const { return *std::get_if<TextPtr>(&data_); }
    const SequencePtr& sequence() const { return *std::get_if<SequencePtr>(&data_); }
    const DictPtr& dict() const { return *std::get_if<DictPtr>(&data_); }
    const ObjectPtr& object() const { return *std::get_if<ObjectPtr>(&data_); }
    const IteratorPtr& iterator() const { return *std::get_if<IteratorPtr>(&data_); }

    bool truthy() const;
    /// Python's name of the type: "str", "NoneType".
    std::string_view type_name() const;
    /// Lists within lists: 0 for what holds no other values.
    std::size_t depth() const;
    /// The same object (or, of what has no identity here, the same kind and value).
    bool is_same(const Value& other) const { return data_ == other.data_; }

  private:
    template <typename Pointer>
    auto get() const -> decltype(std::declval<Pointer>().get()) {
        const auto* pointer = std::get_if<Pointer>(&data_);
        return pointer == nullptr ? nullptr : pointer->get();
    }

    std::variant<None, bool, Integer, double, TextPtr, SequencePtr, DictPtr, ObjectPtr, IteratorPtr, UndefinedPtr>
        data_;
};

/// What `range` was called with.
struct Range {
    Integer start = 0, stop = 0, step = 1;
};

/// Lists and what else has a length and elements in order.
class Sequence {
  public:
    enum class Kind : std::uint8_t { list, tuple, group, range, keys, values, items };
    Sequence(Kind kind, std::vector<Value> items, Range range = {});

    Kind kind() const { return kind_; }
    const std::vector<Value>& items() const { return items_; }
    const Range& range() const { return range_; }
    std::size_t depth() const { return depth_; }
    /// A tuple or one of groupby's pairs.
    bool is_tuple() const { return kind_ == Kind::tuple || kind_ == Kind::group; }
    /// A view of a dictionary: no element can be asked for by its place.
    bool is_view() const { return kind_ >= Kind::keys; }

  private:
    Kind kind_;
    std::size_t depth_;
    std::vector<Value> items_;
    Range range_;  // of kind range
};

/// Keeps the order in which keys came first.
class Dict {
  public:
    using Entry = std::pair<Value, Value>;

    /// Keys must be hashable; a key that is there already gets the new value.
    void set(Value key, Value value);
    void set(std::string_view key, Value value) { set(Value::trusted(std::string(key)), std::move(value)); }
    /// Null if absent.
    const Value* find(const Value& key) const;
    const Value* find(std::string_view key) const;

    const std::vector<Entry>& entries() const { return entries_; }
    std::size_t size() const { return entries_.size(); }
    std::size_t depth() const { return depth_; }

  private:
    std::optional<std::size_t> index_of(const Value& key) const;

    std::vector<Entry> entries_;
    std::unordered_map<std::string_view, std::size_t> text_keys_;  // into entries_, whose keys are shared and stay
    std::size_t depth_ = 1;
};

/// Whether a dictionary can have `value` for a key.
bool is_hashable(const Value& value);
/// Equality of what is hashable. Text is equal whatever its origin.
bool equal_keys(const Value& a, const Value& b);

/// What gives its elements once, one after the other.
class Iterator {
  public:
    /// `type_name` must live for ever.
    Iterator(SequencePtr source, std::string_view type_name) : source_(std::move(source)), type_name_(type_name) {}

    /// Null at the end; valid until the iterator goes.
    const Value* next() { return position_ < source_->items().size() ? &source_->items()[position_++] : nullptr; }
    std::size_t left() const { return source_->items().size() - position_; }
    std::string_view type_name() const { return type_name_; }
    std::size_t depth() const { return source_->depth(); }

  private:
    SequencePtr source_;
    std::size_t position_ = 0;
    std::string_view type_name_;
};

}  // namespace puna::text::jinja
