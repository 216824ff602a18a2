// What follows an operand: attributes, subscripts, calls, filters and tests.
#include <algorithm>

#include "base/try.h"
#include "text/chat_template/make_expression.h"
#include "text/chat_template/parser.h"

namespace puna::text::jinja {

Result<ExpressionPtr> ExpressionParser::parse_postfix(ExpressionPtr operand) {
    while (true) {
        const Token& token = tokens_.peek();
        if (token.is_symbol(".")) {
            PUNA_TRY(operand, parse_attribute(std::move(operand)));
        } else if (token.is_symbol("[")) {
            PUNA_TRY(operand, parse_subscript(std::move(operand)));
        } else if (token.is_symbol("(")) {
            PUNA_TRY(operand, parse_call(std::move(operand)));
        } else {
            return operand;
        }
    }
}

Result<ExpressionPtr> ExpressionParser::parse_filters_and_tests(ExpressionPtr operand) {
    while (true) {
        const Token& token = tokens_.peek();
        const std::size_t line = token.line;
        if (token.is_symbol("|")) {
            tokens_.next();
            PUNA_TRY(FilterCall filter, parse_filter_call());
            const std::size_t depth = std::max(operand->depth, depth_of(filter.arguments));
            PUNA_TRY(operand, make(line, depth, Filtered{std::move(operand), std::move(filter)}));
        } else if (token.is_name("is")) {
            PUNA_TRY(operand, parse_test(std::move(operand)));
        } else if (token.is_symbol("(")) {
            PUNA_TRY(operand, parse_call(std::move(operand)));
        } else {
            return operand;
        }
    }
}

Result<ExpressionPtr> ExpressionParser::parse_attribute(ExpressionPtr object) {
    const std::size_t line = tokens_.next().line;
    const Token& token = tokens_.next();
    const std::size_t depth = object->depth;
    if (token.type == TokenType::name) return make(line, depth, Attribute{std::move(object), token.text});
    if (token.type != TokenType::integer) return syntax_error(line, "expected name or number");
    PUNA_TRY(ExpressionPtr index, make(line, 0, Literal{Value(token.integer)}));
    return make(line, depth, Subscript{std::move(object), std::move(index)});
}

Result<ExpressionPtr> ExpressionParser::parse_subscript(ExpressionPtr object) {
    const std::size_t line = tokens_.next().line;
    if (tokens_.peek().is_symbol(":")) return parse_slice(std::move(object), nullptr, line);
    PUNA_TRY(ExpressionPtr index, parse_expression());
    if (tokens_.peek().is_symbol(":")) return parse_slice(std::move(object), std::move(index), line);
    std::vector<ExpressionPtr> items(1);
    items[0] = std::move(index);
    while (tokens_.skip_symbol(",")) {
        PUNA_TRY(ExpressionPtr item, parse_expression());
        items.push_back(std::move(item));
    }
    PUNA_CHECK(tokens_.expect_symbol("]"));
    ExpressionPtr key;
    if (items.size() == 1) {
        key = std::move(items[0]);
    } else {
        const std::size_t depth = depth_of(items);
        PUNA_TRY(key, make(line, depth, ListLiteral{std::move(items), true}));
    }
    const std::size_t depth = std::max(object->depth, key->depth);
    return make(line, depth, Subscript{std::move(object), std::move(key)});
}

/// From the first colon to the closing bracket.
Result<ExpressionPtr> ExpressionParser::parse_slice(ExpressionPtr object, ExpressionPtr start, std::size_t line) {
    Slice slice{std::move(object), std::move(start), nullptr, nullptr};
    tokens_.next();
    const auto at_end = [this] { return tokens_.peek().is_symbol(":") || tokens_.peek().is_symbol("]"); };
    if (!at_end()) {
        PUNA_TRY(slice.stop, parse_expression());
    }
    if (tokens_.skip_symbol(":") && !at_end()) {
        PUNA_TRY(slice.step, parse_expression());
    }
    PUNA_CHECK(tokens_.expect_symbol("]"));
    const std::size_t depth =
        std::max({depth_of(slice.object), depth_of(slice.start), depth_of(slice.stop), depth_of(slice.step)});
    return make(line, depth, std::move(slice));
}

Result<ExpressionPtr> ExpressionParser::parse_call(ExpressionPtr callee) {
    const std::size_t line = tokens_.line();
    PUNA_TRY(CallArguments arguments, parse_arguments());
    const std::size_t depth = std::max(callee->depth, depth_of(arguments));
    return make(line, depth, Call{std::move(callee), std::move(arguments)});
}

Result<CallArguments> ExpressionParser::parse_arguments() {
    CallArguments arguments;
    PUNA_CHECK(tokens_.expect_symbol("("));
    bool first = true;
    while (!tokens_.peek().is_symbol(")")) {
        if (!first) PUNA_CHECK(tokens_.expect_symbol(","));
        if (tokens_.peek().is_symbol(")")) break;
        first = false;
        PUNA_CHECK(parse_argument(arguments));
    }
    PUNA_CHECK(tokens_.expect_symbol(")"));
    return arguments;
}

Result<void> ExpressionParser::parse_argument(CallArguments& arguments) {
    const std::size_t line = tokens_.line();
    const auto misplaced = [line] { return syntax_error(line, "invalid syntax for function call expression"); };
    if (tokens_.skip_symbol("*")) {
        if (arguments.spread_list || arguments.spread_dict) return misplaced();
        PUNA_TRY(arguments.spread_list, parse_expression());
    } else if (tokens_.skip_symbol("**")) {
        if (arguments.spread_dict) return misplaced();
        PUNA_TRY(arguments.spread_dict, parse_expression());
    } else if (tokens_.peek().type == TokenType::name && tokens_.peek(1).is_symbol("=")) {
        if (arguments.spread_dict) return misplaced();
        std::string name = tokens_.next().text;
        tokens_.next();
        PUNA_TRY(ExpressionPtr value, parse_expression());
        arguments.named.emplace_back(std::move(name), std::move(value));
    } else {
        if (arguments.spread_list || arguments.spread_dict || !arguments.named.empty()) return misplaced();
        PUNA_TRY(ExpressionPtr value, parse_expression());
        arguments.positional.push_back(std::move(value));
    }
    return {};
}

Result<std::string> ExpressionParser::parse_dotted_name() {
    PUNA_TRY(std::string name, tokens_.expect_name());
    while (tokens_.skip_symbol(".")) {
        PUNA_TRY(const std::string part, tokens_.expect_name());
        name += "." + part;
    }
    return name;
}

Result<FilterCall> ExpressionParser::parse_filter_call() {
    FilterCall filter{tokens_.line(), {}, {}};
    PUNA_TRY(filter.name, parse_dotted_name());
    if (tokens_.peek().is_symbol("(")) {
        PUNA_TRY(filter.arguments, parse_arguments());
    }
    return filter;
}

Result<ExpressionPtr> ExpressionParser::parse_test(ExpressionPtr operand) {
    const std::size_t line = tokens_.next().line;
    const bool negated = tokens_.skip_name("not");
    PUNA_TRY(std::string name, parse_dotted_name());
    CallArguments arguments;
    const Token& token = tokens_.peek();
    const bool is_operator = token.is_name("else") || token.is_name("or") || token.is_name("and");
    const bool begins_argument = token.type == TokenType::name || token.type == TokenType::string ||
                                 token.type == TokenType::integer || token.type == TokenType::real ||
                                 token.is_symbol("[") || token.is_symbol("{");
    if (token.is_symbol("(")) {
        PUNA_TRY(arguments, parse_arguments());
    } else if (begins_argument && !is_operator) {
        if (token.is_name("is")) return syntax_error(line, "You cannot chain multiple tests with is");
        PUNA_TRY(ExpressionPtr argument, parse_primary());
        PUNA_TRY(argument, parse_postfix(std::move(argument)));
        arguments.positional.push_back(std::move(argument));
    }
    const std::size_t depth = std::max(operand->depth, depth_of(arguments));
    PUNA_TRY(ExpressionPtr test, make(line, depth, Test{std::move(operand), std::move(name), std::move(arguments)}));
    if (!negated) return test;
    return make(line, depth + 1, Unary{UnaryOperator::logical_not, std::move(test)});
}

}  // namespace puna::text::jinja
