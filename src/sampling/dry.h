// DRY, "Don't Repeat Yourself": a penalty for tokens that would go on with a repetition.
#pragma once

#include <cstddef>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "puna/request.h"
#include "sampling/candidates.h"

namespace puna::sampling {

/// All tokens so far, and what their repetition costs. For one thread.
///
/// Of a token t, let n be the length of the longest end of the text that stands earlier in it too, with t behind it.
/// From n = dry_allowed_length on,
///     l' = l - dry_multiplier * dry_base^(n - dry_allowed_length)
/// No repetition reaches over a breaker, and a breaker itself costs nothing. Text beyond the last dry_last_n tokens is
/// not looked at. Source: P. E. Weidmann 2024, pull request 5677 of oobabooga/text-generation-webui. The longest ends
/// of all places at once, in time proportional to the text, are the Z-function of the text read backwards (Gusfield
/// 1997, "Algorithms on Strings, Trees, and Sequences", section 1.4).
class Dry {
  public:
    Dry(const SamplingOptions& options, std::span<const TokenId> breakers);
    static bool is_on(const SamplingOptions& options) { return options.dry_multiplier != 0; }

    void accept(TokenId id);
    void clear() { text_.clear(); }
    void apply(Candidates& candidates);

    /// For each token that would go on with a repetition, the greatest n; for tests.
    std::unordered_map<TokenId, std::size_t> repetitions();

  private:
    bool on_;
    double multiplier_;
    double base_;
    std::size_t allowed_length_;
    std::size_t last_n_;  // 0: all
    std::unordered_set<TokenId> breakers_;
    std::vector<TokenId> text_;
    std::vector<std::size_t> same_;  // [tokens looked at]: how many tokens end alike before this one and at the end
};

}  // namespace puna::sampling
