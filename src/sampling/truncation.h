// Steps that take tokens out of the running and leave the others' logits as they are. Each leaves at least one, and
// probabilities are those among the candidates that the step finds.
#pragma once

#include <cstdint>

#include "sampling/candidates.h"

namespace puna::sampling {

/// The k most probable (Fan et al. 2018, "Hierarchical Neural Story Generation", section 5.4).
void keep_top_k(Candidates& candidates, std::uint32_t k);

/// The smallest set of the most probable whose probabilities reach p (Holtzman et al. 2019, "The Curious Case of Neural
/// Text Degeneration").
void keep_top_p(Candidates& candidates, float p);

/// What is at least min_p times as probable as the best (Nguyen et al. 2024, "Turning Up the Heat: Min-p Sampling").
void keep_min_p(Candidates& candidates, float min_p);

/// Locally typical sampling (Meister et al. 2022): with H the entropy, the smallest set of tokens whose surprise -ln p
/// is nearest to H and whose probabilities reach p. Of equally near ones the more probable comes first.
void keep_typical(Candidates& candidates, float p);

/// Logits of at least (greatest logit) - n * (standard deviation of the logits) (Tang et al. 2024, "Top-n-sigma: Not
/// All Logits Are You Need"). The deviation is that of the population, and tokens that may not come do not belong to
/// it.
void keep_top_n_sigma(Candidates& candidates, float n);

/// XTC, "Exclude Top Choices": if two tokens or more have a probability of at least the threshold, all of them go but
/// the least probable one (P. E. Weidmann 2024, pull request 6335 of oobabooga/text-generation-webui). Whether it is
/// done at all, with xtc_probability, is the caller's to draw.
void exclude_top_choices(Candidates& candidates, float threshold);

}  // namespace puna::sampling
