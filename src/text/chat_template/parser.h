// From a template's source to its tree.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "puna/error.h"
#include "text/chat_template/ast.h"
#include "text/chat_template/token.h"

namespace puna::text::jinja {

/// Errors: file_malformed, with the line.
Result<Block> parse_template(std::string_view source);

/// The tokens, and what the parts of the parser share.
class TokenStream {
  public:
    explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

    const Token& peek(std::size_t ahead = 0) const { return tokens_[std::min(position_ + ahead, tokens_.size() - 1)]; }
    /// The last token, `end`, stays.
    const Token& next() {
        const Token& token = peek();
        if (position_ + 1 < tokens_.size()) ++position_;
        return token;
    }
    bool skip_symbol(std::string_view symbol) { return skip_if(peek().is_symbol(symbol)); }
    bool skip_name(std::string_view name) { return skip_if(peek().is_name(name)); }
    Result<void> expect_symbol(std::string_view symbol);
    Result<void> expect(TokenType type, std::string_view description);
    Result<std::string> expect_name();
    std::size_t line() const { return peek().line; }
    Error unexpected(std::string_view expected) const;

  private:
    bool skip_if(bool condition) {
        if (condition) next();
        return condition;
    }

    std::vector<Token> tokens_;
    std::size_t position_ = 0;
};

/// Expressions, by recursive descent in Jinja's order of precedence.
class ExpressionParser {
  public:
    explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

    /// `with_conditional`: `a if b else c` is an expression here.
    Result<ExpressionPtr> parse_expression(bool with_conditional = true);
    /// An expression, or a tuple if there are commas. It may end before the name `end_name`.
    Result<ExpressionPtr> parse_tuple(bool with_conditional = true, std::string_view end_name = {});
    /// A name, or a tuple of targets. It may end before the name `end_name`.
    Result<Target> parse_target(bool with_namespace, std::string_view end_name = {});
    Result<FilterCall> parse_filter_call();

    // Which special names were read since the flags were last cleared (see MacroDefinition).
    bool saw_caller = false;
    bool saw_varargs = false;
    bool saw_kwargs = false;

  private:
    using Rule = Result<ExpressionPtr> (ExpressionParser::*)();

    Result<ExpressionPtr> parse_conditional();
    Result<ExpressionPtr> parse_logical(std::string_view name, bool is_and, Rule operand);
    Result<ExpressionPtr> parse_or();
    Result<ExpressionPtr> parse_and();
    Result<ExpressionPtr> parse_not();
    Result<ExpressionPtr> parse_comparison();
    std::optional<CompareOperator> read_compare_operator();
    Result<ExpressionPtr> parse_binary(std::initializer_list<std::pair<std::string_view, BinaryOperator>> operators,
                                       Rule operand);
    Result<ExpressionPtr> parse_sum();
    Result<ExpressionPtr> parse_concatenation();
    Result<ExpressionPtr> parse_product();
    Result<ExpressionPtr> parse_power();
    Result<ExpressionPtr> parse_unary();
    Result<ExpressionPtr> parse_signed(bool with_filters);
    Result<ExpressionPtr> parse_primary();
    Result<ExpressionPtr> parse_name();
    Result<ExpressionPtr> parse_string();
    Result<ExpressionPtr> parse_parenthesized();
    Result<ExpressionPtr> parse_list();
    Result<ExpressionPtr> parse_dict();
    Result<ExpressionPtr> parse_postfix(ExpressionPtr operand);
    Result<ExpressionPtr> parse_filters_and_tests(ExpressionPtr operand);
    Result<ExpressionPtr> parse_attribute(ExpressionPtr object);
    Result<ExpressionPtr> parse_subscript(ExpressionPtr object);
    Result<ExpressionPtr> parse_slice(ExpressionPtr object, ExpressionPtr start, std::size_t line);
    Result<ExpressionPtr> parse_call(ExpressionPtr callee);
    Result<ExpressionPtr> parse_test(ExpressionPtr operand);
    Result<CallArguments> parse_arguments();
    Result<void> parse_argument(CallArguments& arguments);
    Result<std::string> parse_dotted_name();
    Result<Target> parse_target_part(bool with_namespace);
    bool at_tuple_end(std::string_view end_name) const;

    TokenStream& tokens_;
    std::size_t nesting_ = 0;
};

}  // namespace puna::text::jinja
