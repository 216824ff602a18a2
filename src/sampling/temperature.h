// Flatter or steeper: the temperature, fixed or by entropy.
#pragma once

#include "puna/request.h"
#include "sampling/candidates.h"

namespace puna::sampling {

/// l' = (l - greatest l) / T. Without dynatemp_range, T is `temperature` (Ackley et al. 1985, "A Learning Algorithm for
/// Boltzmann Machines"). With it, T depends on how sure the model is: with H the entropy of the n candidates at
/// temperature 1,
///     T = low + (high - low) * (H / ln n)^dynatemp_exponent,
/// low and high being temperature -+ dynatemp_range. Source: K. A. Lisowski (kalomaze) 2023, "Dynamic Temperature
/// Sampling", with the range and exponent of pull request 4972 of ggml-org/llama.cpp. `temperature` is not 0.
void apply_temperature(Candidates& candidates, const SamplingOptions& options);

}  // namespace puna::sampling
