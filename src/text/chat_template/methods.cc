#include "text/chat_template/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/functions.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/python_format.h"

namespace puna::text::jinja {
namespace {

class BoundMethod final : public Object {
  public:
    BoundMethod(Value self, MethodPointer function) : self_(std::move(self)), function_(function) {}
    std::string_view type_name() const override { return "builtin_function_or_method"; }
    bool callable() const override { return true; }
    std::size_t depth() const override { return self_.depth(); }
    Result<Value> call(Evaluator& evaluator, const Arguments& arguments) override {
        if (const Text* text = self_.as_text()) evaluator.budget().spend_text(text->size());
        return function_(evaluator, self_, arguments);
    }
    Result<std::optional<Value>> attribute(Evaluator&, std::string_view) override { return std::optional<Value>(); }

  private:
    Value self_;
    MethodPointer function_;
};

Result<Value> get(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "get", arguments, {"key", "default"}, 1));
    const Value& key = *given[0];
    if (!is_hashable(key)) return evaluator.fail(fmt::format("unhashable type: '{}'", key.type_name()));
    if (key.as_text() == nullptr) evaluator.budget().spend(1 + self.as_dict()->size());
    const Value* found = self.as_dict()->find(key);
    return found == nullptr ? given.or_none(1) : *found;
}

template <Sequence::Kind kind>
Result<Value> view(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "view", arguments, {}, 0));
    const Dict& dict = *self.as_dict();
    std::vector<Value> items;
    if (evaluator.budget().spend_items(dict.size())) {
        items.reserve(dict.size());
        for (const auto& [key, value] : dict.entries()) {
            if constexpr (kind == Sequence::Kind::keys) {
                items.push_back(key);
            } else if constexpr (kind == Sequence::Kind::values) {
                items.push_back(value);
            } else {
                items.push_back(Value::tuple({key, value}));
            }
        }
    }
    return Value(std::make_shared<const Sequence>(kind, std::move(items)));
}

Result<Value> copy(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "copy", arguments, {}, 0));
    return self;
}

Result<Value> count_in_list(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "count", arguments, {"value"}, 1));
    const auto found = std::ranges::count_if(self.as_sequence()->items(),
                                             [&](const Value& item) { return equal(evaluator, item, *given[0]); });
    return Value::integer(found);
}

Result<Value> index_in_list(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "index", arguments, {"value"}, 1));
    const std::vector<Value>& items = self.as_sequence()->items();
    const auto found =
        std::ranges::find_if(items, [&](const Value& item) { return equal(evaluator, item, *given[0]); });
    if (found == items.end()) return evaluator.fail("the value is not in the list");
    return Value::integer(found - items.begin());
}

constexpr std::array<Method, 5> dict_methods{{{"get", get},
                                              {"items", view<Sequence::Kind::items>},
                                              {"keys", view<Sequence::Kind::keys>},
                                              {"values", view<Sequence::Kind::values>},
                                              {"copy", copy}}};
constexpr std::array<Method, 3> list_methods{{{"count", count_in_list}, {"index", index_in_list}, {"copy", copy}}};

// What would change a value, which the sandbox that templates run in does not allow.
constexpr std::array<std::string_view, 5> dict_changes{"clear", "pop", "popitem", "setdefault", "update"};
constexpr std::array<std::string_view, 8> list_changes{"append", "clear",  "extend",  "insert",
                                                       "pop",    "remove", "reverse", "sort"};

std::optional<Value> bind_method(const Value& object, std::span<const Method> methods, std::string_view name) {
    const auto found = std::ranges::find(methods, name, &Method::name);
    if (found == methods.end()) return std::nullopt;
    return Value(ObjectPtr(std::make_shared<BoundMethod>(object, found->function)));
}

Value unsafe(const Value& object, std::string_view name) {
    return Value::undefined(
        fmt::format("access to attribute {} of '{}' object is unsafe.", quoted_for_message(name), object.type_name()));
}

bool holds_name(std::span<const std::string_view> names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
}

}  // namespace

std::optional<Value> find_method(const Value& object, std::string_view name) {
    // Python's own attributes.
    if (name.size() > 4 && name.starts_with("__") && name.ends_with("__")) return unsafe(object, name);
    if (object.as_text() != nullptr) {
        for (const auto methods : {text_search_methods(), text_case_methods(), text_form_methods()}) {
            if (auto method = bind_method(object, methods, name)) return method;
        }
        return std::nullopt;
    }
    if (object.as_dict() != nullptr) {
        if (holds_name(dict_changes, name)) return unsafe(object, name);
        return bind_method(object, dict_methods, name);
    }
    const Sequence* sequence = object.as_sequence();
    if (sequence == nullptr || sequence->is_view()) return std::nullopt;
    const bool is_list = sequence->kind() == Sequence::Kind::list;
    if (is_list && holds_name(list_changes, name)) return unsafe(object, name);
    return bind_method(object, std::span(list_methods).first(is_list ? 3 : 2), name);
}

}  // namespace puna::text::jinja
