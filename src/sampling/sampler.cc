#include "sampling/sampler.h"

#include <algorithm>
#include <cassert>
#include <cmath>

#include "base/rng.h"
#include "base/try.h"
#include "sampling/adaptive_p.h"
#include "sampling/check_options.h"
#include "sampling/mirostat.h"
#include "sampling/selection.h"
#include "sampling/temperature.h"
#include "sampling/truncation.h"

namespace puna::sampling {
namespace {

/// Each random number that a token takes has a lane to itself, so that none depends on whether another was drawn.
enum Lane : std::uint32_t { choice_lane = 0, xtc_lane = 1 };

bool changes_logits(SamplingStep step) {
    return step == SamplingStep::penalties || step == SamplingStep::dry;
}

}  // namespace

Sampler::Sampler(SamplingOptions options, std::uint64_t seed, std::vector<TokenId> end_tokens,
                 std::span<const TokenId> dry_breakers)
    : options_(std::move(options)),
      seed_(seed),
      end_tokens_(std::move(end_tokens)),
      penalties_(options_),
      dry_(options_, dry_breakers) {
    for (const SamplingStep step : steps_of(options_)) {
        if (is_on(step, options_)) steps_.push_back(step);
    }
    // What the most probable token is, no cut decides.
    while (options_.temperature == 0 && !steps_.empty() && !changes_logits(steps_.back()))
        steps_.pop_back();
}

void Sampler::accept(TokenId id) {
    penalties_.accept(id);
    dry_.accept(id);
}

void Sampler::forget() {
    penalties_.clear();
    dry_.clear();
}

Result<TokenId> Sampler::sample(std::span<const float> logits, const text::grammar::TokenMask* allowed) {
    PUNA_CHECK(check_logits(logits));
    const std::uint64_t index = state_.draws++;
    candidates_.assign(logits);
    if (allowed != nullptr) apply_mask(*allowed);
    apply_bias();
    if (greatest_value(candidates_.logits()) == -infinity) return nothing_left();
    for (const SamplingStep step : steps_)
        apply(step, index);
    if (options_.temperature == 0) return candidates_.best();

    const double uniform = base::uniform_draw(seed_, index, choice_lane);
    std::size_t drawn = 0;  // in the list
    if (options_.mirostat != 0) {
        drawn = draw_by_mirostat(candidates_, options_, uniform, state_.mirostat_mu);
    } else if (options_.adaptive_target > 0) {
        drawn = draw_by_adaptive_p(candidates_, options_, uniform, state_);
    } else {
        drawn = candidates_.draw(uniform);
    }
    return candidates_.list()[drawn].id;
}

void Sampler::apply(SamplingStep step, std::uint64_t index) {
    switch (step) {
        case SamplingStep::penalties: return penalties_.apply(candidates_);
        case SamplingStep::dry: return dry_.apply(candidates_);
        case SamplingStep::top_n_sigma: return keep_top_n_sigma(candidates_, options_.top_n_sigma);
        case SamplingStep::top_k: return keep_top_k(candidates_, options_.top_k);
        case SamplingStep::typical: return keep_typical(candidates_, options_.typical_p);
        case SamplingStep::top_p: return keep_top_p(candidates_, options_.top_p);
        case SamplingStep::min_p: return keep_min_p(candidates_, options_.min_p);
        case SamplingStep::xtc:
            if (base::uniform_draw(seed_, index, xtc_lane) < options_.xtc_probability)
                exclude_top_choices(candidates_, options_.xtc_threshold);
            return;
        case SamplingStep::temperature: return apply_temperature(candidates_, options_);
    }
}

void Sampler::apply_mask(const text::grammar::TokenMask& allowed) {
    const std::span<float> logits = candidates_.logits();
    assert(allowed.size() == logits.size());
    for (std::size_t i = 0; i < allowed.words().size(); ++i) {
        const std::uint64_t word = allowed.words()[i];
        if (word == ~std::uint64_t{0}) continue;
        const std::size_t end = std::min(logits.size(), 64 * (i + 1));
        for (std::size_t id = 64 * i; id < end; ++id)
            logits[id] = (word >> (id % 64) & 1) != 0 ? logits[id] : -infinity;
    }
}

void Sampler::apply_bias() {
    const std::span<float> logits = candidates_.logits();
    for (const auto& [id, bias] : options_.logit_bias) {
        float& logit = logits[static_cast<std::size_t>(id)];
        logit = std::min(logit + bias, greatest_float);
    }
    if (!options_.ignore_end) return;
    for (const TokenId id : end_tokens_) {
        if (static_cast<std::size_t>(id) < logits.size()) logits[static_cast<std::size_t>(id)] = -infinity;
    }
}

}  // namespace puna::sampling
