// What the model itself thought of a token and its rivals, whatever sampling made of it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "puna/error.h"
#include "puna/request.h"

namespace puna::sampling {

/// Natural log-probabilities of the raw logits. Returns that of `id` (which must be in range), and fills `top` with the
/// `count` most probable, descending, ties by id; tokens of probability zero are left out.
/// Errors: invalid_number (a NaN or +infinity among the logits, or all of them -infinity).
Result<TokenLogprob> log_probabilities(std::span<const float> logits, TokenId id, std::uint32_t count,
                                       std::vector<TokenLogprob>& top);

}  // namespace puna::sampling
