#include "sampling/candidates.h"

#include <cassert>
#include <cmath>

#include "sampling/selection.h"

namespace puna::sampling {

void Candidates::assign(std::span<const float> logits) {
    logits_.assign(logits.begin(), logits.end());
    list_.clear();
    is_list_ = sorted_ = weighed_ = false;
}

std::vector<Candidate>& Candidates::list() {
    if (is_list_) return list_;
    is_list_ = true;
    for (std::size_t i = 0; i < logits_.size(); ++i) {
        if (logits_[i] != -infinity) list_.push_back({static_cast<TokenId>(i), logits_[i], 0});
    }
    return list_;
}

double Candidates::weigh() {
    list();
    if (!weighed_) {
        double best = -static_cast<double>(infinity);
        for (const Candidate& candidate : list_)
            best = std::max(best, candidate.logit);
        for (Candidate& candidate : list_)
            candidate.weight = std::exp(candidate.logit - best);
        weighed_ = true;
    }
    double total = 0;
    for (const Candidate& candidate : list_)
        total += candidate.weight;
    return total;
}

void Candidates::keep_best(std::size_t count) {
    if (!is_list_) {
        is_list_ = sorted_ = true;
        for (const TokenId id : greatest(logits_, count))
            list_.push_back({id, logits_[static_cast<std::size_t>(id)], 0});
        return;
    }
    if (!sorted_) {
        if (count < list_.size()) {
            std::nth_element(list_.begin(), list_.begin() + static_cast<std::ptrdiff_t>(count), list_.end(),
                             more_probable);
            list_.resize(count);
        }
        std::sort(list_.begin(), list_.end(), more_probable);
        sorted_ = true;
    }
    if (count < list_.size()) list_.resize(count);
}

TokenId Candidates::best() {
    if (is_list_) return std::min_element(list_.begin(), list_.end(), more_probable)->id;
    const float greatest = greatest_value(logits_);
    return static_cast<TokenId>(std::find(logits_.begin(), logits_.end(), greatest) - logits_.begin());
}

std::size_t Candidates::draw(double uniform) {
    const double target = uniform * weigh();
    double sum = 0;
    std::size_t drawn = 0;
    for (std::size_t i = 0; i < list_.size(); ++i) {
        if (list_[i].weight == 0) continue;
        sum += list_[i].weight;
        drawn = i;
        if (sum > target) break;
    }
    return drawn;
}

}  // namespace puna::sampling
