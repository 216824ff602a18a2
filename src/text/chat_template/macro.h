// What {% macro %} and {% call %} define.
#pragma once

#include <string_view>

#include "text/chat_template/evaluator.h"

namespace puna::text::jinja {

class MacroFunction final : public Object {
  public:
    /// `scope`: where it was defined, whose variables its body sees.
    MacroFunction(const MacroDefinition& definition, ScopePtr scope)
        : definition_(definition), scope_(std::move(scope)) {}

    std::string_view type_name() const override { return "Macro"; }
    bool callable() const override { return true; }
    Result<Value> call(Evaluator& evaluator, const Arguments& arguments) override;
    Result<std::optional<Value>> attribute(Evaluator& evaluator, std::string_view name) override;

  private:
    Result<void> bind(Evaluator& evaluator, const Arguments& arguments, const ScopePtr& scope) const;
    Result<void> bind_rest(Evaluator& evaluator, const Arguments& arguments,
                           std::vector<std::pair<std::string, Value>> named, const ScopePtr& scope) const;

    const MacroDefinition& definition_;
    ScopePtr scope_;
};

}  // namespace puna::text::jinja
