#include "convert/divergence.h"

#include <algorithm>
#include <cmath>

namespace puna::convert {
namespace {

/// Log-probabilities up to here, of a base file, are those that it cannot tell apart.
constexpr float base_floor = -16.0F;

/// ln of the sum of exp over a row of logits, and the first of its largest.
struct RowSummary {
    double log_sum;
    std::size_t top;
};

RowSummary summarize(std::span<const float> logits) {
    const auto top = std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float x : logits)
        sum += std::exp(static_cast<double>(x) - *top);
    return {*top + std::log(sum), static_cast<std::size_t>(top - logits.begin())};
}

Estimate mean_of(double sum, double sum_of_squares, std::int64_t count) {
    const auto n = static_cast<double>(count);
    const double mean = sum / n;
    const double variance = sum_of_squares / n - mean * mean;
    return {mean, count > 1 && variance > 0 ? std::sqrt(variance / (n - 1)) : 0};
}

/// exp of a mean, with the error that follows to first order.
Estimate exp_of(Estimate mean) {
    const double value = std::exp(mean.value);
    return {value, value * mean.error};
}

Percentiles percentiles_of(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    Percentiles out = {};
    for (std::size_t i = 0; i < percents.size(); ++i) {
        const double place = percents[i] / 100.0 * static_cast<double>(values.size() - 1);
        const auto below = static_cast<std::size_t>(place);
        const std::size_t above = std::min(below + 1, values.size() - 1);
        const double fraction = place - static_cast<double>(below);
        out[i] = (1 - fraction) * values[below] + fraction * values[above];
    }
    return out;
}

}  // namespace

bool Score::finite() const {
    return std::isfinite(loss) && std::isfinite(reference_loss) && std::isfinite(divergence);
}

Score score_prediction(std::span<const float> logits, TokenId next) {
    return {.loss = summarize(logits).log_sum - logits[static_cast<std::size_t>(next)]};
}

Score score_prediction(std::span<const float> logits, std::span<const float> reference, TokenId next) {
    const RowSummary p = summarize(reference);
    const RowSummary q = summarize(logits);
    double divergence = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        const double log_p = reference[i] - p.log_sum;
        const double log_q = logits[i] - q.log_sum;
        divergence += std::exp(log_p) * (log_p - log_q);
    }
    const auto token = static_cast<std::size_t>(next);
    return {.loss = q.log_sum - logits[token],
            .reference_loss = p.log_sum - reference[token],
            .divergence = divergence,
            .same_top = p.top == q.top};
}

Score score_prediction(std::span<const float> logits, const formats::BasePrediction& reference, TokenId next) {
    const RowSummary q = summarize(logits);
    double divergence = 0;
    std::size_t top = 0;
    std::uint16_t top_code = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        const auto token = static_cast<std::int64_t>(i);
        const std::uint16_t code = reference.code(token);
        if (code > top_code) {
            top_code = code;
            top = i;
        }
        const float log_p = reference.log_probability(token);
        if (log_p <= base_floor) continue;
        divergence += std::exp(static_cast<double>(log_p)) * (log_p - (logits[i] - q.log_sum));
    }
    return {.loss = q.log_sum - logits[static_cast<std::size_t>(next)],
            .reference_loss = -static_cast<double>(reference.log_probability(next)),
            .divergence = divergence,
            .same_top = top == q.top};
}

void Tally::add(const Score& score) {
    ++count_;
    loss_ += score.loss;
    loss_squared_ += score.loss * score.loss;
    if (!with_reference_) return;
    reference_loss_ += score.reference_loss;
    reference_loss_squared_ += score.reference_loss * score.reference_loss;
    loss_product_ += score.loss * score.reference_loss;
    divergence_ += score.divergence;
    divergence_squared_ += score.divergence * score.divergence;
    divergences_.push_back(score.divergence);
    same_top_ += score.same_top ? 1 : 0;
    const double change = std::exp(-score.loss) - std::exp(-score.reference_loss);
    p_change_ += change;
    p_change_squared_ += change * change;
    p_change_fourth_ += change * change * change * change;
    p_changes_.push_back(change);
}

Estimate Tally::perplexity() const {
    return exp_of(mean_of(loss_, loss_squared_, count_));
}

std::optional<Divergence> Tally::divergence() const {
    if (!with_reference_ || count_ == 0) return std::nullopt;
    const auto n = static_cast<double>(count_);
    const Estimate loss = mean_of(loss_, loss_squared_, count_);
    const Estimate reference_loss = mean_of(reference_loss_, reference_loss_squared_, count_);
    Divergence out;
    out.mean = mean_of(divergence_, divergence_squared_, count_);
    out.kl = percentiles_of(divergences_);
    const double same = static_cast<double>(same_top_) / n;
    out.same_top = {same, count_ > 1 ? std::sqrt(same * (1 - same) / (n - 1)) : 0};
    out.reference = exp_of(reference_loss);
    out.log_ratio.value = loss.value - reference_loss.value;
    if (count_ > 1) {
        const double covariance = (loss_product_ / n - loss.value * reference_loss.value) / (n - 1);
        const double variance = loss.error * loss.error + reference_loss.error * reference_loss.error - 2 * covariance;
        out.log_ratio.error = variance > 0 ? std::sqrt(variance) : 0;
        const double errors = loss.error * reference_loss.error;
        out.correlation = errors > 0 ? covariance / errors : 0;
    }
    out.p_change = mean_of(p_change_, p_change_squared_, count_);
    const Estimate square = mean_of(p_change_squared_, p_change_fourth_, count_);
    const double rms = std::sqrt(square.value);
    out.p_change_rms = {rms, rms > 0 ? 0.5 / rms * square.error : 0};
    out.p_changes = percentiles_of(p_changes_);
    return out;
}

}  // namespace puna::convert
