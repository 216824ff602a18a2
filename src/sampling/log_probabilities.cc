#include "sampling/log_probabilities.h"

#include <cmath>

#include "base/try.h"
#include "sampling/logits.h"
#include "sampling/selection.h"

namespace puna::sampling {

Result<TokenLogprob> log_probabilities(std::span<const float> logits, TokenId id, std::uint32_t count,
                                       std::vector<TokenLogprob>& top) {
    top.clear();
    PUNA_CHECK(check_logits(logits));
    const float best = greatest_value(logits);
    if (best == -infinity) return nothing_left();
    double sum = 0;
    for (const float logit : logits)
        sum += std::exp(static_cast<double>(logit) - best);
    const double log_sum = std::log(sum);
    const auto logprob = [&](TokenId token) {
        return TokenLogprob{token, (static_cast<double>(logits[static_cast<std::size_t>(token)]) - best) - log_sum};
    };
    for (const TokenId token : greatest(logits, count))
        top.push_back(logprob(token));
    return logprob(id);
}

}  // namespace puna::sampling
