#include "sampling/truncation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>

#include "sampling/selection.h"

namespace puna::sampling {
namespace {

constexpr std::size_t buckets = 1024;

/// Cuts a weighed list to its first ones by `before`, in that order, until they reach `share` of `total`. `key` ascends
/// with it: before(a, b) implies key(a) <= key(b).
///
/// Few are usually enough. So candidates are put into buckets by their keys, whose weights say about where the share is
/// reached, and bucket after bucket is sorted until it is. The result is that of sorting all.
template <typename Key, typename Before>
void keep_share(std::vector<Candidate>& list, double total, float share, Key key, Before before) {
    double least = std::numeric_limits<double>::max();  // of the keys of all that weigh something
    double greatest = std::numeric_limits<double>::lowest();
    for (const Candidate& candidate : list) {
        least = candidate.weight > 0 ? std::min(least, key(candidate)) : least;
        greatest = candidate.weight > 0 ? std::max(greatest, key(candidate)) : greatest;
    }
    const double spread = double{buckets} / (greatest - least);
    const double scale = std::isfinite(spread) ? spread : 0;  // all in one bucket if all keys are equal
    const auto bucket_of = [&](const Candidate& candidate) {
        return static_cast<std::size_t>(std::clamp((key(candidate) - least) * scale, 0.0, double{buckets - 1}));
    };
    std::array<double, buckets> weights = {};
    std::array<std::size_t, buckets> ends = {};  // at first their sizes
    for (const Candidate& candidate : list) {
        const std::size_t bucket = bucket_of(candidate);
        weights[bucket] += candidate.weight;
        ++ends[bucket];
    }
    std::partial_sum(ends.begin(), ends.end(), ends.begin());
    std::size_t border = 0;  // the first bucket behind those that are needed
    for (double sum = 0; border < buckets && sum < static_cast<double>(share) * total; ++border)
        sum += weights[border];

    std::vector<Candidate> kept;
    for (;; border = buckets) {  // of another sum's rounding, all are needed
        kept.resize(border == 0 ? 0 : ends[border - 1]);
        std::array<std::size_t, buckets> next = {};  // where each bucket's next candidate goes
        std::copy(ends.begin(), ends.end() - 1, next.begin() + 1);
        for (const Candidate& candidate : list) {
            const std::size_t bucket = bucket_of(candidate);
            if (bucket < border) kept[next[bucket]++] = candidate;
        }
        double sum = 0;
        auto at = kept.begin();
        for (std::size_t bucket = 0; bucket < border; ++bucket) {
            const auto end = kept.begin() + static_cast<std::ptrdiff_t>(ends[bucket]);
            std::sort(at, end, before);
            while (at != end) {
                sum += at++->weight;
                // In float, like the parameter: 0.5 + 0.3 is to reach 0.8.
                if (static_cast<float>(sum / total) < share) continue;
                return list.assign(kept.begin(), at);  // its memory stays, for the next token
            }
        }
        if (border == buckets) return list.assign(kept.begin(), kept.end());
    }
}

/// The population's standard deviation of the finite ones among `count` values. Two passes, for exactness; lanes that
/// do not wait for each other, added in a fixed order.
template <typename Value>
double deviation(std::size_t count, Value value) {
    constexpr std::size_t lanes = 8;
    using Lanes = std::array<double, lanes>;
    const auto each = [&](auto take) {
        std::size_t i = 0;
        for (; i + lanes <= count; i += lanes) {
            for (std::size_t lane = 0; lane < lanes; ++lane)
                take(lane, value(i + lane));
        }
        for (; i < count; ++i)
            take(i % lanes, value(i));
    };
    const auto total = [](const Lanes& sums) { return std::accumulate(sums.begin(), sums.end(), 0.0); };
    const auto is_finite = [](double x) { return x >= -std::numeric_limits<double>::max(); };
    Lanes counts = {};
    Lanes sums = {};
    each([&](std::size_t lane, double x) {
        counts[lane] += is_finite(x) ? 1 : 0;
        sums[lane] += is_finite(x) ? x : 0;
    });
    const double mean = total(sums) / total(counts);
    Lanes squares = {};
    each([&](std::size_t lane, double x) {
        const double difference = is_finite(x) ? x - mean : 0;
        squares[lane] += difference * difference;
    });
    return std::sqrt(total(squares) / total(counts));
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
        keep_share(list, total, p, [](const Candidate& candidate) { return -candidate.logit; }, more_probable);
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
    const auto distance = [&](const Candidate& candidate) { return std::abs(surprise(candidate) - entropy); };
    const auto nearer = [&](const Candidate& a, const Candidate& b) {
        return distance(a) < distance(b) || (distance(a) == distance(b) && more_probable(a, b));
    };
    keep_share(list, total, p, distance, nearer);
    candidates.set_sorted(false);
    candidates.unweigh();  // the best may be gone
}

void keep_top_n_sigma(Candidates& candidates, float n) {
    if (!candidates.is_list()) {
        const std::span<float> logits = candidates.logits();  // [vocabulary]
        const double best = greatest_value(logits);
        const auto value = [&](std::size_t i) { return static_cast<double>(logits[i]); };
        const double bar = best - static_cast<double>(n) * deviation(logits.size(), value);
        for (float& logit : logits)
            logit = static_cast<double>(logit) >= bar ? logit : -infinity;
        return;
    }
    std::vector<Candidate>& list = candidates.list();
    double best = -static_cast<double>(infinity);
    for (const Candidate& candidate : list)
        best = std::max(best, candidate.logit);
    const auto value = [&](std::size_t i) { return list[i].logit; };
    const double bar = best - static_cast<double>(n) * deviation(list.size(), value);
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
