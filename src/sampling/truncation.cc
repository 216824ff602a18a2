#include "sampling/truncation.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "sampling/selection.h"

namespace puna::sampling {
namespace {

/// Cuts a weighed list to its first ones by `before`, in that order, until they reach `share` of `total`. They are
/// taken from a heap one by one, as few are usually enough.
template <typename Before>
void keep_share(std::vector<Candidate>& list, double total, float share, Before before) {
    const auto after = [&](const Candidate& a, const Candidate& b) { return before(b, a); };
    std::make_heap(list.begin(), list.end(), after);
    double sum = 0;
    auto taken = list.end();  // [taken, end): the last one first
    while (taken != list.begin()) {
        std::pop_heap(list.begin(), taken, after);
        --taken;
        sum += taken->weight;
        // In float, like the parameter: 0.5 + 0.3 is to reach 0.8.
        if (static_cast<float>(sum / total) >= share) break;
    }
    list.erase(list.begin(), taken);
    std::reverse(list.begin(), list.end());
}

/// Mean and population variance of the finite ones among `count` values.
struct Spread {
    double mean = 0;
    double deviation = 0;
};

template <typename Value>
Spread spread(std::size_t count, Value value) {
    // Two passes, for exactness; lanes that do not wait for each other, added in a fixed order.
    constexpr std::size_t lanes = 8;
    const auto sum_of = [&](auto term) {
        std::array<double, lanes> sums = {};
        for (std::size_t i = 0; i < count; ++i)
            sums[i % lanes] += value(i) == -static_cast<double>(infinity) ? 0 : term(value(i));
        double sum = 0;
        for (const double lane : sums)
            sum += lane;
        return sum;
    };
    const double finite = sum_of([](double) { return 1.0; });
    Spread spread;
    spread.mean = sum_of([](double x) { return x; }) / finite;
    spread.deviation = std::sqrt(sum_of([&](double x) { return (x - spread.mean) * (x - spread.mean); }) / finite);
    return spread;
}

}  // namespace

void keep_top_k(Candidates& candidates, std::uint32_t k) {
    if (!candidates.is_list() && k >= candidates.logits().size()) return;
    candidates.keep_best(k);
}

void keep_top_p(Candidates& candidates, float p) {
    const double total = candidates.weigh();
    std::vector<Candidate>& list = candidates.list();
    if (!candidates.sorted()) {
        keep_share(list, total, p, more_probable);
        return candidates.set_sorted(true);
    }
    double sum = 0;
    std::size_t kept = 0;
    while (kept < list.size()) {
        sum += list[kept++].weight;
        if (static_cast<float>(sum / total) >= p) break;
    }
    list.resize(kept);
}

void keep_min_p(Candidates& candidates, float min_p) {
    candidates.weigh();  // the best has weight 1
    std::erase_if(candidates.list(),
                  [&](const Candidate& candidate) { return static_cast<float>(candidate.weight) < min_p; });
}

void keep_typical(Candidates& candidates, float p) {
    const double total = candidates.weigh();
    std::vector<Candidate>& list = candidates.list();
    const double log_total = std::log(total);
    const double best = std::max_element(list.begin(), list.end(), [](const Candidate& a, const Candidate& b) {
                            return a.logit < b.logit;
                        })->logit;
    const auto surprise = [&](const Candidate& candidate) { return log_total - (candidate.logit - best); };
    double entropy = 0;
    for (const Candidate& candidate : list) {
        if (candidate.weight > 0) entropy += candidate.weight / total * surprise(candidate);
    }
    const auto nearer = [&](const Candidate& a, const Candidate& b) {
        const double distance_a = std::abs(surprise(a) - entropy);
        const double distance_b = std::abs(surprise(b) - entropy);
        return distance_a < distance_b || (distance_a == distance_b && more_probable(a, b));
    };
    keep_share(list, total, p, nearer);
    candidates.set_sorted(false);
    candidates.unweigh();  // the best may be gone
}

void keep_top_n_sigma(Candidates& candidates, float n) {
    if (!candidates.is_list()) {
        const std::span<float> logits = candidates.logits();  // [vocabulary]
        const double best = greatest_value(logits);
        const double bar = best - static_cast<double>(n) * spread(logits.size(), [&](std::size_t i) {
                                                               return static_cast<double>(logits[i]);
                                                           }).deviation;
        for (float& logit : logits)
            logit = static_cast<double>(logit) >= bar ? logit : -infinity;
        return;
    }
    std::vector<Candidate>& list = candidates.list();
    double best = -static_cast<double>(infinity);
    for (const Candidate& candidate : list)
        best = std::max(best, candidate.logit);
    const double bar =
        best - static_cast<double>(n) * spread(list.size(), [&](std::size_t i) { return list[i].logit; }).deviation;
    std::erase_if(list, [&](const Candidate& candidate) { return candidate.logit < bar; });
}

void exclude_top_choices(Candidates& candidates, float threshold) {
    const double total = candidates.weigh();
    std::vector<Candidate>& list = candidates.list();
    const auto is_top = [&](const Candidate& candidate) {
        return static_cast<float>(candidate.weight / total) >= threshold;
    };
    const Candidate* last = nullptr;  // the least probable of the top choices
    std::size_t count = 0;
    for (const Candidate& candidate : list) {
        if (!is_top(candidate)) continue;
        ++count;
        if (last == nullptr || more_probable(*last, candidate)) last = &candidate;
    }
    if (count < 2) return;
    const TokenId kept = last->id;
    std::erase_if(list, [&](const Candidate& candidate) { return is_top(candidate) && candidate.id != kept; });
    candidates.unweigh();
}

}  // namespace puna::sampling
