// The tokens that may still come, as the steps of the chain find and leave them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "puna/model.h"
#include "sampling/logits.h"

namespace puna::sampling {

struct Candidate {
    TokenId id;
    double logit;
    double weight;  // exp(logit - greatest logit), once weighed
};

/// More probable, the lower id first among equals: the order of all that is cut by rank.
/// An object, not a function, which sorting would call through a pointer.
inline constexpr auto more_probable = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
};

/// Begins as the logits of the whole vocabulary, which is the quickest form for what looks at few of them, and becomes
/// a list with the first step that asks for one. For one thread; its memory is used again for the next token.
///
/// All sums run in the order of the list, which depends on the logits and the steps alone (ascending id, or descending
/// logit with ties by id, or the order of `typical`), so that the same logits give the same bits.
class Candidates {
  public:
    /// Starts anew. The logits have passed `check_logits`.
    void assign(std::span<const float> logits);

    /// The whole vocabulary, to be changed in place, -infinity for what may not come. Only before `list`.
    std::span<float> logits() { return logits_; }
    bool is_list() const { return is_list_; }

    /// What is left, -infinity left out. Never empty after a step if it was not before.
    std::vector<Candidate>& list();
    /// `list` with each candidate's weight. Returns their sum.
    double weigh();
    /// After logits of the list were changed, or its best was taken out.
    void unweigh() { weighed_ = false; }

    /// Cuts to the `count` most probable, in descending order.
    void keep_best(std::size_t count);
    bool sorted() const { return sorted_; }
    void set_sorted(bool sorted) { sorted_ = sorted; }

    /// Puts change(logit, value) in the place of the logits of `values`, a map from ids. What may not come stays so,
    /// and all others stay finite.
    template <typename Map, typename Change>
    void change(const Map& values, Change change) {
        const auto apply = [&](auto& logit, const auto& value) {
            if (logit == -infinity) return;
            logit = std::clamp<std::remove_reference_t<decltype(logit)>>(change(logit, value), -greatest_float,
                                                                         greatest_float);
        };
        if (!is_list_) {
            for (const auto& [id, value] : values) {
                if (static_cast<std::size_t>(id) < logits_.size()) apply(logits_[static_cast<std::size_t>(id)], value);
            }
            return;
        }
        for (Candidate& candidate : list_) {
            if (const auto found = values.find(candidate.id); found != values.end())
                apply(candidate.logit, found->second);
        }
        sorted_ = weighed_ = false;
    }

    /// The most probable one, the lowest id among equals. There must be one.
    TokenId best();
    /// The index in `list` of the one that `uniform`, in [0, 1), falls on, by weight.
    std::size_t draw(double uniform);

  private:
    std::vector<float> logits_;  // [vocabulary]
    std::vector<Candidate> list_;
    bool is_list_ = false;
    bool sorted_ = false;   // the list descends by logit, ties by id
    bool weighed_ = false;  // the list's weights are right
};

}  // namespace puna::sampling
