// Adaptive-p: favours tokens of a probability near a target, and steers their average there.
#pragma once

#include <cstddef>

#include "puna/request.h"
#include "sampling/candidates.h"

namespace puna::sampling {

/// With a the average of the probabilities p of the tokens chosen so far, each weighing adaptive_decay times what the
/// next one does, and as if endlessly many tokens of the target's probability had come before the first:
///     t = min(1, max(0, 2 adaptive_target - a)),   d = |p - t| / 0.3,   l' = 5 - 10 d^2 / (1 + d),
/// and one is drawn by l'. Source: MrJackSpade and ddh0 2025, pull request 17927 of ggml-org/llama.cpp.
///
/// Returns the index in the list of the one that was drawn, and adds its p to the state. It takes no token out, so
/// improbable ones are best cut before, by min-p for example.
std::size_t draw_by_adaptive_p(Candidates& candidates, const SamplingOptions& options, double uniform,
                               SamplerState& state);

}  // namespace puna::sampling
