// Makes nodes of the tree, none of them too deep.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "text/chat_template/ast.h"
#include "text/chat_template/token.h"

namespace puna::text::jinja {

/// Expressions within expressions: what recursion, here and in what walks the tree, has room for.
inline constexpr std::size_t max_expression_depth = 150;

inline std::size_t depth_of(const ExpressionPtr& expression) {
    return expression ? expression->depth : 0;
}

inline std::size_t depth_of(const std::vector<ExpressionPtr>& expressions) {
    std::size_t depth = 0;
    for (const ExpressionPtr& expression : expressions)
        depth = std::max(depth, expression->depth);
    return depth;
}

inline std::size_t depth_of(const CallArguments& arguments) {
    std::size_t depth =
        std::max({depth_of(arguments.positional), depth_of(arguments.spread_list), depth_of(arguments.spread_dict)});
    for (const auto& [name, value] : arguments.named)
        depth = std::max(depth, value->depth);
    return depth;
}

/// `depth`: of the deepest part.
template <typename Node>
Result<ExpressionPtr> make(std::size_t line, std::size_t depth, Node node) {
    if (depth >= max_expression_depth) return syntax_error(line, "an expression is nested too deeply");
    return std::make_unique<Expression>(Expression{line, depth + 1, std::move(node)});
}

}  // namespace puna::text::jinja
