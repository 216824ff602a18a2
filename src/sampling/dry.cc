#include "sampling/dry.h"

#include <algorithm>
#include <cmath>

namespace puna::sampling {

Dry::Dry(const SamplingOptions& options, std::span<const TokenId> breakers)
    : on_(is_on(options)),
      multiplier_(options.dry_multiplier),
      base_(options.dry_base),
      allowed_length_(options.dry_allowed_length),
      last_n_(options.dry_last_n),
      breakers_(breakers.begin(), breakers.end()) {}

void Dry::accept(TokenId id) {
    if (on_) text_.push_back(id);
}

std::unordered_map<TokenId, std::size_t> Dry::repetitions() {
    const std::size_t length = last_n_ == 0 ? text_.size() : std::min(text_.size(), last_n_);
    const auto back = [&](std::size_t i) { return text_[text_.size() - 1 - i]; };  // read backwards
    std::size_t longest = 0;                                                       // up to the last breaker
    while (longest < length && !breakers_.contains(back(longest)))
        ++longest;
    std::unordered_map<TokenId, std::size_t> found;
    if (longest == 0) return found;
    same_.assign(length, 0);
    std::size_t begin = 0;  // of the stretch that is known to be alike and reaches furthest: [begin, end)
    std::size_t end = 0;
    for (std::size_t i = 1; i < length; ++i) {
        std::size_t same = i < end ? std::min(end - i, same_[i - begin]) : 0;
        while (i + same < length && back(same) == back(i + same))
            ++same;
        same_[i] = same;
        if (i + same > end) {
            begin = i;
            end = i + same;
        }
        const TokenId next = back(i - 1);  // what stood behind it then
        if (same == 0 || breakers_.contains(next)) continue;
        std::size_t& greatest = found[next];
        greatest = std::max(greatest, std::min(same, longest));
    }
    return found;
}

void Dry::apply(Candidates& candidates) {
    candidates.change(repetitions(), [this](auto logit, std::size_t length) {
        if (length < allowed_length_) return logit;
        const double penalty = multiplier_ * std::pow(base_, static_cast<double>(length - allowed_length_));
        return static_cast<decltype(logit)>(
            std::max(static_cast<double>(logit) - penalty, -static_cast<double>(greatest_float)));
    });
}

}  // namespace puna::sampling
