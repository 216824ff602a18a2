// A loop's own variable, `loop`.
#pragma once

#include <optional>
#include <string_view>

#include "text/chat_template/evaluator.h"

namespace puna::text::jinja {

/// Goes through what a `for` runs over, one element ahead where `last` or `nextitem` ask for it.
class Loop final : public Object, public std::enable_shared_from_this<Loop> {
  public:
    /// `scope`: the one around the loop. `depth` counts recursive calls, from 0.
    Loop(const For& node, ScopePtr scope, IteratorPtr source, std::size_t depth)
        : node_(node), scope_(std::move(scope)), source_(std::move(source)), depth_(depth) {}

    /// The next element, or null at the end; valid until the next call.
    Result<const Value*> advance(Evaluator& evaluator);
    /// Lets go of all values: who kept `loop` beyond the loop finds it at its end.
    void release();

    std::string_view type_name() const override { return "LoopContext"; }
    bool callable() const override { return true; }
    /// Renders the loop's body for what is given, if the loop is recursive.
    Result<Value> call(Evaluator& evaluator, const Arguments& arguments) override;
    Result<std::optional<Value>> attribute(Evaluator& evaluator, std::string_view name) override;

    Result<Value> cycle(Evaluator& evaluator, const Arguments& arguments) const;
    Value changed(Evaluator& evaluator, const Arguments& arguments);

  private:
    Result<std::optional<Value>> pull(Evaluator& evaluator);
    Result<void> look_ahead(Evaluator& evaluator);
    Result<std::size_t> length(Evaluator& evaluator);

    const For& node_;
    ScopePtr scope_;
    IteratorPtr source_;
    std::size_t depth_;
    bool filtered_ = true;   // the loop's condition still has to be asked
    std::size_t count_ = 0;  // elements so far, the current one among them
    Value previous_, current_;
    std::optional<Value> next_;  // if it was looked at
    std::optional<Value> last_changed_;
};

}  // namespace puna::text::jinja
