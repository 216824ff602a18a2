// Matching text against a grammar, byte by byte.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "text/grammar/automaton.h"

namespace puna::text::grammar {

/// Walks an automaton and remembers the way. What was taken is always the beginning of a text that matches. Not
/// thread-safe.
class Matcher {
  public:
    explicit Matcher(std::shared_ptr<const Grammar> grammar) : automaton_(std::move(grammar)) {}

    /// Takes a byte; false, and no change, if no matching text goes on so or if a limit was met (`overflowed`).
    bool advance(std::uint8_t byte) {
        automaton_.grant_work();
        const Automaton::State to = automaton_.next(path_.back(), byte);
        if (to != Automaton::dead) path_.push_back(to);
        return to != Automaton::dead;
    }
    /// Whether what was taken matches as a whole.
    bool accepts() const { return automaton_.accepts(path_.back()); }
    /// Bytes taken.
    std::size_t position() const { return path_.size() - 1; }
    /// Goes back to `position`, which must not be beyond the present one.
    void rewind(std::size_t position) {
        assert(position < path_.size());
        path_.resize(position + 1);
    }
    /// Whether an `advance`, or the beginning itself, met a limit: the grammar is too ambiguous for the text. Then a
    /// refused byte may be one that matches.
    bool overflowed() const { return automaton_.overflowed(); }

  private:
    Automaton automaton_;
    std::vector<Automaton::State> path_{Automaton::start};
};

}  // namespace puna::text::grammar
