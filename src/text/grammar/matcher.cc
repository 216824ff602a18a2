#include "text/grammar/matcher.h"

#include <cassert>

namespace puna::text::grammar {
namespace {
constexpr std::size_t max_items_per_step = 100'000;
constexpr std::size_t max_items = 20'000'000;
}  // namespace

Matcher::Matcher(std::shared_ptr<const Grammar> grammar) : grammar_(std::move(grammar)) {
    frames_.push_back({grammar_->root, false, {}});
    steps_.push_back({0, 1, false});
    push(grammar_->starts[grammar_->root], 0);
    overflowed_ = !close();
}

void Matcher::push(std::uint32_t node, std::uint32_t frame) {
    if (!grammar_->productive[node]) return;
    if (!seen_.insert(std::uint64_t{frame} << 32 | node, 0)) return;
    work_.push_back({node, frame});
}

void Matcher::call(std::uint32_t rule, Item caller, std::size_t first_frame) {
    std::size_t f = first_frame;
    while (f < frames_.size() && frames_[f].rule != rule)
        ++f;
    if (f == frames_.size()) frames_.push_back({rule, false, {}});
    frames_[f].callers.push_back(caller);
    push(grammar_->starts[rule], static_cast<std::uint32_t>(f));
    if (frames_[f].returned) push(caller.node, caller.frame);
}

/// Follows all that takes no byte. False if a limit was met.
bool Matcher::close() {
    Step& step = steps_.back();
    while (!work_.empty()) {
        if (seen_.size() > max_items_per_step || items_.size() > max_items) return false;
        const Item item = work_.back();
        work_.pop_back();
        const Node& node = grammar_->nodes[item.node];
        switch (node.op) {
            case Op::byte: items_.push_back(item); break;
            case Op::split: push(node.a, item.frame), push(node.b, item.frame); break;
            case Op::jump: push(grammar_->starts[node.a], item.frame); break;
            case Op::call: call(node.b, {node.a, item.frame}, step.frames); break;
            case Op::ret:
                if (item.frame == 0) step.accepts = true;
                if (item.frame >= step.frames) frames_[item.frame].returned = true;
                for (const Item& caller : frames_[item.frame].callers)
                    push(caller.node, caller.frame);
                break;
        }
    }
    return true;
}

bool Matcher::advance(std::uint8_t byte) {
    const std::size_t first = steps_.back().items, last = items_.size();
    seen_.clear();
    work_.clear();
    for (std::size_t i = first; i < last; ++i) {
        const Node& node = grammar_->nodes[items_[i].node];
        if (node.low <= byte && byte <= node.high) push(node.a, items_[i].frame);
    }
    if (work_.empty()) return false;
    steps_.push_back({last, frames_.size(), false});
    if (close()) return true;
    overflowed_ = true;
    rewind(position() - 1);
    return false;
}

void Matcher::rewind(std::size_t position) {
    assert(position < steps_.size());
    if (position + 1 == steps_.size()) return;
    items_.resize(steps_[position + 1].items);
    frames_.erase(frames_.begin() + static_cast<std::ptrdiff_t>(steps_[position + 1].frames), frames_.end());
    steps_.resize(position + 1);
}

}  // namespace puna::text::grammar
