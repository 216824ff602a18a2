#include <algorithm>
#include <array>

#include "base/try.h"
#include "text/chat_template/make_expression.h"
#include "text/chat_template/parser.h"

namespace puna::text::jinja {
Result<ExpressionPtr> ExpressionParser::parse_expression(bool with_conditional) {
    if (nesting_ >= max_expression_depth) return syntax_error(tokens_.line(), "an expression is nested too deeply");
    ++nesting_;
    auto expression = with_conditional ? parse_conditional() : parse_or();
    --nesting_;
    return expression;
}

Result<ExpressionPtr> ExpressionParser::parse_conditional() {
    const std::size_t line = tokens_.line();
    PUNA_TRY(ExpressionPtr expression, parse_or());
    while (tokens_.skip_name("if")) {
        PUNA_TRY(ExpressionPtr condition, parse_or());
        ExpressionPtr otherwise;
        if (tokens_.skip_name("else")) {
            PUNA_TRY(otherwise, parse_expression());
        }
        const std::size_t depth = std::max({expression->depth, condition->depth, depth_of(otherwise)});
        PUNA_TRY(expression,
                 make(line, depth, Conditional{std::move(condition), std::move(expression), std::move(otherwise)}));
    }
    return expression;
}

Result<ExpressionPtr> ExpressionParser::parse_logical(std::string_view name, bool is_and, Rule operand) {
    const std::size_t line = tokens_.line();
    PUNA_TRY(ExpressionPtr left, (this->*operand)());
    while (tokens_.skip_name(name)) {
        PUNA_TRY(ExpressionPtr right, (this->*operand)());
        const std::size_t depth = std::max(left->depth, right->depth);
        PUNA_TRY(left, make(line, depth, Logical{is_and, std::move(left), std::move(right)}));
    }
    return left;
}

Result<ExpressionPtr> ExpressionParser::parse_or() {
    return parse_logical("or", false, &ExpressionParser::parse_and);
}

Result<ExpressionPtr> ExpressionParser::parse_and() {
    return parse_logical("and", true, &ExpressionParser::parse_not);
}

Result<ExpressionPtr> ExpressionParser::parse_not() {
    const std::size_t line = tokens_.line();
    std::size_t count = 0;
    while (tokens_.skip_name("not"))
        ++count;
    PUNA_TRY(ExpressionPtr operand, parse_comparison());
    for (; count > 0; --count) {
        const std::size_t depth = operand->depth;
        PUNA_TRY(operand, make(line, depth, Unary{UnaryOperator::logical_not, std::move(operand)}));
    }
    return operand;
}

std::optional<CompareOperator> ExpressionParser::read_compare_operator() {
    using enum CompareOperator;
    constexpr std::array<std::pair<std::string_view, CompareOperator>, 6> symbols{
        {{"==", equal}, {"!=", not_equal}, {"<", less}, {"<=", less_equal}, {">", greater}, {">=", greater_equal}}};
    for (const auto& [symbol, op] : symbols) {
        if (tokens_.skip_symbol(symbol)) return op;
    }
    if (tokens_.skip_name("in")) return in;
    if (tokens_.peek().is_name("not") && tokens_.peek(1).is_name("in")) {
        tokens_.next();
        tokens_.next();
        return not_in;
    }
    return std::nullopt;
}

Result<ExpressionPtr> ExpressionParser::parse_comparison() {
    const std::size_t line = tokens_.line();
    PUNA_TRY(ExpressionPtr first, parse_sum());
    std::vector<std::pair<CompareOperator, ExpressionPtr>> rest;
    std::size_t depth = first->depth;
    while (const auto op = read_compare_operator()) {
        PUNA_TRY(ExpressionPtr operand, parse_sum());
        depth = std::max(depth, operand->depth);
        rest.emplace_back(*op, std::move(operand));
    }
    if (rest.empty()) return first;
    return make(line, depth, Comparison{std::move(first), std::move(rest)});
}

Result<ExpressionPtr> ExpressionParser::parse_binary(
    std::initializer_list<std::pair<std::string_view, BinaryOperator>> operators, Rule operand) {
    const std::size_t line = tokens_.line();
    PUNA_TRY(ExpressionPtr left, (this->*operand)());
    while (true) {
        const auto* found = std::ranges::find_if(
            operators, [this](const auto& candidate) { return tokens_.skip_symbol(candidate.first); });
        if (found == operators.end()) return left;
        PUNA_TRY(ExpressionPtr right, (this->*operand)());
        const std::size_t depth = std::max(left->depth, right->depth);
        PUNA_TRY(left, make(line, depth, Binary{found->second, std::move(left), std::move(right)}));
    }
}

Result<ExpressionPtr> ExpressionParser::parse_sum() {
    return parse_binary({{"+", BinaryOperator::add}, {"-", BinaryOperator::subtract}},
                        &ExpressionParser::parse_concatenation);
}

Result<ExpressionPtr> ExpressionParser::parse_concatenation() {
    const std::size_t line = tokens_.line();
    std::vector<ExpressionPtr> parts(1);
    PUNA_TRY(parts[0], parse_product());
    while (tokens_.skip_symbol("~")) {
        PUNA_TRY(ExpressionPtr part, parse_product());
        parts.push_back(std::move(part));
    }
    if (parts.size() == 1) return std::move(parts[0]);
    const std::size_t depth = depth_of(parts);
    return make(line, depth, Concatenation{std::move(parts)});
}

Result<ExpressionPtr> ExpressionParser::parse_product() {
    using enum BinaryOperator;
    return parse_binary({{"*", multiply}, {"/", divide}, {"//", floor_divide}, {"%", modulo}},
                        &ExpressionParser::parse_power);
}

Result<ExpressionPtr> ExpressionParser::parse_power() {
    // Unlike Python's, Jinja's power is left-associative and binds less than a sign.
    return parse_binary({{"**", BinaryOperator::power}}, &ExpressionParser::parse_unary);
}

Result<ExpressionPtr> ExpressionParser::parse_unary() {
    return parse_signed(true);
}

Result<ExpressionPtr> ExpressionParser::parse_signed(bool with_filters) {
    const std::size_t line = tokens_.line();
    ExpressionPtr operand;
    const bool is_minus = tokens_.peek().is_symbol("-");
    if (is_minus || tokens_.peek().is_symbol("+")) {
        tokens_.next();
        if (nesting_ >= max_expression_depth) return syntax_error(line, "an expression is nested too deeply");
        ++nesting_;
        auto inner = parse_signed(false);
        --nesting_;
        PUNA_TRY(operand, std::move(inner));
        const std::size_t depth = operand->depth;
        const UnaryOperator op = is_minus ? UnaryOperator::minus : UnaryOperator::plus;
        PUNA_TRY(operand, make(line, depth, Unary{op, std::move(operand)}));
    } else {
        PUNA_TRY(operand, parse_primary());
    }
    PUNA_TRY(operand, parse_postfix(std::move(operand)));
    if (!with_filters) return operand;
    return parse_filters_and_tests(std::move(operand));
}

Result<ExpressionPtr> ExpressionParser::parse_primary() {
    const Token& token = tokens_.peek();
    switch (token.type) {
        case TokenType::name: return parse_name();
        case TokenType::string: return parse_string();
        case TokenType::integer: return make(token.line, 0, Literal{Value(tokens_.next().integer)});
        case TokenType::real: return make(token.line, 0, Literal{Value(tokens_.next().real)});
        default: break;
    }
    if (token.is_symbol("(")) return parse_parenthesized();
    if (token.is_symbol("[")) return parse_list();
    if (token.is_symbol("{")) return parse_dict();
    return tokens_.unexpected("an expression");
}

Result<ExpressionPtr> ExpressionParser::parse_name() {
    const Token& token = tokens_.next();
    const std::string& name = token.text;
    if (name == "true" || name == "True") return make(token.line, 0, Literal{Value(true)});
    if (name == "false" || name == "False") return make(token.line, 0, Literal{Value(false)});
    if (name == "none" || name == "None") return make(token.line, 0, Literal{Value()});
    saw_caller = saw_caller || name == "caller";
    saw_varargs = saw_varargs || name == "varargs";
    saw_kwargs = saw_kwargs || name == "kwargs";
    return make(token.line, 0, Name{name});
}

/// Strings side by side are one.
Result<ExpressionPtr> ExpressionParser::parse_string() {
    const std::size_t line = tokens_.line();
    std::string text;
    while (tokens_.peek().type == TokenType::string)
        text += tokens_.next().text;
    return make(line, 0, Literal{Value::trusted(std::move(text))});
}

Result<ExpressionPtr> ExpressionParser::parse_parenthesized() {
    const std::size_t line = tokens_.line();
    tokens_.next();
    if (tokens_.skip_symbol(")")) return make(line, 0, ListLiteral{{}, true});
    PUNA_TRY(ExpressionPtr inner, parse_tuple());
    PUNA_CHECK(tokens_.expect_symbol(")"));
    return inner;
}

bool ExpressionParser::at_tuple_end(std::string_view end_name) const {
    const Token& token = tokens_.peek();
    if (token.type == TokenType::variable_end || token.type == TokenType::block_end || token.is_symbol(")")) {
        return true;
    }
    return !end_name.empty() && token.is_name(end_name);
}

Result<ExpressionPtr> ExpressionParser::parse_tuple(bool with_conditional, std::string_view end_name) {
    const std::size_t line = tokens_.line();
    std::vector<ExpressionPtr> items(1);
    PUNA_TRY(items[0], parse_expression(with_conditional));
    if (!tokens_.peek().is_symbol(",")) return std::move(items[0]);
    while (tokens_.skip_symbol(",") && !at_tuple_end(end_name)) {
        PUNA_TRY(ExpressionPtr item, parse_expression(with_conditional));
        items.push_back(std::move(item));
    }
    const std::size_t depth = depth_of(items);
    return make(line, depth, ListLiteral{std::move(items), true});
}

Result<ExpressionPtr> ExpressionParser::parse_list() {
    const std::size_t line = tokens_.line();
    tokens_.next();
    std::vector<ExpressionPtr> items;
    while (!tokens_.peek().is_symbol("]")) {
        if (!items.empty()) PUNA_CHECK(tokens_.expect_symbol(","));
        if (tokens_.peek().is_symbol("]")) break;
        PUNA_TRY(ExpressionPtr item, parse_expression());
        items.push_back(std::move(item));
    }
    PUNA_CHECK(tokens_.expect_symbol("]"));
    const std::size_t depth = depth_of(items);
    return make(line, depth, ListLiteral{std::move(items), false});
}

Result<ExpressionPtr> ExpressionParser::parse_dict() {
    const std::size_t line = tokens_.line();
    tokens_.next();
    DictLiteral dict;
    std::size_t depth = 0;
    while (!tokens_.peek().is_symbol("}")) {
        if (!dict.entries.empty()) PUNA_CHECK(tokens_.expect_symbol(","));
        if (tokens_.peek().is_symbol("}")) break;
        PUNA_TRY(ExpressionPtr key, parse_expression());
        PUNA_CHECK(tokens_.expect_symbol(":"));
        PUNA_TRY(ExpressionPtr value, parse_expression());
        depth = std::max({depth, key->depth, value->depth});
        dict.entries.emplace_back(std::move(key), std::move(value));
    }
    PUNA_CHECK(tokens_.expect_symbol("}"));
    return make(line, depth, std::move(dict));
}

namespace {

bool is_constant(std::string_view name) {
    constexpr std::array<std::string_view, 6> constants{"true", "false", "none", "True", "False", "None"};
    return std::ranges::find(constants, name) != constants.end();
}

}  // namespace

Result<Target> ExpressionParser::parse_target(bool with_namespace, std::string_view end_name) {
    Target tuple{{}, {}, {}, true};
    while (true) {
        PUNA_TRY(Target part, parse_target_part(with_namespace));
        const bool is_last = !tokens_.skip_symbol(",");
        if (is_last && tuple.parts.empty()) return part;
        tuple.parts.push_back(std::move(part));
        if (is_last || at_tuple_end(end_name)) return tuple;
    }
}

Result<Target> ExpressionParser::parse_target_part(bool with_namespace) {
    if (tokens_.skip_symbol("(")) {
        if (nesting_ >= max_expression_depth) return syntax_error(tokens_.line(), "a target is nested too deeply");
        ++nesting_;
        auto inner = parse_target(with_namespace);
        --nesting_;
        PUNA_TRY(Target target, std::move(inner));
        PUNA_CHECK(tokens_.expect_symbol(")"));
        return target;
    }
    Target target;
    const std::size_t line = tokens_.line();
    PUNA_TRY(target.name, tokens_.expect_name());
    if (is_constant(target.name)) return syntax_error(line, "can't assign to '" + target.name + "'");
    if (with_namespace && tokens_.skip_symbol(".")) {
        PUNA_TRY(target.attribute, tokens_.expect_name());
    }
    return target;
}

}  // namespace puna::text::jinja
