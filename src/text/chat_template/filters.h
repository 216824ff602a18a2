// Jinja's filters and tests.
#pragma once

#include <span>
#include <string_view>

#include "text/chat_template/evaluator.h"

namespace puna::text::jinja {

using FilterPointer = Result<Value> (*)(Evaluator&, const Value& subject, const Arguments&);
struct Filter {
    std::string_view name;
    FilterPointer function;
};
std::span<const Filter> text_filters();
std::span<const Filter> number_filters();
std::span<const Filter> list_filters();
std::span<const Filter> order_filters();
std::span<const Filter> selection_filters();

bool has_filter(std::string_view name);
bool has_test(std::string_view name);

/// What filters take for an attribute: a name, `a.b.0`, or an element's number. None is the value itself.
class AttributePath {
  public:
    /// `attribute` must outlive it.
    explicit AttributePath(const Value& attribute);
    Result<Value> get(Evaluator& evaluator, const Value& object) const;
    /// As get; `otherwise`, if it is not null, where a step leads to something undefined.
    Result<Value> get_or(Evaluator& evaluator, const Value& object, const Value* otherwise) const;

  private:
    std::vector<Value> steps_;
};

/// Texts in lower case, other values as they are: what comparisons that ignore case compare.
Value folded(Evaluator& evaluator, const Value& value);

}  // namespace puna::text::jinja
