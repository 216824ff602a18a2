#include "sampling/mirostat.h"

#include <algorithm>
#include <cmath>

namespace puna::sampling {
namespace {

constexpr std::size_t estimated_from = 100;  // ratios of neighbours

/// The exponent of Zipf's law, p_i ~ i^-s, by least squares. `list`: weighed, in descending order.
double zipf_exponent(const std::vector<Candidate>& list) {
    double above = 0;
    double below = 0;
    for (std::size_t i = 0; i + 1 < list.size() && i < estimated_from; ++i) {
        if (list[i + 1].weight == 0) break;
        const double t = std::log(static_cast<double>(i + 2) / static_cast<double>(i + 1));
        above += t * (list[i].logit - list[i + 1].logit);
        below += t * t;
    }
    return below > 0 ? above / below : 0;
}

std::size_t tokens_kept(double s, double mu, std::size_t count) {
    if (s <= 0) return count;  // all equally probable: no cut changes the surprise
    const double n = static_cast<double>(count);
    const double e = s - 1;
    const double ratio = std::abs(e) < 1e-9 ? 1 / std::log(n) : e / (1 - std::pow(n, -e));  // the limit for e = 0
    const double k = std::round(std::pow(ratio * std::exp2(mu), 1 / s)) + 1;
    return k >= 1 && k < n ? static_cast<std::size_t>(k) : count;
}

}  // namespace

std::size_t draw_by_mirostat(Candidates& candidates, const SamplingOptions& options, double uniform,
                             std::optional<double>& mu) {
    if (!mu) mu = 2 * static_cast<double>(options.mirostat_tau);
    const double total = candidates.weigh();
    std::vector<Candidate>& list = candidates.list();
    if (options.mirostat == 1) {
        const std::size_t count = list.size();
        const auto head = static_cast<std::ptrdiff_t>(std::min(count, estimated_from + 1));
        std::partial_sort(list.begin(), list.begin() + head, list.end(), more_probable);
        candidates.keep_best(tokens_kept(zipf_exponent(list), *mu, count));
    } else {
        const double least = std::exp2(-*mu);
        const TokenId best = candidates.best();
        std::erase_if(
            list, [&](const Candidate& candidate) { return candidate.weight / total < least && candidate.id != best; });
    }
    const std::size_t drawn = candidates.draw(uniform);
    const double surprise = -std::log2(list[drawn].weight / total);
    *mu -= static_cast<double>(options.mirostat_eta) * (surprise - options.mirostat_tau);
    return drawn;
}

}  // namespace puna::sampling
