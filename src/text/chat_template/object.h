// Values with behaviour: functions, macros, namespaces, a loop's own variable.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "puna/error.h"
#include "text/chat_template/value.h"

namespace puna::text::jinja {

class Evaluator;

struct Arguments {
    std::vector<Value> positional;
    std::vector<std::pair<std::string, Value>> named;
};

class Object {
  public:
    Object() = default;
    virtual ~Object() = default;
    Object(const Object&) = delete;
    Object& operator=(const Object&) = delete;

    virtual std::string_view type_name() const = 0;
    virtual bool callable() const { return false; }
    /// Only where `callable`.
    virtual Result<Value> call(Evaluator& evaluator, const Arguments& arguments) = 0;
    /// Nullopt if it has none of that name.
    virtual Result<std::optional<Value>> attribute(Evaluator& evaluator, std::string_view name) = 0;
    /// How deep the values within it are nested, if it is immutable; what is mutable is held by the evaluator.
    virtual std::size_t depth() const { return 0; }
};

}  // namespace puna::text::jinja
