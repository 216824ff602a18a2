#include "sampling/adaptive_p.h"

#include <algorithm>
#include <cmath>

namespace puna::sampling {
namespace {

constexpr double peak = 5;
constexpr double sharpness = 10;
constexpr double width = 0.3;

}  // namespace

std::size_t draw_by_adaptive_p(Candidates& candidates, const SamplingOptions& options, double uniform,
                               SamplerState& state) {
    const double target = options.adaptive_target;
    const double decay = options.adaptive_decay;
    if (state.adaptive_weight == 0) {
        state.adaptive_weight = 1 / (1 - decay);
        state.adaptive_sum = target * state.adaptive_weight;
    }
    const double aim = std::clamp(2 * target - state.adaptive_sum / state.adaptive_weight, 0.0, 1.0);
    const double total = candidates.weigh();
    std::vector<Candidate>& list = candidates.list();
    std::vector<double> probabilities;  // [candidates], before
    probabilities.reserve(list.size());
    for (Candidate& candidate : list) {
        const double probability = candidate.weight / total;
        const double distance = std::abs(probability - aim) / width;
        candidate.logit = peak - sharpness * distance * distance / (1 + distance);
        probabilities.push_back(probability);
    }
    candidates.unweigh();
    const std::size_t drawn = candidates.draw(uniform);
    state.adaptive_sum = probabilities[drawn] + decay * state.adaptive_sum;
    state.adaptive_weight = 1 + decay * state.adaptive_weight;
    return drawn;
}

}  // namespace puna::sampling
