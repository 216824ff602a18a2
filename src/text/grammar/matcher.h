// Matching text against a grammar, byte by byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "text/grammar/grammar.h"
#include "text/integer_map.h"

namespace puna::text::grammar {

/// Follows every reading of the bytes so far at once, by Earley's method (1970): calls of one rule at one position
/// share a frame, so ambiguity costs polynomial time and left recursion is nothing special. What was taken is always
/// the beginning of a text that matches. Not thread-safe; copies are independent.
class Matcher {
  public:
    explicit Matcher(std::shared_ptr<const Grammar> grammar);

    /// Takes a byte; false, and no change, if no matching text goes on so or if a limit was met (`overflowed`).
    bool advance(std::uint8_t byte);
    /// Whether what was taken matches as a whole.
    bool accepts() const { return steps_.back().accepts; }
    /// Bytes taken.
    std::size_t position() const { return steps_.size() - 1; }
    /// Goes back to `position`, which must not be beyond the present one.
    void rewind(std::size_t position);
    /// Whether an `advance`, or the beginning itself, met a limit: the grammar is too ambiguous for the text. Then a
    /// refused byte may be one that matches.
    bool overflowed() const { return overflowed_; }

  private:
    struct Item {
        std::uint32_t node, frame;
    };
    struct Frame {
        std::uint32_t rule;
        bool returned;              // at the position where it began: its rule matched nothing
        std::vector<Item> callers;  // where to go on, and in which frame
    };
    struct Step {
        std::size_t items, frames;  // where the step's own begin
        bool accepts;
    };

    void push(std::uint32_t node, std::uint32_t frame);
    void call(std::uint32_t rule, Item caller, std::size_t first_frame);
    bool close();

    std::shared_ptr<const Grammar> grammar_;
    std::vector<Item> items_;  // the byte nodes reached, step after step
    std::vector<Frame> frames_;
    std::vector<Step> steps_;
    std::vector<Item> work_;
    IntegerMap seen_;  // the frames and nodes of this step
    bool overflowed_ = false;
};

}  // namespace puna::text::grammar
