#include <fmt/format.h>

#include <utility>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/evaluator.h"
#include "text/chat_template/functions.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/python_format.h"

namespace puna::text::jinja {

/// Counts one level of evaluation as long as it lives.
class Evaluator::Nesting {
  public:
    explicit Nesting(Evaluator& evaluator) : evaluator_(evaluator) { ++evaluator_.depth_; }
    ~Nesting() { --evaluator_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

  private:
    Evaluator& evaluator_;
};

Result<Value> Evaluator::evaluate(const Expression& expression, const ScopePtr& scope) {
    const std::size_t line_around = std::exchange(line_, expression.line);
    PUNA_CHECK(enter());
    const Nesting nesting(*this);
    auto value = std::visit([&](const auto& node) { return run(node, scope); }, expression.node);
    if (!value.ok()) return value;
    if (budget_.exhausted()) return fail("the template takes too many steps");
    if (value->depth() > max_value_depth) return fail("a value is nested too deeply");
    line_ = line_around;
    return value;
}

Result<Value> Evaluator::run(const Literal& node, const ScopePtr&) {
    return node.value;
}

Result<Value> Evaluator::run(const Name& node, const ScopePtr& scope) {
    if (const Value* value = scope->find(node.name)) return *value;
    if (const Value* value = variables_.find(node.name)) return *value;
    if (auto function = find_global(node.name, now_ != nullptr)) return *std::move(function);
    return Value::undefined_variable(node.name);
}

Result<Value> Evaluator::run(const ListLiteral& node, const ScopePtr& scope) {
    budget_.spend_items(node.items.size());
    std::vector<Value> items;
    items.reserve(node.items.size());
    for (const ExpressionPtr& item : node.items) {
        PUNA_TRY(Value value, evaluate(*item, scope));
        items.push_back(std::move(value));
    }
    return node.is_tuple ? Value::tuple(std::move(items)) : Value::list(std::move(items));
}

Result<Value> Evaluator::run(const DictLiteral& node, const ScopePtr& scope) {
    budget_.spend_items(node.entries.size());
    auto dict = std::make_shared<Dict>();
    for (const auto& [key_node, value_node] : node.entries) {
        PUNA_TRY(Value key, evaluate(*key_node, scope));
        PUNA_TRY(Value value, evaluate(*value_node, scope));
        if (!is_hashable(key)) return fail(fmt::format("unhashable type: '{}'", key.type_name()));
        if (key.as_text() == nullptr) budget_.spend(1 + dict->size());  // keys are compared in turn
        dict->set(std::move(key), std::move(value));
    }
    return Value(DictPtr(std::move(dict)));
}

Result<Value> Evaluator::run(const Unary& node, const ScopePtr& scope) {
    PUNA_TRY(const Value operand, evaluate(*node.operand, scope));
    if (node.op == UnaryOperator::logical_not) return Value(!operand.truthy());
    PUNA_CHECK(require_defined(operand));
    const bool negative = node.op == UnaryOperator::minus;
    if (const double* number = operand.as_float()) return Value(negative ? -*number : *number);
    if (const auto integer = operand.as_integer()) {
        Integer result = *integer;
        if (negative && __builtin_sub_overflow(Integer{0}, *integer, &result)) return fail(integer_overflow);
        return Value(result);
    }
    return fail(fmt::format("bad operand type for unary {}: '{}'", negative ? '-' : '+', operand.type_name()));
}

Result<Value> Evaluator::run(const Binary& node, const ScopePtr& scope) {
    PUNA_TRY(const Value left, evaluate(*node.left, scope));
    PUNA_TRY(const Value right, evaluate(*node.right, scope));
    return apply(*this, node.op, left, right);
}

Result<Value> Evaluator::run(const Logical& node, const ScopePtr& scope) {
    PUNA_TRY(Value left, evaluate(*node.left, scope));
    if (left.truthy() != node.is_and) return left;
    return evaluate(*node.right, scope);
}

Result<Value> Evaluator::run(const Comparison& node, const ScopePtr& scope) {
    PUNA_TRY(Value left, evaluate(*node.first, scope));
    for (const auto& [op, operand] : node.rest) {
        PUNA_TRY(Value right, evaluate(*operand, scope));
        PUNA_TRY(const bool holds, compare(*this, op, left, right));
        if (!holds) return Value(false);
        left = std::move(right);
    }
    return Value(true);
}

Result<Value> Evaluator::run(const Concatenation& node, const ScopePtr& scope) {
    TextBuilder builder(budget_);
    for (const ExpressionPtr& part : node.parts) {
        PUNA_TRY(const Value value, evaluate(*part, scope));
        append_str(builder, value);
    }
    return Value(builder.take_shared());
}

Result<Value> Evaluator::run(const Conditional& node, const ScopePtr& scope) {
    PUNA_TRY(const Value condition, evaluate(*node.condition, scope));
    if (condition.truthy()) return evaluate(*node.then, scope);
    if (node.otherwise) return evaluate(*node.otherwise, scope);
    return Value::undefined(
        fmt::format("the inline if-expression on line {} evaluated to false and no else section was defined.",
                    node.condition->line));
}

Result<Value> Evaluator::run(const Attribute& node, const ScopePtr& scope) {
    PUNA_TRY(const Value object, evaluate(*node.object, scope));
    return get_attribute(*this, object, node.name);
}

Result<Value> Evaluator::run(const Subscript& node, const ScopePtr& scope) {
    PUNA_TRY(const Value object, evaluate(*node.object, scope));
    PUNA_TRY(const Value index, evaluate(*node.index, scope));
    return get_item(*this, object, index);
}

Result<Value> Evaluator::run(const Slice& node, const ScopePtr& scope) {
    PUNA_TRY(const Value object, evaluate(*node.object, scope));
    Value bounds[3];
    const ExpressionPtr* nodes[3] = {&node.start, &node.stop, &node.step};
    for (std::size_t i = 0; i < 3; ++i) {
        if (!*nodes[i]) continue;
        PUNA_TRY(bounds[i], evaluate(**nodes[i], scope));
    }
    return get_slice(*this, object, bounds[0], bounds[1], bounds[2]);
}

Result<Value> Evaluator::run(const Call& node, const ScopePtr& scope) {
    return evaluate_call(node, scope, nullptr);
}

/// `caller`: the body of a `call` block, or null.
Result<Value> Evaluator::evaluate_call(const Call& node, const ScopePtr& scope, const Value* caller) {
    PUNA_TRY(const Value callee, evaluate(*node.callee, scope));
    PUNA_TRY(Arguments arguments, evaluate_arguments(node.arguments, scope));
    if (caller != nullptr) arguments.named.emplace_back("caller", *caller);
    return call(callee, arguments);
}

Result<Value> Evaluator::run(const Filtered& node, const ScopePtr& scope) {
    PUNA_TRY(const Value subject, evaluate(*node.operand, scope));
    PUNA_TRY(const Arguments arguments, evaluate_arguments(node.filter.arguments, scope));
    line_ = node.filter.line;
    return apply_filter(node.filter.name, subject, arguments);
}

Result<Value> Evaluator::run(const Test& node, const ScopePtr& scope) {
    PUNA_TRY(const Value subject, evaluate(*node.operand, scope));
    PUNA_TRY(const Arguments arguments, evaluate_arguments(node.arguments, scope));
    PUNA_TRY(const bool holds, apply_test(node.name, subject, arguments));
    return Value(holds);
}

Result<Arguments> Evaluator::evaluate_arguments(const CallArguments& arguments, const ScopePtr& scope) {
    Arguments result;
    for (const ExpressionPtr& argument : arguments.positional) {
        PUNA_TRY(Value value, evaluate(*argument, scope));
        result.positional.push_back(std::move(value));
    }
    for (const auto& [name, argument] : arguments.named) {
        PUNA_TRY(Value value, evaluate(*argument, scope));
        result.named.emplace_back(name, std::move(value));
    }
    if (arguments.spread_list) {
        PUNA_TRY(const Value list, evaluate(*arguments.spread_list, scope));
        PUNA_TRY(const std::vector<Value> items, to_vector(*this, list));
        result.positional.insert(result.positional.end(), items.begin(), items.end());
    }
    if (arguments.spread_dict) {
        PUNA_TRY(const Value value, evaluate(*arguments.spread_dict, scope));
        const Dict* dict = value.as_dict();
        if (dict == nullptr) return fail("argument after ** must be a mapping");
        for (const auto& [key, item] : dict->entries()) {
            if (key.as_text() == nullptr) return fail("keywords must be strings");
            result.named.emplace_back(std::string(key.as_text()->bytes()), item);
        }
    }
    return result;
}

Result<Value> Evaluator::call(const Value& callee, const Arguments& arguments) {
    PUNA_CHECK(require_defined(callee));
    Object* object = callee.as_object();
    if (object == nullptr || !object->callable()) {
        return fail(fmt::format("'{}' object is not callable", callee.type_name()));
    }
    PUNA_CHECK(enter());
    const Nesting nesting(*this);
    return object->call(*this, arguments);
}

Result<void> Evaluator::enter() {
    if (!budget_.spend(1)) return fail("the template takes too many steps");
    if (depth_ >= limits_.depth) return fail("the template nests evaluations too deeply");
    return {};
}

}  // namespace puna::text::jinja
