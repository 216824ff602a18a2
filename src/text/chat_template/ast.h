// A template as a tree. Expressions and statements know the line where they began.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text/chat_template/value.h"

namespace puna::text::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

/// What stands between the parentheses of a call.
struct CallArguments {
    std::vector<ExpressionPtr> positional;
    std::vector<std::pair<std::string, ExpressionPtr>> named;
    ExpressionPtr spread_list;  // *list; may be null
    ExpressionPtr spread_dict;  // **dict; may be null
};

enum class UnaryOperator : std::uint8_t { logical_not, minus, plus };
enum class BinaryOperator : std::uint8_t { add, subtract, multiply, divide, floor_divide, modulo, power };
enum class CompareOperator : std::uint8_t { equal, not_equal, less, less_equal, greater, greater_equal, in, not_in };

struct Literal {
    Value value;
};
struct Name {
    std::string name;
};
struct ListLiteral {
    std::vector<ExpressionPtr> items;
    bool is_tuple;
};
struct DictLiteral {
    std::vector<std::pair<ExpressionPtr, ExpressionPtr>> entries;
};
struct Unary {
    UnaryOperator op;
    ExpressionPtr operand;
};
struct Binary {
    BinaryOperator op;
    ExpressionPtr left, right;
};
/// `and` and `or`, which yield one of their operands.
struct Logical {
    bool is_and;
    ExpressionPtr left, right;
};
/// a < b <= c
struct Comparison {
    ExpressionPtr first;
    std::vector<std::pair<CompareOperator, ExpressionPtr>> rest;
};
/// a ~ b ~ c
struct Concatenation {
    std::vector<ExpressionPtr> parts;
};
struct Conditional {
    ExpressionPtr condition, then, otherwise;  // `otherwise` may be null
};
/// object.name
struct Attribute {
    ExpressionPtr object;
    std::string name;
};
/// object[index]
struct Subscript {
    ExpressionPtr object, index;
};
/// object[start:stop:step]; any bound may be null
struct Slice {
    ExpressionPtr object, start, stop, step;
};
struct Call {
    ExpressionPtr callee;
    CallArguments arguments;
};
struct FilterCall {
    std::size_t line;
    std::string name;
    CallArguments arguments;
};
struct Filtered {
    ExpressionPtr operand;
    FilterCall filter;
};
struct Test {
    ExpressionPtr operand;
    std::string name;
    CallArguments arguments;
};

struct Expression {
    std::size_t line;
    std::size_t depth;  // expressions within expressions; at least 1
    std::variant<Literal, Name, ListLiteral, DictLiteral, Unary, Binary, Logical, Comparison, Concatenation,
                 Conditional, Attribute, Subscript, Slice, Call, Filtered, Test>
        node;
};

/// What an assignment assigns to: a name, an attribute of a namespace (`name.attribute`), or a tuple of targets.
struct Target {
    std::string name;
    std::string attribute;      // empty if none
    std::vector<Target> parts;  // not empty: a tuple
    bool is_tuple = false;
};

struct Statement;
using Block = std::vector<Statement>;

/// Text outside of tags.
struct Data {
    Text text;
};
/// {{ expression }}
struct Print {
    ExpressionPtr expression;
};
struct If {
    std::vector<std::pair<ExpressionPtr, Block>> branches;
    Block otherwise;
};
struct For {
    Target target;
    ExpressionPtr iterable;
    ExpressionPtr condition;  // may be null
    bool is_recursive;
    Block body, otherwise;
};
struct Set {
    Target target;
    ExpressionPtr value;
};
/// {% set target | filter %}...{% endset %}
struct SetBlock {
    Target target;
    std::vector<FilterCall> filters;
    Block body;
};
/// What macros and `call` blocks have in common.
struct MacroDefinition {
    std::string name;
    std::vector<std::string> parameters;
    std::vector<ExpressionPtr> defaults;  // of the last parameters
    Block body;
    // Which of the variables of that name the body speaks of.
    bool uses_caller = false;
    bool uses_varargs = false;
    bool uses_kwargs = false;
};
struct Macro {
    MacroDefinition definition;
};
/// {% call(parameters) macro(arguments) %}...{% endcall %}
struct CallBlock {
    MacroDefinition definition;
    ExpressionPtr call;
};
struct FilterBlock {
    std::vector<FilterCall> filters;
    Block body;
};
/// A scope of its own: {% with %} and {% generation %}.
struct With {
    std::vector<std::pair<Target, ExpressionPtr>> variables;
    Block body;
};
struct Break {};
struct Continue {};

struct Statement {
    std::size_t line;
    std::variant<Data, Print, If, For, Set, SetBlock, Macro, CallBlock, FilterBlock, With, Break, Continue> node;
};

}  // namespace puna::text::jinja
