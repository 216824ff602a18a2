#include "sampling/penalties.h"

namespace puna::sampling {

bool Penalties::is_on(const SamplingOptions& options) {
    return options.repeat_last_n != 0 &&
           (options.repeat_penalty != 1 || options.frequency_penalty != 0 || options.presence_penalty != 0);
}

Penalties::Penalties(const SamplingOptions& options)
    : repeat_(options.repeat_penalty),
      frequency_(options.frequency_penalty),
      presence_(options.presence_penalty),
      last_n_(is_on(options) ? options.repeat_last_n : 0) {}

void Penalties::accept(TokenId id) {
    if (last_n_ == 0) return;
    ++counts_[id];
    if (window_.size() < last_n_) {
        window_.push_back(id);
        return;
    }
    const auto leaving = counts_.find(window_[oldest_]);
    if (--leaving->second == 0) counts_.erase(leaving);
    window_[oldest_] = id;
    oldest_ = (oldest_ + 1) % window_.size();
}

void Penalties::clear() {
    window_.clear();
    counts_.clear();
    oldest_ = 0;
}

void Penalties::apply(Candidates& candidates) const {
    candidates.change(counts_, [this](auto logit, std::uint32_t count) {
        using Number = decltype(logit);
        const Number repeated = logit > 0 ? logit / repeat_ : logit * repeat_;
        return repeated - (static_cast<Number>(count) * frequency_ + presence_);
    });
}

}  // namespace puna::sampling
