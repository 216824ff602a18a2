// From logits to a token: mask, bias, the steps in their order, the choice. Knows nothing of how the logits came about.
// docs/sampling.md describes the whole.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "puna/error.h"
#include "puna/request.h"
#include "sampling/candidates.h"
#include "sampling/dry.h"
#include "sampling/penalties.h"
#include "text/grammar/token_mask.h"

namespace puna::sampling {

/// The chain of one request. For one thread at a time. Random numbers for token i depend on the seed and i alone.
class Sampler {
  public:
    /// `options` has passed `check_options`. `end_tokens`: ids that `ignore_end` forbids. `dry_breakers`: ids of the
    /// tokens that hold one of `options.dry_breakers`.
    Sampler(SamplingOptions options, std::uint64_t seed, std::vector<TokenId> end_tokens,
            std::span<const TokenId> dry_breakers = {});

    /// Tells the penalties about a token of the prompt or one that was sampled.
    void accept(TokenId id);
    /// The penalties forget all tokens.
    void forget();
    /// The next token, out of `allowed` if that is given (it has as many ids as there are logits). A logit of -infinity
    /// masks its token. Errors: invalid_number (a NaN or +infinity among the logits, or nothing left to choose from).
    Result<TokenId> sample(std::span<const float> logits, const text::grammar::TokenMask* allowed = nullptr);

    const SamplingOptions& options() const { return options_; }
    /// Where it stands; together with the tokens, all that it takes to go on alike.
    const SamplerState& state() const { return state_; }
    /// `state` has passed `check_state`.
    void set_state(const SamplerState& state) { state_ = state; }

  private:
    void apply_mask(const text::grammar::TokenMask& allowed);
    void apply_bias();
    void apply(SamplingStep step, std::uint64_t index);

    SamplingOptions options_;
    std::uint64_t seed_;
    std::vector<TokenId> end_tokens_;
    std::vector<SamplingStep> steps_;  // that have something to do
    Penalties penalties_;
    Dry dry_;
    SamplerState state_;
    Candidates candidates_;
};

}  // namespace puna::sampling
