#include "text/chat_template/parser.h"

#include <fmt/format.h>

#include <utility>

#include "base/try.h"
#include "text/chat_template/python_format.h"

namespace puna::text::jinja {
namespace {

/// Blocks within blocks.
constexpr std::size_t max_block_depth = 100;

std::string describe(const Token& token) {
    switch (token.type) {
        case TokenType::data: return "template data / text";
        case TokenType::variable_begin: return "begin of print statement";
        case TokenType::variable_end: return "end of print statement";
        case TokenType::block_begin: return "begin of statement block";
        case TokenType::block_end: return "end of statement block";
        case TokenType::string: return "a string";
        case TokenType::integer: return "an integer";
        case TokenType::real: return "a number";
        case TokenType::end: return "end of template";
        case TokenType::name:
        case TokenType::symbol: break;
    }
    return quoted_for_message(token.text);
}

class Parser {
  public:
    explicit Parser(std::vector<Token> tokens) : tokens_(std::move(tokens)), expressions_(tokens_) {}

    Result<Block> parse() { return parse_block({}); }

  private:
    /// Statements up to the tag of one of the names, whose name is the current token afterwards; or to the template's
    /// end if there are no names.
    Result<Block> parse_block(std::initializer_list<std::string_view> ends) {
        if (depth_ >= max_block_depth) return syntax_error(tokens_.line(), "blocks are nested too deeply");
        ++depth_;
        auto block = parse_statements(ends);
        --depth_;
        return block;
    }

    Result<Block> parse_statements(std::initializer_list<std::string_view> ends) {
        Block block;
        while (true) {
            const Token& token = tokens_.next();
            if (token.type == TokenType::end) {
                if (ends.size() == 0) return block;
                return unexpected_end(ends);
            }
            if (token.type == TokenType::data) {
                block.push_back({token.line, Data{Text(token.text, Origin::templ)}});
            } else if (token.type == TokenType::variable_begin) {
                PUNA_TRY(ExpressionPtr expression, expressions_.parse_tuple());
                PUNA_CHECK(tokens_.expect(TokenType::variable_end, "end of print statement"));
                block.push_back({token.line, Print{std::move(expression)}});
            } else {
                for (const std::string_view end : ends) {
                    if (tokens_.peek().is_name(end)) return block;
                }
                PUNA_CHECK(parse_statement(block));
                PUNA_CHECK(tokens_.expect(TokenType::block_end, "end of statement block"));
            }
        }
    }

    Error unexpected_end(std::initializer_list<std::string_view> ends) const {
        std::string names;
        for (const std::string_view end : ends)
            names += fmt::format("{}'{}'", names.empty() ? "" : " or ", end);
        return syntax_error(tokens_.line(), "unexpected end of template; looking for " + names);
    }

    /// A block that begins after the current tag and ends with the tag `end`.
    Result<Block> parse_body(std::string_view end) {
        PUNA_CHECK(end_tag());
        PUNA_TRY(Block block, parse_block({end}));
        tokens_.next();
        return block;
    }

    /// A body in which the loops around it cannot be left.
    Result<Block> parse_closed_body(std::string_view end) {
        const std::size_t loops = std::exchange(loops_, 0);
        auto body = parse_body(end);
        loops_ = loops;
        return body;
    }

    Result<void> end_tag() {
        tokens_.skip_symbol(":");  // as in Python
        return tokens_.expect(TokenType::block_end, "end of statement block");
    }

    Result<void> parse_statement(Block& block) {
        const Token& token = tokens_.next();
        line_ = token.line;
        if (token.type != TokenType::name) return syntax_error(token.line, "tag name expected");
        const std::string& name = token.text;
        if (name == "if") return add(block, line_, parse_if());
        if (name == "for") return add(block, line_, parse_for());
        if (name == "set") return parse_set(block);
        if (name == "macro") return add(block, line_, parse_macro());
        if (name == "call") return add(block, line_, parse_call_block());
        if (name == "filter") return add(block, line_, parse_filter_block());
        if (name == "with") return add(block, line_, parse_with());
        if (name == "generation") return add(block, line_, parse_generation());
        if (name == "print") return parse_print(block);
        if (name == "break" || name == "continue") return parse_loop_control(block, name == "break");
        for (const std::string_view known : {"include", "import", "from", "extends", "block", "autoescape"}) {
            if (name == known) return syntax_error(token.line, fmt::format("the tag '{}' is not supported", name));
        }
        return syntax_error(token.line, fmt::format("Encountered unknown tag {}", quoted_for_message(name)));
    }

    template <typename Node>
    static Result<void> add(Block& block, std::size_t line, Result<Node> node) {
        if (!node.ok()) return std::move(node).error();
        block.push_back({line, std::move(node).value()});
        return {};
    }

    Result<If> parse_if() {
        If result;
        while (true) {
            PUNA_TRY(ExpressionPtr condition, expressions_.parse_tuple(false));
            PUNA_CHECK(end_tag());
            PUNA_TRY(Block body, parse_block({"elif", "else", "endif"}));
            result.branches.emplace_back(std::move(condition), std::move(body));
            const std::string end = tokens_.next().text;
            if (end == "elif") continue;
            if (end == "else") {
                PUNA_TRY(result.otherwise, parse_body("endif"));
            }
            return result;
        }
    }

    Result<For> parse_for() {
        For result;
        PUNA_TRY(result.target, expressions_.parse_target(false, "in"));
        if (!tokens_.skip_name("in")) return tokens_.unexpected("'in'");
        PUNA_TRY(result.iterable, expressions_.parse_tuple(false, "recursive"));
        if (tokens_.skip_name("if")) {
            PUNA_TRY(result.condition, expressions_.parse_expression());
        }
        result.is_recursive = tokens_.skip_name("recursive");
        PUNA_CHECK(end_tag());
        ++loops_;
        auto body = parse_block({"endfor", "else"});
        --loops_;
        PUNA_TRY(result.body, std::move(body));
        if (tokens_.next().text == "else") {
            PUNA_TRY(result.otherwise, parse_body("endfor"));
        }
        return result;
    }

    Result<void> parse_set(Block& block) {
        const std::size_t line = line_;
        PUNA_TRY(Target target, expressions_.parse_target(true));
        if (tokens_.skip_symbol("=")) {
            PUNA_TRY(ExpressionPtr value, expressions_.parse_tuple());
            block.push_back({line, Set{std::move(target), std::move(value)}});
            return {};
        }
        std::vector<FilterCall> filters;
        PUNA_CHECK(parse_filters(filters));
        PUNA_TRY(Block body, parse_body("endset"));
        block.push_back({line, SetBlock{std::move(target), std::move(filters), std::move(body)}});
        return {};
    }

    /// | filter | filter
    Result<void> parse_filters(std::vector<FilterCall>& filters) {
        while (tokens_.skip_symbol("|")) {
            PUNA_TRY(FilterCall filter, expressions_.parse_filter_call());
            filters.push_back(std::move(filter));
        }
        return {};
    }

    Result<void> parse_parameters(MacroDefinition& macro) {
        PUNA_CHECK(tokens_.expect_symbol("("));
        while (!tokens_.peek().is_symbol(")")) {
            if (!macro.parameters.empty()) PUNA_CHECK(tokens_.expect_symbol(","));
            PUNA_TRY(std::string name, tokens_.expect_name());
            macro.parameters.push_back(std::move(name));
            if (tokens_.skip_symbol("=")) {
                PUNA_TRY(ExpressionPtr value, expressions_.parse_expression());
                macro.defaults.push_back(std::move(value));
            } else if (!macro.defaults.empty()) {
                return syntax_error(tokens_.line(), "non-default argument follows default argument");
            }
        }
        return tokens_.expect_symbol(")");
    }

    /// The body, and which of the special variables it uses.
    Result<void> parse_macro_body(MacroDefinition& macro, std::string_view end) {
        const bool caller = std::exchange(expressions_.saw_caller, false);
        const bool varargs = std::exchange(expressions_.saw_varargs, false);
        const bool kwargs = std::exchange(expressions_.saw_kwargs, false);
        PUNA_TRY(macro.body, parse_closed_body(end));
        macro.uses_caller = std::exchange(expressions_.saw_caller, expressions_.saw_caller || caller);
        macro.uses_varargs = std::exchange(expressions_.saw_varargs, expressions_.saw_varargs || varargs);
        macro.uses_kwargs = std::exchange(expressions_.saw_kwargs, expressions_.saw_kwargs || kwargs);
        return {};
    }

    Result<Macro> parse_macro() {
        Macro macro;
        PUNA_TRY(macro.definition.name, tokens_.expect_name());
        PUNA_CHECK(parse_parameters(macro.definition));
        PUNA_CHECK(parse_macro_body(macro.definition, "endmacro"));
        return macro;
    }

    Result<CallBlock> parse_call_block() {
        CallBlock result;
        result.definition.name = "caller";
        const std::size_t line = line_;
        if (tokens_.peek().is_symbol("(")) PUNA_CHECK(parse_parameters(result.definition));
        PUNA_TRY(result.call, expressions_.parse_expression());
        if (!std::holds_alternative<Call>(result.call->node)) return syntax_error(line, "expected call");
        PUNA_CHECK(parse_macro_body(result.definition, "endcall"));
        return result;
    }

    Result<FilterBlock> parse_filter_block() {
        FilterBlock result;
        PUNA_TRY(FilterCall first, expressions_.parse_filter_call());
        result.filters.push_back(std::move(first));
        PUNA_CHECK(parse_filters(result.filters));
        PUNA_TRY(result.body, parse_body("endfilter"));
        return result;
    }

    Result<With> parse_with() {
        With result;
        while (tokens_.peek().type != TokenType::block_end && !tokens_.peek().is_symbol(":")) {
            if (!result.variables.empty()) PUNA_CHECK(tokens_.expect_symbol(","));
            PUNA_TRY(Target target, expressions_.parse_target(false));
            PUNA_CHECK(tokens_.expect_symbol("="));
            PUNA_TRY(ExpressionPtr value, expressions_.parse_expression());
            result.variables.emplace_back(std::move(target), std::move(value));
        }
        PUNA_TRY(result.body, parse_body("endwith"));
        return result;
    }

    /// What the model is to write; as to the text, a scope.
    Result<With> parse_generation() {
        With result;
        PUNA_TRY(result.body, parse_closed_body("endgeneration"));
        return result;
    }

    Result<void> parse_print(Block& block) {
        const std::size_t line = line_;
        bool first = true;
        while (tokens_.peek().type != TokenType::block_end) {
            if (!first) PUNA_CHECK(tokens_.expect_symbol(","));
            first = false;
            PUNA_TRY(ExpressionPtr value, expressions_.parse_expression());
            block.push_back({line, Print{std::move(value)}});
        }
        return {};
    }

    Result<void> parse_loop_control(Block& block, bool is_break) {
        if (loops_ == 0) return syntax_error(line_, fmt::format("'{}' outside loop", is_break ? "break" : "continue"));
        if (is_break) {
            block.push_back({line_, Break{}});
        } else {
            block.push_back({line_, Continue{}});
        }
        return {};
    }

    TokenStream tokens_;
    ExpressionParser expressions_;
    std::size_t depth_ = 0;
    std::size_t loops_ = 0;  // around the current statement, as far as it can leave them
    std::size_t line_ = 0;   // of the current statement's name
};

}  // namespace

Error TokenStream::unexpected(std::string_view expected) const {
    return syntax_error(line(), fmt::format("expected {}, got {}", expected, describe(peek())));
}

Result<void> TokenStream::expect_symbol(std::string_view symbol) {
    if (skip_symbol(symbol)) return {};
    return unexpected(fmt::format("token '{}'", symbol));
}

Result<void> TokenStream::expect(TokenType type, std::string_view description) {
    if (skip_if(peek().type == type)) return {};
    return unexpected(description);
}

Result<std::string> TokenStream::expect_name() {
    if (peek().type != TokenType::name) return unexpected("a name");
    return next().text;
}

Result<Block> parse_template(std::string_view source) {
    PUNA_TRY(std::vector<Token> tokens, tokenize(source));
    return Parser(std::move(tokens)).parse();
}

}  // namespace puna::text::jinja
