// Which tokens may come next so that the text keeps to a grammar.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "puna/error.h"
#include "text/grammar/automaton.h"
#include "text/grammar/token_mask.h"
#include "text/grammar/token_trie.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::text::grammar {

/// The constraint of one text. Not thread-safe.
///
/// What `accept` took is always the beginning of a text that matches; a limit met or a vocabulary that cannot express
/// what the grammar asks for is an error, after which nothing more is allowed. Masks depend on the automaton's state
/// alone and are kept, so that a state that comes again costs nothing.
class TokenConstraint {
  public:
    /// `at_start`: no text stands before this one (it decides about a leading space). `tokenizer` must outlive the
    /// constraint.
    TokenConstraint(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenIndex> index,
                    const Tokenizer& tokenizer, bool at_start);

    /// The tokens that may come next; end tokens only where the text matches as a whole. Never empty. Valid until the
    /// next call. Errors: constraint_failed.
    Result<const TokenMask*> allowed();
    /// Takes a token. An end token changes nothing. Errors: constraint_failed if it was not allowed.
    Result<void> accept(TokenId id);
    /// Whether the text matches as a whole.
    bool matches() const { return automaton_.accepts(state_); }
    /// Whether it matches and nothing can follow.
    bool complete() const { return matches() && !automaton_.continues(state_); }

  private:
    /// Where a state leads by characters that JSON strings hold as they are.
    enum class Lead : std::uint8_t { unknown, nowhere, one_state, several };
    struct PlainStep {
        Lead lead = Lead::unknown;
        Automaton::State to = 0;
    };
    struct PlainRun {
        bool regular;        // any characters are allowed, to this length, and none beyond
        std::size_t length;  // characters; longest_plain stands for it and all above
    };

    PlainStep plain_step(Automaton::State state);
    PlainStep find_plain_step(Automaton::State state);
    PlainRun plain_run();
    std::string bytes(TokenId id) const;
    void collect(TokenMask& mask);
    void collect_at_start(TokenMask& mask);
    Error limit_met() const;

    std::shared_ptr<const TokenIndex> index_;
    const Tokenizer& tokenizer_;
    Automaton automaton_;
    Automaton::State state_ = Automaton::start;
    bool at_start_;
    std::size_t memory_to_tidy_;
    std::vector<std::unique_ptr<TokenMask>> masks_;  // [state] those known
    std::size_t mask_count_ = 0;
    std::vector<PlainStep> plain_steps_;  // [state]
};

}  // namespace puna::text::grammar
