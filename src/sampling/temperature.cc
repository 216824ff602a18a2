#include "sampling/temperature.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace puna::sampling {
namespace {

double dynamic_temperature(Candidates& candidates, const SamplingOptions& options) {
    const double low = static_cast<double>(options.temperature) - options.dynatemp_range;
    const double high = static_cast<double>(options.temperature) + options.dynatemp_range;
    const double total = candidates.weigh();
    double entropy = 0;
    for (const Candidate& candidate : candidates.list()) {
        const double probability = candidate.weight / total;
        if (probability > 0) entropy -= probability * std::log(probability);
    }
    const std::size_t count = candidates.list().size();
    const double share = count < 2 ? 0 : std::clamp(entropy / std::log(static_cast<double>(count)), 0.0, 1.0);
    // Never zero, which would divide zero by it.
    return std::max(low + (high - low) * std::pow(share, static_cast<double>(options.dynatemp_exponent)),
                    std::numeric_limits<double>::denorm_min());
}

}  // namespace

void apply_temperature(Candidates& candidates, const SamplingOptions& options) {
    const double temperature = options.dynatemp_range > 0 ? dynamic_temperature(candidates, options)
                                                          : static_cast<double>(options.temperature);
    std::vector<Candidate>& list = candidates.list();
    double best = -static_cast<double>(infinity);
    for (const Candidate& candidate : list)
        best = std::max(best, candidate.logit);
    for (Candidate& candidate : list)
        candidate.logit = (candidate.logit - best) / temperature;
    // An extreme temperature makes one certain, and then the others are none.
    std::erase_if(list, [](const Candidate& candidate) { return std::isinf(candidate.logit); });
    candidates.unweigh();
}

}  // namespace puna::sampling
