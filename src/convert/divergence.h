// How far one model's predictions lie from another's: the scores of single predictions, and their statistics.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "formats/kl_base.h"
#include "puna/model.h"

namespace puna::convert {

/// A mean, or what is made of one, and its standard error.
struct Estimate {
    double value = 0;
    double error = 0;
};

/// Percents of a distribution that are reported; 0 is the least value, 100 the largest.
constexpr std::array percents = {0.0, 0.1, 1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 100.0};
/// [percents], each interpolated between neighbours.
using Percentiles = std::array<double, percents.size()>;
/// The place of `percent` among `percents`.
constexpr std::size_t percentile_index(double percent) {
    std::size_t i = 0;
    while (i + 1 < percents.size() && percents[i] < percent)
        ++i;
    return i;
}

/// Over all scored predictions; P is the reference, Q what is measured. The definitions are those of llama-perplexity.
struct Divergence {
    Estimate mean;               // of KL(P || Q), in nats
    Percentiles kl = {};         // of KL(P || Q)
    Estimate same_top;           // share, 0 to 1, of predictions whose most probable token is the same
    Estimate reference;          // the reference's perplexity
    Estimate log_ratio;          // ln(perplexity of Q / perplexity of P)
    double correlation = 0;      // of both models' losses, -1 to 1
    Estimate p_change;           // Q(token) - P(token) of the token that follows
    Estimate p_change_rms;       // the root of its mean square
    Percentiles p_changes = {};  // of Q(token) - P(token)
};

/// What one prediction gives. Without a reference, `loss` alone.
struct Score {
    double loss = 0;            // -ln Q(the token that follows)
    double reference_loss = 0;  // -ln P(the token that follows)
    double divergence = 0;      // KL(P || Q)
    bool same_top = false;

    bool finite() const;
};

/// `logits`, `reference`: [vocabulary]. `next`: the token that follows.
Score score_prediction(std::span<const float> logits, TokenId next);
Score score_prediction(std::span<const float> logits, std::span<const float> reference, TokenId next);
/// As llama-perplexity has it, tokens whose log-probability in the base is -16 or less add nothing to the divergence.
Score score_prediction(std::span<const float> logits, const formats::BasePrediction& reference, TokenId next);

/// Sums over predictions, in the order in which they are added.
class Tally {
  public:
    explicit Tally(bool with_reference) : with_reference_(with_reference) {}

    void add(const Score& score);
    std::int64_t count() const { return count_; }
    /// exp of the mean loss. Its error is that of the mean, times the perplexity; 0 for a single prediction.
    Estimate perplexity() const;
    /// Sorts; nullopt without a reference.
    std::optional<Divergence> divergence() const;

  private:
    bool with_reference_;
    std::int64_t count_ = 0;
    double loss_ = 0;
    double loss_squared_ = 0;
    double reference_loss_ = 0;
    double reference_loss_squared_ = 0;
    double loss_product_ = 0;
    double divergence_ = 0;
    double divergence_squared_ = 0;
    double p_change_ = 0;
    double p_change_squared_ = 0;
    double p_change_fourth_ = 0;
    std::int64_t same_top_ = 0;
    std::vector<double> divergences_;  // [count_]
    std::vector<double> p_changes_;    // [count_]
};

}  // namespace puna::convert
