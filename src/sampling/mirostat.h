// Mirostat: the cut that keeps the text's surprise where it is wanted.
#pragma once

#include <cstddef>
#include <optional>

#include "puna/request.h"
#include "sampling/candidates.h"

namespace puna::sampling {

/// Basu et al. 2021, "Mirostat: A Neural Text Decoding Algorithm that Directly Controls Perplexity". p are the
/// probabilities of the candidates, N their number, and mu, which is 2 tau before the first token, bounds the surprise.
///
/// Version 1, algorithm 1 of the paper: with p in descending order, t_i = ln((i + 1) / i) and b_i = ln(p_i / p_(i+1))
/// for i from 1 to 100,
///     s = sum(t_i b_i) / sum(t_i^2),   e = s - 1,   k = round((e 2^mu / (1 - N^-e))^(1/s)) + 1,
/// and the k most probable are drawn from. (The 1 is added by the authors' program, not by the paper.)
/// Version 2, from the same authors: tokens of a surprise -log2 p over mu are taken out, but for the most probable.
///
/// Then mu' = mu - eta (S - tau), where S = -log2 p of the token that was drawn, by its probability before the cut.
///
/// Returns the index in the list of the one that was drawn. `options.mirostat` is 1 or 2.
std::size_t draw_by_mirostat(Candidates& candidates, const SamplingOptions& options, double uniform,
                             std::optional<double>& mu);

}  // namespace puna::sampling
