// What every use of a model's logits begins with.
#pragma once

#include <limits>
#include <span>

#include "puna/error.h"

namespace puna::sampling {

inline constexpr float infinity = std::numeric_limits<float>::infinity();
inline constexpr float greatest_float = std::numeric_limits<float>::max();

/// -infinity is a logit, and masks its token. Errors: invalid_number for NaN and +infinity.
Result<void> check_logits(std::span<const float> logits);

/// The error of logits that are all -infinity.
Error nothing_left();

}  // namespace puna::sampling
