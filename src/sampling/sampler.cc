#include "sampling/sampler.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "base/rng.h"
#include "base/try.h"
#include "sampling/selection.h"

namespace puna::sampling {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float greatest_float = std::numeric_limits<float>::max();

Error invalid_logits() {
    return {
        ErrorCode::invalid_number, "the model gave a logit that is NaN or infinite",
        "the file may be damaged; if `--activations float32` runs well, the activations exceed the default's range"};
}

Error nothing_left() {
    return {ErrorCode::invalid_number, "no token is left to choose from: every logit is -infinity",
            "fewer tokens must be forbidden, by logit bias or a constraint"};
}

Result<void> check_logits(std::span<const float> logits) {
    bool good = true;
    for (const float logit : logits)
        good &= logit <= greatest_float;  // false for NaN and +infinity
    if (!good) return invalid_logits();
    return {};
}

}  // namespace

Sampler::Sampler(SamplingOptions options, std::uint64_t seed, std::vector<TokenId> end_tokens)
    : options_(std::move(options)), seed_(seed), end_tokens_(std::move(end_tokens)) {}

void Sampler::accept(TokenId id) {
    if (options_.repeat_last_n == 0 || options_.repeat_penalty == 1.0F) return;
    ++window_counts_[id];
    if (window_.size() < options_.repeat_last_n) {
        window_.push_back(id);
        return;
    }
    const auto oldest = window_counts_.find(window_[window_next_]);
    if (--oldest->second == 0) window_counts_.erase(oldest);
    window_[window_next_] = id;
    window_next_ = (window_next_ + 1) % window_.size();
}

Result<TokenId> Sampler::sample(std::span<const float> logits, const text::grammar::TokenMask* allowed) {
    PUNA_CHECK(check_logits(logits));
    const double uniform = base::uniform_draw(seed_, draws_++);
    logits_.assign(logits.begin(), logits.end());
    if (allowed != nullptr) apply_mask(*allowed);
    apply_bias();
    apply_repeat_penalty();

    const float best = greatest_value(logits_);
    if (best == -infinity) return nothing_left();
    if (options_.temperature == 0) {
        return static_cast<TokenId>(std::find(logits_.begin(), logits_.end(), best) - logits_.begin());
    }

    collect_candidates();
    for (Candidate& candidate : candidates_)
        candidate.weight = std::exp(candidate.logit - best);
    keep_top_p();
    keep_min_p();
    return draw(uniform);
}

void Sampler::apply_mask(const text::grammar::TokenMask& allowed) {
    assert(allowed.size() == logits_.size());
    for (std::size_t i = 0; i < allowed.words().size(); ++i) {
        const std::uint64_t word = allowed.words()[i];
        if (word == ~std::uint64_t{0}) continue;
        const std::size_t end = std::min(logits_.size(), 64 * (i + 1));
        for (std::size_t id = 64 * i; id < end; ++id)
            logits_[id] = (word >> (id % 64) & 1) != 0 ? logits_[id] : -infinity;
    }
}

void Sampler::apply_bias() {
    for (const auto& [id, bias] : options_.logit_bias) {
        float& logit = logits_[static_cast<std::size_t>(id)];
        logit = std::min(logit + bias, greatest_float);
    }
    if (!options_.ignore_end) return;
    for (const TokenId id : end_tokens_) {
        if (static_cast<std::size_t>(id) < logits_.size()) logits_[static_cast<std::size_t>(id)] = -infinity;
    }
}

// Keskar et al. 2019, "CTRL", section 4.1, with the sign taken into account, so that a penalty over 1 always makes a
// token less probable. Each token of the window counts once, however often it stands there.
void Sampler::apply_repeat_penalty() {
    for (const auto& [id, count] : window_counts_) {
        if (static_cast<std::size_t>(id) >= logits_.size()) continue;
        float& logit = logits_[static_cast<std::size_t>(id)];
        if (logit == -infinity) continue;
        const float penalized = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
        logit = std::clamp(penalized, -greatest_float, greatest_float);
    }
}

void Sampler::collect_candidates() {
    candidates_.clear();
    if (options_.top_k != 0 && options_.top_k < logits_.size()) {
        for (const TokenId id : greatest(logits_, options_.top_k)) {
            candidates_.push_back({id, logits_[static_cast<std::size_t>(id)], 0});
        }
        return;
    }
    for (std::size_t i = 0; i < logits_.size(); ++i) {
        if (logits_[i] != -infinity) candidates_.push_back({static_cast<TokenId>(i), logits_[i], 0});
    }
}

// Holtzman et al. 2019, "The Curious Case of Neural Text Degeneration". Probabilities are those among the candidates.
// The best are taken from a heap one by one, as few are usually enough.
void Sampler::keep_top_p() {
    if (options_.top_p >= 1) return;
    double total = 0;
    for (const Candidate& candidate : candidates_)
        total += candidate.weight;
    const auto worse = [](const Candidate& a, const Candidate& b) {
        return a.logit < b.logit || (a.logit == b.logit && a.id > b.id);
    };
    std::make_heap(candidates_.begin(), candidates_.end(), worse);
    double sum = 0;
    auto taken = candidates_.end();  // [taken, end): ascending
    while (taken != candidates_.begin()) {
        std::pop_heap(candidates_.begin(), taken, worse);
        --taken;
        sum += taken->weight;
        // In float, like the parameter: 0.5 + 0.3 is to reach 0.8.
        if (static_cast<float>(sum / total) >= options_.top_p) break;
    }
    candidates_.erase(candidates_.begin(), taken);
    std::reverse(candidates_.begin(), candidates_.end());
}

// Nguyen et al. 2024, "Turning Up the Heat: Min-p Sampling". The best has weight 1.
void Sampler::keep_min_p() {
    if (options_.min_p <= 0) return;
    std::erase_if(candidates_,
                  [&](const Candidate& candidate) { return static_cast<float>(candidate.weight) < options_.min_p; });
}

TokenId Sampler::draw(double uniform) {
    double best = -std::numeric_limits<double>::infinity();
    for (const Candidate& candidate : candidates_)
        best = std::max(best, candidate.logit);
    double total = 0;
    for (Candidate& candidate : candidates_) {
        candidate.weight = std::exp((candidate.logit - best) / options_.temperature);
        total += candidate.weight;
    }
    const double target = uniform * total;
    double sum = 0;
    TokenId drawn = candidates_.front().id;
    for (const Candidate& candidate : candidates_) {
        if (candidate.weight == 0) continue;
        sum += candidate.weight;
        drawn = candidate.id;
        if (sum > target) break;
    }
    return drawn;
}

Result<TokenLogprob> log_probabilities(std::span<const float> logits, TokenId id, std::uint32_t count,
                                       std::vector<TokenLogprob>& top) {
    top.clear();
    PUNA_CHECK(check_logits(logits));
    const float best = greatest_value(logits);
    if (best == -infinity) return nothing_left();
    double sum = 0;
    for (const float logit : logits)
        sum += std::exp(static_cast<double>(logit) - best);
    const double log_sum = std::log(sum);
    const auto logprob = [&](TokenId token) {
        return TokenLogprob{token, (static_cast<double>(logits[static_cast<std::size_t>(token)]) - best) - log_sum};
    };
    for (const TokenId token : greatest(logits, count))
        top.push_back(logprob(token));
    return logprob(id);
}

}  // namespace puna::sampling
