// The methods of texts, lists and dictionaries.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "text/chat_template/evaluator.h"

namespace puna::text::jinja {

/// The method of that name, bound to `object`; undefined (with the reason) if templates may not call it; nullopt if the
/// type has none of that name.
std::optional<Value> find_method(const Value& object, std::string_view name);

using MethodPointer = Result<Value> (*)(Evaluator&, const Value& self, const Arguments&);
struct Method {
    std::string_view name;
    MethodPointer function;
};
/// The text that a method of texts is called on.
inline const Text& own_text(const Value& self) {
    return *self.as_text();
}

std::span<const Method> text_search_methods();
std::span<const Method> text_case_methods();
std::span<const Method> text_form_methods();

}  // namespace puna::text::jinja
