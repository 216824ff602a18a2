#include "text/grammar/automaton.h"

#include <algorithm>
#include <utility>

namespace puna::text::grammar {
namespace {

constexpr std::size_t granted_work = 4'000'000;  // readings followed, known ones included
constexpr std::size_t max_memory = std::size_t{1} << 28;

constexpr std::array<Automaton::State, 256> filled_row(Automaton::State state) {
    std::array<Automaton::State, 256> row{};
    row.fill(state);
    return row;
}

}  // namespace

constexpr Automaton::Row Automaton::unknown_row = filled_row(unknown);

Automaton::Automaton(std::shared_ptr<const Grammar> grammar) : grammar_(std::move(grammar)), work_left_(granted_work) {
    frames_.push_back({grammar_->root, false, {}});
    first_frame_ = 1;
    push(grammar_->starts[grammar_->root], 0);
    if (intern() == start) return;
    overflowed_ = true;  // a state all the same, from which nothing leads on
    step_items_.clear();
    step_key_.clear();
    step_accepts_ = false;
    add_state(dead);
}

void Automaton::grant_work() {
    work_left_ = granted_work;
}

std::size_t Automaton::memory() const {
    return sizeof(Row) * own_rows_.size() + (sizeof(StateData) + sizeof(State*)) * states_.size() +
           sizeof(Frame) * frames_.size() + sizeof(Item) * (items_.size() + keys_.size() + callers_);
}

void Automaton::push(std::uint32_t node, std::uint32_t frame) {
    if (work_left_ == 0 || !grammar_->productive[node]) return;
    --work_left_;
    if (!seen_.insert(std::uint64_t{frame} << 32 | node, 0)) return;
    work_.push_back({node, frame});
}

void Automaton::call(std::uint32_t rule, Item caller) {
    auto frame = static_cast<std::uint32_t>(frames_.size());
    if (step_frames_.insert(rule, frame)) {
        frames_.push_back({rule, false, {}});
        push(grammar_->starts[rule], frame);
    } else {
        frame = static_cast<std::uint32_t>(*step_frames_.find(rule));
    }
    frames_[frame].callers.push_back(caller);
    ++callers_;
    if (frames_[frame].returned) push(caller.node, caller.frame);
}

void Automaton::visit(Item item) {
    const Node& node = grammar_->nodes[item.node];
    const bool inherited = item.frame < first_frame_;
    switch (node.op) {
        case Op::byte:
            step_items_.push_back(item);
            if (inherited) step_key_.push_back(item);
            break;
        case Op::split: push(node.a, item.frame), push(node.b, item.frame); break;
        case Op::jump: push(grammar_->starts[node.a], item.frame); break;
        case Op::call:
            if (inherited) step_key_.push_back(item);
            call(node.b, {node.a, item.frame});
            break;
        case Op::ret:
            if (item.frame == 0) step_accepts_ = true;
            if (!inherited) frames_[item.frame].returned = true;
            for (const Item caller : frames_[item.frame].callers)
                push(caller.node, caller.frame);
            break;
    }
}

/// Follows all that takes no byte. False if a limit was met.
bool Automaton::close() {
    while (!work_.empty()) {
        if (work_left_ == 0) return false;
        const Item item = work_.back();
        work_.pop_back();
        visit(item);
    }
    return work_left_ != 0 && memory() <= max_memory;
}

Automaton::State Automaton::add_state(State same_hash) {
    const auto state = static_cast<State>(states_.size());
    const std::size_t key = keys_.size(), item = items_.size();
    keys_.insert(keys_.end(), step_key_.begin(), step_key_.end());
    items_.insert(items_.end(), step_items_.begin(), step_items_.end());
    states_.push_back({key, keys_.size(), item, items_.size(), same_hash, none, step_accepts_});
    rows_.push_back(unknown_row.data());
    return state;
}

/// The state of the readings in `work_`; `dead` if a limit was met.
Automaton::State Automaton::intern() {
    step_items_.clear();
    step_key_.clear();
    step_accepts_ = false;
    const std::size_t callers = callers_;
    const auto forget_frames = [&] {
        frames_.erase(frames_.begin() + first_frame_, frames_.end());
        callers_ = callers;
    };
    const bool closed = close();
    seen_.clear();
    step_frames_.clear();
    work_.clear();
    if (!closed) {
        overflowed_ = true;
        forget_frames();
        return dead;
    }
    std::sort(step_key_.begin(), step_key_.end());
    std::uint64_t hash = step_accepts_ ? 1 : 0;
    for (const Item item : step_key_) {  // FNV-1a over words, with the high bits folded back
        hash = (hash ^ (std::uint64_t{item.frame} << 32 | item.node)) * 0x100000001B3u;
        hash ^= hash >> 29;
    }
    hash >>= 1;  // never the map's free key
    const std::uint64_t* first = states_by_hash_.find(hash);
    for (State state = first == nullptr ? dead : static_cast<State>(*first); state != dead;
         state = states_[state].same_hash) {
        const StateData& other = states_[state];
        if (other.accepts != step_accepts_ || !std::equal(step_key_.begin(), step_key_.end(),
                                                          keys_.begin() + static_cast<std::ptrdiff_t>(other.first_key),
                                                          keys_.begin() + static_cast<std::ptrdiff_t>(other.last_key)))
            continue;
        forget_frames();
        return state;
    }
    if (first == nullptr) {
        const State state = add_state(dead);
        states_by_hash_.insert(hash, state);
        return state;
    }
    const auto head = static_cast<State>(*first);
    const State state = add_state(states_[head].same_hash);
    states_[head].same_hash = state;
    return state;
}

Automaton::State Automaton::expand(State from, std::uint8_t byte) {
    first_frame_ = static_cast<std::uint32_t>(frames_.size());
    // Bytes that the same nodes take are one case.
    std::uint32_t low = 0, high = 255;
    for (std::size_t i = states_[from].first_item; i < states_[from].last_item; ++i) {
        const Item item = items_[i];
        const Node& node = grammar_->nodes[item.node];
        if (byte < node.low) {
            high = std::min(high, node.low - 1U);
        } else if (byte > node.high) {
            low = std::max(low, node.high + 1U);
        } else {
            low = std::max<std::uint32_t>(low, node.low);
            high = std::min<std::uint32_t>(high, node.high);
            push(node.a, item.frame);
        }
    }
    State to = dead;
    if (!work_.empty() || work_left_ == 0) {
        to = intern();
        if (to == dead) return dead;  // a limit, which says nothing about the bytes
    }
    std::uint32_t& own_row = states_[from].own_row;
    if (own_row == none) {
        own_row = static_cast<std::uint32_t>(own_rows_.size());
        rows_[from] = own_rows_.emplace_back(unknown_row).data();
    }
    Row& row = own_rows_[own_row];
    std::fill(row.begin() + low, row.begin() + high + 1, to);
    return to;
}

Automaton::State Automaton::keep_only(State state) {
    std::vector<std::uint32_t> numbers(frames_.size(), none);  // [old frame] the new one
    std::vector<std::uint32_t> kept, work{0};
    const StateData data = states_[state];
    const std::vector<Item> items(items_.begin() + static_cast<std::ptrdiff_t>(data.first_item),
                                  items_.begin() + static_cast<std::ptrdiff_t>(data.last_item));
    for (const Item item : items)
        work.push_back(item.frame);
    while (!work.empty()) {
        const std::uint32_t frame = work.back();
        work.pop_back();
        if (numbers[frame] != none) continue;
        numbers[frame] = 0;
        kept.push_back(frame);
        for (const Item caller : frames_[frame].callers)
            work.push_back(caller.frame);
    }
    std::sort(kept.begin(), kept.end());  // the root's stays the first
    for (std::size_t i = 0; i < kept.size(); ++i)
        numbers[kept[i]] = static_cast<std::uint32_t>(i);

    std::vector<Frame> frames;
    callers_ = 0;
    for (const std::uint32_t old : kept) {
        Frame& frame = frames.emplace_back(std::move(frames_[old]));
        for (Item& caller : frame.callers)
            caller.frame = numbers[caller.frame];
        callers_ += frame.callers.size();
    }
    frames_ = std::move(frames);
    states_.clear();
    rows_.clear();
    own_rows_.clear();
    keys_.clear();
    items_.clear();
    states_by_hash_.clear();
    // Its key is not kept: the one state that could be equal is itself, and being made anew costs no more than time.
    step_key_.clear();
    step_items_ = items;
    for (Item& item : step_items_)
        item.frame = numbers[item.frame];
    step_accepts_ = data.accepts;
    return add_state(dead);
}

}  // namespace puna::text::grammar
