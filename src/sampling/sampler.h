// From logits to a token: bias, penalty, filters, temperature, draw. Knows nothing of how the logits came about.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "puna/error.h"
#include "puna/request.h"
#include "text/grammar/token_mask.h"

namespace puna::sampling {

/// Checks every parameter. Errors: invalid_argument naming the parameter and its range.
Result<void> check_options(const SamplingOptions& options, std::int64_t vocabulary);

/// The chain of one request. For one thread at a time. The draw for token i depends on the seed and i alone.
///
/// All sums run in an order that depends on the logits alone (ascending id, or descending logit with ties by id), so
/// that the same logits and seed give the same token.
class Sampler {
  public:
    /// `end_tokens`: ids that `ignore_end` forbids. `options` has passed `check_options`.
    Sampler(SamplingOptions options, std::uint64_t seed, std::vector<TokenId> end_tokens);

    /// Tells the penalty window about a token of the prompt or one that was sampled.
    void accept(TokenId id);
    /// The next token, out of `allowed` if that is given (it has as many ids as there are logits). A logit of -infinity
    /// masks its token. Errors: invalid_number (a NaN or +infinity among the logits, or nothing left to choose from).
    Result<TokenId> sample(std::span<const float> logits, const text::grammar::TokenMask* allowed = nullptr);

    const SamplingOptions& options() const { return options_; }
    /// Random numbers used up so far, one for each call of `sample`.
    std::uint64_t draws() const { return draws_; }
    void set_draws(std::uint64_t draws) { draws_ = draws; }

  private:
    struct Candidate {
        TokenId id;
        double logit;
        double weight;  // exp(logit - greatest logit), at temperature 1
    };
    void apply_mask(const text::grammar::TokenMask& allowed);
    void apply_bias();
    void apply_repeat_penalty();
    void collect_candidates();  // top-k
    void keep_top_p();
    void keep_min_p();
    TokenId draw(double uniform);

    SamplingOptions options_;
    std::uint64_t seed_;
    std::uint64_t draws_ = 0;
    std::vector<TokenId> end_tokens_;
    std::vector<TokenId> window_;  // the last repeat_last_n tokens, a ring
    std::size_t window_next_ = 0;
    std::unordered_map<TokenId, std::uint32_t> window_counts_;  // how often each token stands in the window
    std::vector<float> logits_;                                 // [vocabulary]
    std::vector<Candidate> candidates_;
};

/// Natural log-probabilities of the raw logits. Returns that of `id` (which must be in range), and fills `top` with the
/// `count` most probable, descending, ties by id; tokens of probability zero are left out.
/// Errors: invalid_number (a NaN or +infinity among the logits, or all of them -infinity).
Result<TokenLogprob> log_probabilities(std::span<const float> logits, TokenId id, std::uint32_t count,
                                       std::vector<TokenLogprob>& top);

}  // namespace puna::sampling
