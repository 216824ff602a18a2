#include "text/chat_template/macro.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/try.h"

namespace puna::text::jinja {
namespace {

using Named = std::vector<std::pair<std::string, Value>>;

std::optional<Value> take(Named& named, std::string_view name) {
    const auto found = std::ranges::find(named, name, [](const auto& entry) { return std::string_view(entry.first); });
    if (found == named.end()) return std::nullopt;
    Value value = std::move(found->second);
    named.erase(found);
    return value;
}

}  // namespace

Result<Value> MacroFunction::call(Evaluator& evaluator, const Arguments& arguments) {
    const auto scope = std::make_shared<Scope>(scope_);
    PUNA_CHECK(bind(evaluator, arguments, scope));
    TextBuilder out(evaluator.budget());
    PUNA_CHECK(evaluator.execute(definition_.body, scope, out));
    return Value(out.take_shared());
}

Result<void> MacroFunction::bind(Evaluator& evaluator, const Arguments& arguments, const ScopePtr& scope) const {
    const std::vector<std::string>& names = definition_.parameters;
    const std::size_t first_default = names.size() - definition_.defaults.size();
    Named named = arguments.named;
    std::vector<std::size_t> missing;
    for (std::size_t i = 0; i < names.size(); ++i) {
        std::optional<Value> value =
            i < arguments.positional.size() ? std::optional(arguments.positional[i]) : take(named, names[i]);
        if (!value) missing.push_back(i);
        scope->set(names[i], value ? *std::move(value)
                                   : Value::undefined(fmt::format("parameter '{}' was not provided", names[i])));
    }
    PUNA_CHECK(bind_rest(evaluator, arguments, std::move(named), scope));
    // Defaults see the arguments, and the defaults before them.
    for (const std::size_t i : missing) {
        if (i < first_default) continue;
        PUNA_TRY(Value value, evaluator.evaluate(*definition_.defaults[i - first_default], scope));
        scope->set(names[i], std::move(value));
    }
    return {};
}

/// What no parameter takes: `caller`, `kwargs` and `varargs`.
Result<void> MacroFunction::bind_rest(Evaluator& evaluator, const Arguments& arguments, Named named,
                                      const ScopePtr& scope) const {
    const std::vector<std::string>& names = definition_.parameters;
    const bool explicit_caller = std::ranges::find(names, "caller") != names.end();
    if (definition_.uses_caller && !explicit_caller) {
        std::optional<Value> caller = take(named, "caller");
        scope->set("caller", caller ? *std::move(caller) : Value::undefined("No caller defined"));
    }
    if (definition_.uses_kwargs) {
        auto rest = std::make_shared<Dict>();
        for (auto& [name, value] : named)
            rest->set(name, std::move(value));
        scope->set("kwargs", Value(DictPtr(std::move(rest))));
    } else if (!named.empty()) {
        if (std::ranges::any_of(named, [](const auto& entry) { return entry.first == "caller"; })) {
            return evaluator.fail(
                fmt::format("macro '{}' was invoked with two values for the special caller argument. "
                            "This is most likely a bug.",
                            definition_.name));
        }
        return evaluator.fail(
            fmt::format("macro '{}' takes no keyword argument '{}'", definition_.name, named.front().first));
    }
    std::vector<Value> rest;
    if (arguments.positional.size() > names.size()) {
        rest.assign(arguments.positional.begin() + static_cast<std::ptrdiff_t>(names.size()),
                    arguments.positional.end());
    }
    if (definition_.uses_varargs) {
        scope->set("varargs", Value::tuple(std::move(rest)));
    } else if (!rest.empty()) {
        return evaluator.fail(
            fmt::format("macro '{}' takes not more than {} argument(s)", definition_.name, names.size()));
    }
    return {};
}

Result<std::optional<Value>> MacroFunction::attribute(Evaluator&, std::string_view name) {
    if (name == "name") return std::optional(Value::trusted(definition_.name));
    return std::optional<Value>();
}

}  // namespace puna::text::jinja
