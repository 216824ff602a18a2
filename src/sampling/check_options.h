// What the parameters of sampling say together: which steps run, and what cannot be meant.
#pragma once

#include <cstdint>
#include <vector>

#include "puna/error.h"
#include "puna/request.h"

namespace puna::sampling {

/// Checks every parameter by itself, and that none would be ignored because of another. `vocabulary`: ids run from 0 to
/// this less one. Errors: invalid_argument naming the parameter and its range, or the two that do not go together.
Result<void> check_options(const SamplingOptions& options, std::int64_t vocabulary);

/// Errors: invalid_argument, for numbers that no sampler leaves behind.
Result<void> check_state(const SamplerState& state);

/// The steps in the order that `options` asks for, or in the one that holds without.
std::vector<SamplingStep> steps_of(const SamplingOptions& options);

/// Whether the step's parameters make it do something.
bool is_on(SamplingStep step, const SamplingOptions& options);

}  // namespace puna::sampling
