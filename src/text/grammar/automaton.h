// A grammar as an automaton over bytes whose states are made when they are reached.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "text/grammar/grammar.h"
#include "text/integer_map.h"

namespace puna::text::grammar {

/// Every reading of a text at once, by Earley's method (1970): calls of one rule at one position share a frame, so
/// ambiguity costs polynomial time and left recursion is nothing special. A state stands for such a set of readings.
/// Sets that are equal are one state, so that the regular parts of a grammar become the loops of a finite automaton and
/// a byte costs one look into a table; a text that nests deeper makes new states. Not thread-safe.
///
/// What leads to a state is always the beginning of a text that matches.
class Automaton {
  public:
    using State = std::uint32_t;
    /// No matching text goes on so.
    static constexpr State dead = 0xFFFFFFFF;

    explicit Automaton(std::shared_ptr<const Grammar> grammar);

    static constexpr State start = 0;
    /// Where `byte` leads; `dead` also if a limit was met, which `overflowed` then says.
    State next(State state, std::uint8_t byte) {
        const State to = rows_[state][byte];
        return to == unknown ? expand(state, byte) : to;
    }
    /// Whether what led to `state` matches as a whole.
    bool accepts(State state) const { return states_[state].accepts; }
    /// Whether any byte can follow.
    bool continues(State state) const { return states_[state].first_item != states_[state].last_item; }
    /// Whether a step met a limit: the grammar is too ambiguous for the text, or needs too much memory.
    bool overflowed() const { return overflowed_; }
    /// Grants the work that steps to states not seen before may take, until the next call; more of it overflows. It is
    /// a part of a second at most.
    void grant_work();

    /// Bytes of memory taken, about.
    std::size_t memory() const;
    /// Forgets all states but `state`, and returns its new number.
    State keep_only(State state);

  private:
    static constexpr State unknown = 0xFFFFFFFE;
    static constexpr std::uint32_t none = 0xFFFFFFFF;

    struct Item {
        std::uint32_t node, frame;
        bool operator==(const Item&) const = default;
        auto operator<=>(const Item&) const = default;
    };
    struct Frame {
        std::uint32_t rule;
        bool returned;              // at the position where it began: its rule matched nothing
        std::vector<Item> callers;  // where to go on, and in which frame
    };
    /// The key determines the state: its items that lie in frames of earlier states. Those in frames of its own follow
    /// from them.
    struct StateData {
        std::size_t first_key, last_key;    // in keys_
        std::size_t first_item, last_item;  // in items_
        State same_hash;                    // the next state with this key's hash
        std::uint32_t own_row;              // in own_rows_, or none
        bool accepts;
    };
    using Row = std::array<State, 256>;
    static const Row unknown_row;

    void push(std::uint32_t node, std::uint32_t frame);
    void call(std::uint32_t rule, Item caller);
    void visit(Item item);
    bool close();
    State expand(State from, std::uint8_t byte);
    State intern();
    State add_state(State same_hash);

    std::shared_ptr<const Grammar> grammar_;
    std::vector<Frame> frames_;
    std::vector<StateData> states_;
    std::vector<const State*> rows_;  // [state] where each byte leads
    std::deque<Row> own_rows_;        // of states that were left
    std::vector<Item> keys_;
    std::vector<Item> items_;  // the byte nodes reached
    IntegerMap states_by_hash_;
    std::size_t callers_ = 0;  // of all frames

    // Of the step under way.
    std::uint32_t first_frame_ = 0;  // its frames begin there
    std::vector<Item> work_, step_items_, step_key_;
    bool step_accepts_ = false;
    IntegerMap seen_;         // frames and nodes
    IntegerMap step_frames_;  // its frames by rule
    std::size_t work_left_;
    bool overflowed_ = false;
};

}  // namespace puna::text::grammar
