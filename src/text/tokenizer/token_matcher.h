// Finds the tokens of a fixed set in a text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/integer_map.h"
#include "text/vocabulary.h"

namespace puna::text {

/// Takes time linear in the text, whatever the tokens. Aho and Corasick 1975, "Efficient string matching", over
/// reversed tokens: read backwards, the automaton's state at a position tells the longest token that begins there.
/// Thread-safe once built.
class TokenMatcher {
  public:
    struct Match {
        std::size_t begin;   // byte in the text
        std::size_t length;  // bytes
        TokenId id;
    };

    /// Empty texts are left out; of two equal ones, the first counts.
    void add(std::string_view token, TokenId id);
    /// To be called once, after the last `add`.
    void build();

    /// Of all places where a token begins, the leftmost, and there the longest token; then the same in what follows it.
    std::vector<Match> find(std::string_view text) const;

  private:
    using State = std::uint32_t;
    struct Node {
        State parent = 0;
        State failure = 0;         // the longest proper suffix of this node's string that is a node
        std::uint32_t depth = 0;   // length of this node's string
        std::uint32_t length = 0;  // of the longest token that is a suffix of this node's string
        TokenId id = no_token;     // that token
        unsigned char byte = 0;    // the last of this node's string
    };

    State step(State state, unsigned char byte) const;
    static std::uint64_t edge(State state, unsigned char byte) { return std::uint64_t{state} << 8 | byte; }

    std::vector<Node> nodes_ = std::vector<Node>(1);  // the root first
    IntegerMap edges_;
};

}  // namespace puna::text
