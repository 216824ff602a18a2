// The global functions, and arguments as functions take them.
#pragma once

#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include "text/chat_template/evaluator.h"

namespace puna::text::jinja {

/// Arguments by their parameters' places.
class Parameters {
  public:
    /// `names` in order; the first `required` must be given. An error names `function`.
    static Result<Parameters> bind(Evaluator& evaluator, std::string_view function, const Arguments& arguments,
                                   std::initializer_list<std::string_view> names, std::size_t required);

    /// Null if not given.
    const Value* operator[](std::size_t index) const { return values_[index] ? &*values_[index] : nullptr; }
    /// As above, with none for what is not given.
    Value or_none(std::size_t index) const { return values_[index].value_or(Value()); }
    /// A truth value; `otherwise` if not given.
    bool flag(std::size_t index, bool otherwise) const { return values_[index] ? values_[index]->truthy() : otherwise; }
    /// An integer; `otherwise` if not given. Far numbers are cut to a 62-bit range.
    Result<std::int64_t> integer(Evaluator& evaluator, std::size_t index, std::int64_t otherwise) const;

  private:
    std::vector<std::optional<Value>> values_;
};

/// Attributes that a template may assign to.
class Namespace final : public Object {
  public:
    std::string_view type_name() const override { return "Namespace"; }
    Result<Value> call(Evaluator& evaluator, const Arguments& arguments) override;
    Result<std::optional<Value>> attribute(Evaluator& evaluator, std::string_view name) override;
    Result<void> set(Evaluator& evaluator, const Value& name, Value value);
    void clear() { attributes_ = Dict(); }

  private:
    Dict attributes_;
};

/// range, dict, namespace, raise_exception and, if `has_time`, strftime_now.
std::optional<Value> find_global(std::string_view name, bool has_time);

}  // namespace puna::text::jinja
