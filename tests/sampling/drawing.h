// Distributions to sample from, and what came of it.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <vector>

#include "sampling/candidates.h"
#include "sampling/sampler.h"

namespace puna::sampling {

inline constexpr float inf = std::numeric_limits<float>::infinity();
inline constexpr float nan = std::numeric_limits<float>::quiet_NaN();

/// Everything off: a plain draw at temperature 1.
inline SamplingOptions plain() {
    SamplingOptions options;
    options.temperature = 1;
    options.top_k = 0;
    options.top_p = 1;
    return options;
}

inline SamplingOptions greedy() {
    SamplingOptions options = plain();
    options.temperature = 0;
    return options;
}

inline std::vector<float> log_of(const std::vector<double>& probabilities) {
    std::vector<float> logits;
    for (const double p : probabilities)
        logits.push_back(static_cast<float>(std::log(p)));
    return logits;
}

inline TokenId sample_once(const SamplingOptions& options, const std::vector<float>& logits,
                           const std::vector<TokenId>& history = {}, std::vector<TokenId> end_tokens = {}) {
    Sampler sampler(options, 1, std::move(end_tokens));
    for (const TokenId id : history)
        sampler.accept(id);
    const auto id = sampler.sample(logits);
    EXPECT_TRUE(id.ok());
    return id.ok() ? *id : -1;
}

/// How often each token comes in `draws` draws.
inline std::map<TokenId, int> count(const SamplingOptions& options, const std::vector<float>& logits,
                                    int draws = 20000) {
    Sampler sampler(options, 42, {});
    std::map<TokenId, int> counts;
    for (int i = 0; i < draws; ++i)
        ++counts[*sampler.sample(logits)];
    return counts;
}

inline std::set<TokenId> reachable(const SamplingOptions& options, const std::vector<float>& logits) {
    std::set<TokenId> ids;
    for (const auto& [id, n] : count(options, logits))
        ids.insert(id);
    return ids;
}

/// Pearson's statistic of the counts against the expected probabilities.
inline double chi_square(const std::map<TokenId, int>& counts, const std::vector<double>& probabilities) {
    double total = 0;
    for (const auto& [id, n] : counts)
        total += n;
    double statistic = 0;
    for (std::size_t i = 0; i < probabilities.size(); ++i) {
        const auto found = counts.find(static_cast<TokenId>(i));
        const double observed = found == counts.end() ? 0 : found->second;
        const double expected = total * probabilities[i];
        if (expected > 0) statistic += (observed - expected) * (observed - expected) / expected;
    }
    return statistic;
}

/// As if the logits of `probabilities` had been assigned, in the form of a list or not.
inline Candidates candidates_of(const std::vector<double>& probabilities, bool as_list = true) {
    Candidates candidates;
    candidates.assign(log_of(probabilities));
    if (as_list) candidates.list();
    return candidates;
}

/// What each of the candidates that are left would be drawn with.
inline std::map<TokenId, double> probabilities(Candidates& candidates) {
    const double total = candidates.weigh();
    std::map<TokenId, double> found;
    for (const Candidate& candidate : candidates.list())
        found[candidate.id] = candidate.weight / total;
    return found;
}

inline std::set<TokenId> left(Candidates& candidates) {
    std::set<TokenId> ids;
    for (const auto& [id, probability] : probabilities(candidates))
        ids.insert(id);
    return ids;
}

}  // namespace puna::sampling
