// The bytes of a vocabulary's tokens, in a form in which a mask over all of them is found in one walk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/token_mask.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::text::grammar {

/// A trie in preorder, so that a walk goes through memory once and leaves a branch out by jumping over it. Immutable,
/// so thread-safe.
class TokenTrie {
  public:
    /// None may be empty; equal texts may have several ids.
    explicit TokenTrie(std::vector<std::pair<std::string, TokenId>> tokens = {});

    /// Adds to `mask` all tokens that `automaton` can take from `state`.
    void collect(Automaton& automaton, Automaton::State state, TokenMask& mask) const;

  private:
    struct Node {
        std::uint32_t depth : 24, byte : 8;
        std::uint32_t end;     // the first node behind its branch
        std::uint32_t tokens;  // in ids_, those that end here; they reach to the next node's
    };
    std::vector<Node> nodes_;  // and one behind the last
    std::vector<TokenId> ids_;
    std::size_t depth_ = 0;
};

/// The tokens that text is made of: all but control and unknown ones, end tokens, and those without bytes. Immutable,
/// so thread-safe.
///
/// Most tokens are plain: a few whole characters that a JSON string may hold as they are. Where any such characters may
/// follow, as within strings, all plain tokens are allowed at once, and only the others need a walk.
class TokenIndex {
  public:
    static constexpr std::size_t longest_plain = 16;  // characters; tokens of more are among the others

    /// Keeps nothing of the tokenizer. `size`: ids from 0 to this less one are considered; at most the tokenizer's.
    TokenIndex(const Tokenizer& tokenizer, std::size_t size);

    std::size_t size() const { return size_; }
    const TokenTrie& plain() const { return plain_; }
    const TokenTrie& others() const { return others_; }
    /// The plain tokens of at most `characters` characters, of which there are at most `longest_plain`.
    const TokenMask& plain_up_to(std::size_t characters) const { return plain_up_to_[characters]; }
    /// Whether every byte has a token of its own, so that any text can be written.
    bool has_all_bytes() const { return has_all_bytes_; }

  private:
    std::size_t size_;
    TokenTrie plain_, others_;
    std::vector<TokenMask> plain_up_to_;
    bool has_all_bytes_ = false;
};

}  // namespace puna::text::grammar
