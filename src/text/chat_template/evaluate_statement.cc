#include <fmt/format.h>

#include <algorithm>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/evaluator.h"
#include "text/chat_template/functions.h"
#include "text/chat_template/loop.h"
#include "text/chat_template/macro.h"
#include "text/chat_template/python_format.h"
#include "text/chat_template/token.h"

namespace puna::text::jinja {
namespace {

constexpr std::uint64_t price_of_keeping = 200;  // steps, for what stays in memory to the end

}  // namespace

void Scope::set(std::string_view name, Value value) {
    const auto found = std::ranges::find(variables, name, [](const auto& entry) { return entry.first; });
    if (found != variables.end()) {
        found->second = std::move(value);
    } else {
        variables.emplace_back(name, std::move(value));
    }
}

const Value* Scope::find(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->parent.get()) {
        for (const auto& [known, value] : scope->variables) {
            if (known == name) return &value;
        }
    }
    return nullptr;
}

Evaluator::Evaluator(const Dict& variables, const std::tm* now, const ChatTemplateLimits& limits)
    : variables_(variables), now_(now), limits_(limits), budget_(limits.steps) {}

Evaluator::~Evaluator() {
    for (const ScopePtr& scope : captured_scopes_) {
        scope->variables.clear();
        scope->parent.reset();
    }
    for (const auto& object : namespaces_)
        object->clear();
}

void Evaluator::adopt(std::shared_ptr<Namespace> object) {
    budget_.spend(price_of_keeping);
    namespaces_.push_back(std::move(object));
}

Error Evaluator::fail(std::string_view message) const {
    return template_error(ErrorCode::invalid_argument, line_, message,
                          "the conversation may not be what the model's chat template expects");
}

Result<void> Evaluator::require_defined(const Value& value) const {
    const UndefinedReason* reason = value.as_undefined();
    if (reason != nullptr) return fail(reason->message());
    return {};
}

Result<Text> Evaluator::render(const Block& block) {
    TextBuilder out(budget_);
    PUNA_CHECK(execute(block, std::make_shared<Scope>(nullptr), out));
    if (budget_.exhausted()) return fail("the template takes too many steps");
    return out.take();
}

Result<Flow> Evaluator::execute(const Block& block, const ScopePtr& scope, TextBuilder& out) {
    for (const Statement& statement : block) {
        line_ = statement.line;
        PUNA_CHECK(enter());
        ++depth_;
        auto flow = std::visit([&](const auto& node) { return run(node, scope, out); }, statement.node);
        --depth_;
        if (!flow.ok() || *flow != Flow::normal) return flow;
        if (out.size() > limits_.output_bytes) return fail("the template writes too much text");
    }
    return Flow::normal;
}

Result<void> Evaluator::assign(const Target& target, const Value& value, const ScopePtr& scope) {
    if (target.is_tuple) {
        PUNA_TRY(const std::vector<Value> items, to_vector(*this, value));
        if (items.size() != target.parts.size()) {
            const bool few = items.size() < target.parts.size();
            return fail(few ? fmt::format("not enough values to unpack (expected {}, got {})", target.parts.size(),
                                          items.size())
                            : fmt::format("too many values to unpack (expected {})", target.parts.size()));
        }
        for (std::size_t i = 0; i < items.size(); ++i)
            PUNA_CHECK(assign(target.parts[i], items[i], scope));
        return {};
    }
    if (target.attribute.empty()) {
        scope->set(target.name, value);
        return {};
    }
    const Value* holder = scope->find(target.name);
    auto* object = holder == nullptr ? nullptr : dynamic_cast<Namespace*>(holder->as_object());
    if (object == nullptr) return fail("cannot assign attribute on non-namespace object");
    return object->set(*this, Value::trusted(target.attribute), value);
}

Result<Flow> Evaluator::run(const Data& node, const ScopePtr&, TextBuilder& out) {
    out.append(node.text);
    return Flow::normal;
}

Result<Flow> Evaluator::run(const Print& node, const ScopePtr& scope, TextBuilder& out) {
    PUNA_TRY(const Value value, evaluate(*node.expression, scope));
    append_str(out, value);
    return Flow::normal;
}

Result<Flow> Evaluator::run(const If& node, const ScopePtr& scope, TextBuilder& out) {
    for (const auto& [condition, body] : node.branches) {
        PUNA_TRY(const Value value, evaluate(*condition, scope));
        if (value.truthy()) return execute(body, scope, out);
    }
    return execute(node.otherwise, scope, out);
}

Result<Flow> Evaluator::run(const For& node, const ScopePtr& scope, TextBuilder& out) {
    PUNA_TRY(const Value iterable, evaluate(*node.iterable, scope));
    if (!node.is_recursive) return run_loop(node, iterable, scope, 0, out);
    TextBuilder own(budget_);  // as a function, which is left by none of the statements around it
    PUNA_CHECK(run_loop(node, iterable, scope, 0, own));
    out.append(own.take());
    return Flow::normal;
}

Result<Flow> Evaluator::run_loop(const For& node, const Value& iterable, const ScopePtr& scope, std::size_t depth,
                                 TextBuilder& out) {
    PUNA_TRY(IteratorPtr source, iterate(*this, iterable));
    const auto loop = std::make_shared<Loop>(node, scope, std::move(source), depth);
    bool completed = false;  // whether one round went through to its end
    while (true) {
        PUNA_TRY(const Value* item, loop->advance(*this));
        if (item == nullptr) break;
        if (!budget_.spend(1)) return fail("the template takes too many steps");
        const auto round = std::make_shared<Scope>(scope);
        round->set("loop", Value(ObjectPtr(loop)));
        PUNA_CHECK(assign(node.target, *item, round));
        PUNA_TRY(const Flow flow, execute(node.body, round, out));
        if (flow == Flow::break_loop) break;
        completed = completed || flow == Flow::normal;
    }
    loop->release();
    // Jinja counts a round that `break` or `continue` left as none.
    if (completed || node.otherwise.empty()) return Flow::normal;
    return execute(node.otherwise, std::make_shared<Scope>(scope), out);
}

Result<Flow> Evaluator::run(const Set& node, const ScopePtr& scope, TextBuilder&) {
    PUNA_TRY(const Value value, evaluate(*node.value, scope));
    PUNA_CHECK(assign(node.target, value, scope));
    return Flow::normal;
}

Result<Flow> Evaluator::run(const SetBlock& node, const ScopePtr& scope, TextBuilder&) {
    TextBuilder own(budget_);
    PUNA_TRY(const Flow flow, execute(node.body, std::make_shared<Scope>(scope), own));
    if (flow != Flow::normal) return flow;
    PUNA_TRY(const Value value, filter_text(node.filters, own.take(), scope));
    PUNA_CHECK(assign(node.target, value, scope));
    return Flow::normal;
}

Result<Flow> Evaluator::run(const FilterBlock& node, const ScopePtr& scope, TextBuilder& out) {
    TextBuilder own(budget_);
    const auto inner = std::make_shared<Scope>(scope);
    PUNA_TRY(const Flow flow, execute(node.body, inner, own));
    if (flow != Flow::normal) return flow;
    PUNA_TRY(const Value value, filter_text(node.filters, own.take(), inner));
    append_str(out, value);
    return Flow::normal;
}

Result<Value> Evaluator::filter_text(const std::vector<FilterCall>& filters, Text text, const ScopePtr& scope) {
    Value value(std::make_shared<const Text>(std::move(text)));
    for (const FilterCall& filter : filters) {
        PUNA_TRY(const Arguments arguments, evaluate_arguments(filter.arguments, scope));
        line_ = filter.line;
        PUNA_TRY(value, apply_filter(filter.name, value, arguments));
    }
    return value;
}

Result<Flow> Evaluator::run(const With& node, const ScopePtr& scope, TextBuilder& out) {
    const auto inner = std::make_shared<Scope>(scope);
    for (const auto& [target, expression] : node.variables) {
        PUNA_TRY(const Value value, evaluate(*expression, scope));
        PUNA_CHECK(assign(target, value, inner));
    }
    return execute(node.body, inner, out);
}

Value Evaluator::make_macro(const MacroDefinition& definition, const ScopePtr& scope) {
    if (!scope->captured) {
        budget_.spend(price_of_keeping);
        captured_scopes_.push_back(scope);
    }
    scope->captured = true;
    return {ObjectPtr(std::make_shared<MacroFunction>(definition, scope))};
}

Result<Flow> Evaluator::run(const Macro& node, const ScopePtr& scope, TextBuilder&) {
    scope->set(node.definition.name, make_macro(node.definition, scope));
    return Flow::normal;
}

Result<Flow> Evaluator::run(const CallBlock& node, const ScopePtr& scope, TextBuilder& out) {
    const Value caller = make_macro(node.definition, scope);
    const auto& call_node = *std::get_if<Call>(&node.call->node);
    PUNA_TRY(const Value value, evaluate_call(call_node, scope, &caller));
    append_str(out, value);
    return Flow::normal;
}

Result<Flow> Evaluator::run(const Break&, const ScopePtr&, TextBuilder&) {
    return Flow::break_loop;
}

Result<Flow> Evaluator::run(const Continue&, const ScopePtr&, TextBuilder&) {
    return Flow::continue_loop;
}

}  // namespace puna::text::jinja
