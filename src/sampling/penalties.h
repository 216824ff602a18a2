// Penalties for tokens that came before, wherever they stood.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "puna/request.h"
#include "sampling/candidates.h"

namespace puna::sampling {

/// The last `repeat_last_n` tokens, and what they cost. For one thread.
///
/// For a token that stands n > 0 times in the window, logit l:
///     l' = (l > 0 ? l / repeat_penalty : l * repeat_penalty) - n * frequency_penalty - presence_penalty
/// The first part: Keskar et al. 2019, "CTRL", section 4.1, with the sign taken into account, so that a penalty over 1
/// always makes a token less probable. The others: OpenAI's API reference, "frequency and presence penalties".
class Penalties {
  public:
    explicit Penalties(const SamplingOptions& options);
    static bool is_on(const SamplingOptions& options);

    void accept(TokenId id);
    void clear();
    void apply(Candidates& candidates) const;

  private:
    float repeat_;
    float frequency_;
    float presence_;
    std::size_t last_n_;           // 0: off
    std::vector<TokenId> window_;  // a ring
    std::size_t oldest_ = 0;
    std::unordered_map<TokenId, std::uint32_t> counts_;  // how often each token stands in the window
};

}  // namespace puna::sampling
