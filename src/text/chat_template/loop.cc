#include "text/chat_template/loop.h"

#include <array>
#include <utility>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/operators.h"

namespace puna::text::jinja {
namespace {

/// loop.cycle and loop.changed.
class LoopMethod final : public Object {
  public:
    LoopMethod(std::shared_ptr<Loop> loop, bool is_cycle) : loop_(std::move(loop)), is_cycle_(is_cycle) {}
    std::string_view type_name() const override { return "method"; }
    bool callable() const override { return true; }
    Result<Value> call(Evaluator& evaluator, const Arguments& arguments) override {
        if (is_cycle_) return loop_->cycle(evaluator, arguments);
        return loop_->changed(evaluator, arguments);
    }
    Result<std::optional<Value>> attribute(Evaluator&, std::string_view) override { return std::optional<Value>(); }

  private:
    std::shared_ptr<Loop> loop_;
    bool is_cycle_;
};

}  // namespace

/// The next element that meets the loop's condition, if it has one.
Result<std::optional<Value>> Loop::pull(Evaluator& evaluator) {
    while (const Value* item = source_->next()) {
        if (node_.condition == nullptr || !filtered_) return std::optional(*item);
        const auto scope = std::make_shared<Scope>(scope_);
        PUNA_CHECK(evaluator.assign(node_.target, *item, scope));
        PUNA_TRY(const Value holds, evaluator.evaluate(*node_.condition, scope));
        if (holds.truthy()) return std::optional(*item);
    }
    return std::optional<Value>();
}

Result<void> Loop::look_ahead(Evaluator& evaluator) {
    if (next_) return {};
    PUNA_TRY(next_, pull(evaluator));
    return {};
}

Result<const Value*> Loop::advance(Evaluator& evaluator) {
    PUNA_CHECK(look_ahead(evaluator));
    if (!next_) return static_cast<const Value*>(nullptr);
    previous_ = std::exchange(current_, *std::exchange(next_, std::nullopt));
    ++count_;
    return static_cast<const Value*>(&current_);
}

void Loop::release() {
    source_ = std::make_shared<Iterator>(std::make_shared<const Sequence>(Sequence::Kind::list, std::vector<Value>{}),
                                         "list_iterator");
    previous_ = current_ = Value();
    next_.reset();
    last_changed_.reset();
}

Result<std::size_t> Loop::length(Evaluator& evaluator) {
    if (node_.condition != nullptr && filtered_) {
        std::vector<Value> rest;
        while (true) {
            PUNA_TRY(std::optional<Value> item, pull(evaluator));
            if (!item) break;
            rest.push_back(*std::move(item));
        }
        filtered_ = false;
        source_ = make_iterator(std::move(rest)).iterator();
    }
    return count_ + (next_ ? 1 : 0) + source_->left();
}

Result<std::optional<Value>> Loop::attribute(Evaluator& evaluator, std::string_view name) {
    const auto size = [](std::size_t value) { return std::optional(Value::size(value)); };
    if (name == "index") return size(count_);
    if (name == "index0") return size(count_ - 1);
    if (name == "first") return std::optional(Value(count_ == 1));
    if (name == "depth") return size(depth_ + 1);
    if (name == "depth0") return size(depth_);
    if (name == "cycle" || name == "changed") {
        return std::optional(Value(ObjectPtr(std::make_shared<LoopMethod>(shared_from_this(), name == "cycle"))));
    }
    if (name == "previtem") {
        return std::optional(count_ > 1 ? previous_ : Value::undefined("there is no previous item"));
    }
    if (name == "last" || name == "nextitem") {
        PUNA_CHECK(look_ahead(evaluator));
        if (name == "last") return std::optional(Value(!next_));
        return std::optional(next_ ? *next_ : Value::undefined("there is no next item"));
    }
    if (name == "length" || name == "revindex" || name == "revindex0") {
        PUNA_TRY(const std::size_t whole, length(evaluator));
        if (name == "length") return size(whole);
        return std::optional(Value::integer(static_cast<std::int64_t>(whole) - static_cast<std::int64_t>(count_) +
                                            (name == "revindex" ? 1 : 0)));
    }
    return std::optional<Value>();
}

Result<Value> Loop::cycle(Evaluator& evaluator, const Arguments& arguments) const {
    if (arguments.positional.empty()) return evaluator.fail("no items for cycling given");
    return arguments.positional[(count_ - 1) % arguments.positional.size()];
}

Value Loop::changed(Evaluator& evaluator, const Arguments& arguments) {
    Value now = Value::tuple(arguments.positional);
    if (last_changed_ && equal(evaluator, *last_changed_, now)) return Value(false);
    last_changed_ = std::move(now);
    return Value(true);
}

Result<Value> Loop::call(Evaluator& evaluator, const Arguments& arguments) {
    if (!node_.is_recursive) {
        return evaluator.fail("The loop must have the 'recursive' marker to be called recursively.");
    }
    if (arguments.positional.size() != 1) return evaluator.fail("loop() takes one argument");
    TextBuilder out(evaluator.budget());
    PUNA_CHECK(evaluator.run_loop(node_, arguments.positional[0], scope_, depth_ + 1, out));
    return Value(out.take_shared());
}

}  // namespace puna::text::jinja
