// Grammars over bytes: the form into which GBNF and regular expressions are compiled.
//
// A grammar is a recursive transition network (Woods 1970): a graph of nodes that each take a byte, branch, call a rule
// or return from one.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "puna/error.h"

namespace puna::text::grammar {

inline constexpr std::uint32_t max_nodes = 200'000;
inline constexpr std::uint32_t max_repeat = 10'000;  ///< the highest count of a counted repetition
inline constexpr std::uint32_t unbounded = 0xFFFFFFFF;

enum class Op : std::uint8_t { byte, split, call, jump, ret };

struct Node {
    Op op = Op::ret;
    std::uint8_t low = 0, high = 0;  ///< byte: the range taken, both ends included
    std::uint32_t a = 0;             ///< byte, call: what follows; split: a branch; jump: the rule
    std::uint32_t b = 0;             ///< split: the other branch; call: the rule
};

/// A compiled grammar. Immutable; any number of matchers may read it from any thread.
struct Grammar {
    std::vector<Node> nodes;
    std::vector<std::uint32_t> starts;  ///< [rule] its first node
    std::vector<bool> productive;       ///< [node] whether the end of its rule can be reached from it
    std::uint32_t root = 0;             ///< the rule that the whole text must match
};

struct CharRange {
    char32_t first, last;  ///< both included
};

/// Puts a grammar together from expressions, which are numbered in order of creation. Not thread-safe.
class GrammarBuilder {
  public:
    using Id = std::uint32_t;

    Id bytes(std::string_view text);
    /// One byte from `low` to `high`.
    Id byte_range(std::uint8_t low, std::uint8_t high) { return add({Kind::byte, low, high, {}}); }
    /// One character, in UTF-8, out of any of `ranges`; surrogates are left out.
    Id characters(const std::vector<CharRange>& ranges);
    Id sequence(std::vector<Id> parts);
    Id choice(std::vector<Id> parts);
    Id repeat(Id part, std::uint32_t min, std::uint32_t max);
    Id call(std::uint32_t rule);
    /// What a whole compiled grammar matches. Its nodes are copied once, however often the expression is used.
    Id include(Grammar grammar);

    std::uint32_t add_rule();
    void define(std::uint32_t rule, Id body);

    /// Errors if the grammar is larger than the limits or if no text matches it. Every rule must be defined, and
    /// expressions be nested no deeper than their parser allows: the depth is this function's recursion.
    Result<Grammar> compile(std::uint32_t root) const;

  private:
    enum class Kind : std::uint8_t { byte, sequence, choice, repeat, call };
    struct Expression {
        Kind kind;
        std::uint32_t x = 0, y = 0;  // byte: range; repeat: min, max; call: rule
        std::vector<Id> parts;
    };
    class Compiler;

    Id add(Expression expression);
    void add_utf8(char32_t first, char32_t last, std::vector<Id>& choices);

    struct Included {
        std::uint32_t first_rule;  // its rules' numbers go on from here
        Grammar grammar;
    };

    std::vector<Expression> expressions_;
    std::vector<Id> bodies_;          // [rule]; of no meaning for included ones
    std::vector<Included> included_;  // in order of their rules
};

}  // namespace puna::text::grammar
