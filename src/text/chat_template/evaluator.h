// Runs a template's tree.
#pragma once

#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "puna/error.h"
#include "text/chat_template/ast.h"
#include "text/chat_template/budget.h"
#include "text/chat_template/object.h"

namespace puna::text::jinja {

/// The variables of one block, on top of those around it. Names lie in the tree.
struct Scope {
    explicit Scope(std::shared_ptr<Scope> around) : parent(std::move(around)) {}
    void set(std::string_view name, Value value);
    const Value* find(std::string_view name) const;  // here and further out; null if there is none

    std::shared_ptr<Scope> parent;  // null for the outermost
    std::vector<std::pair<std::string_view, Value>> variables;
    bool captured = false;  // by a macro
};
using ScopePtr = std::shared_ptr<Scope>;

/// How a block ended.
enum class Flow : std::uint8_t { normal, break_loop, continue_loop };

/// One rendering. Not thread-safe. Errors are those of `fail`.
class Evaluator {
  public:
    /// `variables` and the tree must outlive it. `now`: the time that strftime_now formats; null leaves that undefined.
    Evaluator(const Dict& variables, const std::tm* now, const ChatTemplateLimits& limits);
    ~Evaluator();
    Evaluator(const Evaluator&) = delete;
    Evaluator& operator=(const Evaluator&) = delete;

    Result<Text> render(const Block& block);

    // For functions, filters and objects.
    Budget& budget() { return budget_; }
    const std::tm* now() const { return now_; }
    /// An error at the place that is being evaluated; `message` is Python's or the template's own.
    Error fail(std::string_view message) const;
    /// An error if `value` is undefined.
    Result<void> require_defined(const Value& value) const;
    Result<Value> call(const Value& callee, const Arguments& arguments);
    Result<Value> apply_filter(std::string_view name, const Value& subject, const Arguments& arguments);
    Result<bool> apply_test(std::string_view name, const Value& subject, const Arguments& arguments);
    /// Holds an object that may come to refer to itself; `release` is called when the rendering ends.
    void adopt(std::shared_ptr<class Namespace> object);

    // For macros and loops.
    Result<Value> evaluate(const Expression& expression, const ScopePtr& scope);
    Result<Flow> execute(const Block& block, const ScopePtr& scope, TextBuilder& out);
    Result<void> assign(const Target& target, const Value& value, const ScopePtr& scope);
    Result<Flow> run_loop(const For& loop, const Value& iterable, const ScopePtr& scope, std::size_t depth,
                          TextBuilder& out);

  private:
    class Nesting;
    Result<void> enter();

    // Expressions, by the kinds of nodes.
    Result<Value> run(const Literal& node, const ScopePtr& scope);
    Result<Value> run(const Name& node, const ScopePtr& scope);
    Result<Value> run(const ListLiteral& node, const ScopePtr& scope);
    Result<Value> run(const DictLiteral& node, const ScopePtr& scope);
    Result<Value> run(const Unary& node, const ScopePtr& scope);
    Result<Value> run(const Binary& node, const ScopePtr& scope);
    Result<Value> run(const Logical& node, const ScopePtr& scope);
    Result<Value> run(const Comparison& node, const ScopePtr& scope);
    Result<Value> run(const Concatenation& node, const ScopePtr& scope);
    Result<Value> run(const Conditional& node, const ScopePtr& scope);
    Result<Value> run(const Attribute& node, const ScopePtr& scope);
    Result<Value> run(const Subscript& node, const ScopePtr& scope);
    Result<Value> run(const Slice& node, const ScopePtr& scope);
    Result<Value> run(const Call& node, const ScopePtr& scope);
    Result<Value> run(const Filtered& node, const ScopePtr& scope);
    Result<Value> run(const Test& node, const ScopePtr& scope);
    Result<Arguments> evaluate_arguments(const CallArguments& arguments, const ScopePtr& scope);
    Result<Value> evaluate_call(const Call& node, const ScopePtr& scope, const Value* caller);
    Result<Value> filter_text(const std::vector<FilterCall>& filters, Text text, const ScopePtr& scope);

    // Statements.
    Result<Flow> run(const Data& node, const ScopePtr& scope, TextBuilder& out);
    Result<Flow> run(const Print& node, const ScopePtr& scope, TextBuilder& out);
    Result<Flow> run(const If& node, const ScopePtr& scope, TextBuilder& out);
    Result<Flow> run(const For& node, const ScopePtr& scope, TextBuilder& out);
    Result<Flow> run(const Set& node, const ScopePtr& scope, TextBuilder& out);
    Result<Flow> run(const SetBlock& node, const ScopePtr& scope, TextBuilder& out);
    Result<Flow> run(const Macro& node, const ScopePtr& scope, TextBuilder& out);
    Result<Flow> run(const CallBlock& node, const ScopePtr& scope, TextBuilder& out);
    Result<Flow> run(const FilterBlock& node, const ScopePtr& scope, TextBuilder& out);
    Result<Flow> run(const With& node, const ScopePtr& scope, TextBuilder& out);
    Result<Flow> run(const Break& node, const ScopePtr& scope, TextBuilder& out);
    Result<Flow> run(const Continue& node, const ScopePtr& scope, TextBuilder& out);
    Value make_macro(const MacroDefinition& definition, const ScopePtr& scope);

    const Dict& variables_;
    const std::tm* now_;
    ChatTemplateLimits limits_;
    Budget budget_;
    std::size_t depth_ = 0;
    std::size_t line_ = 0;
    // What may refer to itself in a circle.
    std::vector<ScopePtr> captured_scopes_;
    std::vector<std::shared_ptr<class Namespace>> namespaces_;
};

}  // namespace puna::text::jinja
