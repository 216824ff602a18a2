#include "sampling/truncation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/rng.h"
#include "sampling/drawing.h"

namespace puna::sampling {
namespace {

using Ids = std::set<TokenId>;

// Surprises 1, 2, 3, 3 bits, entropy 1.75: they are 0.75, 0.25, 1.25, 1.25 away.
TEST(Typical, KeepsWhatIsNearestToTheEntropy) {
    const auto kept = [](float p) {
        Candidates candidates = candidates_of({0.5, 0.25, 0.125, 0.125});
        keep_typical(candidates, p);
        return left(candidates);
    };
    EXPECT_EQ(kept(0.2F), Ids{1});
    EXPECT_EQ(kept(0.3F), (Ids{0, 1}));
    EXPECT_EQ(kept(0.74F), (Ids{0, 1}));
    EXPECT_EQ(kept(0.8F), (Ids{0, 1, 2}));  // the lower id among equals
    EXPECT_EQ(kept(0.9F), (Ids{0, 1, 2, 3}));
}

TEST(Typical, LeavesTheOthersTheirProportions) {
    Candidates candidates = candidates_of({0.5, 0.25, 0.125, 0.125});
    keep_typical(candidates, 0.7F);
    const auto found = probabilities(candidates);
    EXPECT_NEAR(found.at(0), 2.0 / 3, 1e-7);
    EXPECT_NEAR(found.at(1), 1.0 / 3, 1e-7);
}

TEST(Typical, MayDropTheBest) {
    Candidates candidates =
        candidates_of({0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1});  // entropy 2.52 bits, surprise 1.32, 3.32
    keep_typical(candidates, 0.1F);
    EXPECT_EQ(left(candidates), Ids{1});
    EXPECT_NEAR(probabilities(candidates).at(1), 1, 1e-12);
}

// Mean 2, deviation sqrt(2).
TEST(TopNSigma, KeepsLogitsNearTheGreatest) {
    for (const bool as_list : {false, true}) {
        const auto kept = [&](float n) {
            Candidates candidates;
            candidates.assign(std::vector<float>{4, 0, -inf, 3, 1, 2});
            if (as_list) candidates.list();
            keep_top_n_sigma(candidates, n);
            return left(candidates);
        };
        EXPECT_EQ(kept(0.5F), Ids{0});             // from 3.29
        EXPECT_EQ(kept(1), (Ids{0, 3}));           // from 2.59
        EXPECT_EQ(kept(2), (Ids{0, 3, 5}));        // from 1.17
        EXPECT_EQ(kept(2.8F), (Ids{0, 3, 4, 5}));  // from 0.04
        EXPECT_EQ(kept(3e38F), (Ids{0, 1, 3, 4, 5}));
    }
}

TEST(TopNSigma, OfEqualLogitsKeepsAll) {
    Candidates candidates;
    candidates.assign(std::vector<float>{3, 3, 3});
    keep_top_n_sigma(candidates, 1);
    EXPECT_EQ(left(candidates), (Ids{0, 1, 2}));
}

TEST(Xtc, KeepsTheLeastOfTheTopChoices) {
    const auto kept = [](const std::vector<double>& p, float threshold) {
        Candidates candidates = candidates_of(p);
        exclude_top_choices(candidates, threshold);
        return left(candidates);
    };
    EXPECT_EQ(kept({0.4, 0.3, 0.2, 0.1}, 0.15F), (Ids{2, 3}));
    EXPECT_EQ(kept({0.4, 0.3, 0.2, 0.1}, 0.25F), (Ids{1, 2, 3}));
    EXPECT_EQ(kept({0.4, 0.3, 0.2, 0.1}, 0.35F), (Ids{0, 1, 2, 3}));  // one alone stays
    EXPECT_EQ(kept({0.4, 0.3, 0.2, 0.1}, 0.5F), (Ids{0, 1, 2, 3}));
    EXPECT_EQ(kept({0.3, 0.3, 0.4}, 0.25F), Ids{1});  // the last by rank
    EXPECT_EQ(kept({0.5, 0.5}, 0.5F), Ids{1});        // at the threshold is a top choice
}

TEST(Xtc, GivesTheOthersTheRoom) {
    Candidates candidates = candidates_of({0.4, 0.3, 0.2, 0.1});
    exclude_top_choices(candidates, 0.15F);
    EXPECT_NEAR(probabilities(candidates).at(2), 2.0 / 3, 1e-7);
}

TEST(Xtc, HappensAsOftenAsAsked) {
    SamplingOptions options = plain();
    options.xtc_probability = 0.25F;
    options.xtc_threshold = 0.2F;
    // With 0.25 only {2, 3} come, 2/3 to 1/3; else all.
    const std::vector<double> expected = {0.75 * 0.4, 0.75 * 0.3, 0.75 * 0.2 + 0.25 * 2 / 3, 0.75 * 0.1 + 0.25 / 3};
    EXPECT_LT(chi_square(count(options, log_of({0.4, 0.3, 0.2001, 0.0999})), expected), 16.3);  // 99.9 %, 3 degrees
    options.xtc_probability = 1;
    EXPECT_EQ(reachable(options, log_of({0.4, 0.3, 0.2001, 0.0999})), (Ids{2, 3}));
}

// Its random numbers are not those of the choice: where it does nothing, the tokens are those without it.
TEST(Xtc, DrawsFromALaneOfItsOwn) {
    SamplingOptions options = plain();
    const std::vector<float> logits = log_of({0.3, 0.25, 0.25, 0.2});
    Sampler without(options, 9, {});
    options.xtc_probability = 0.5F;
    options.xtc_threshold = 0.15F;
    Sampler with(options, 9, {});
    int happened = 0;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const TokenId free = *without.sample(logits);
        const bool happens = base::uniform_draw(9, i, 1) < 0.5;
        happened += happens ? 1 : 0;
        EXPECT_EQ(*with.sample(logits), happens ? 3 : free) << i;
    }
    EXPECT_NEAR(happened, 500, 60);
}

// ---- Cuts by a share of the probability, beside the definition: sort all, take the first ones ----

/// Logits of many shapes, -infinity among them; the last ones have ties throughout.
std::vector<std::vector<float>> many_logits() {
    std::vector<std::vector<float>> all;
    for (const std::size_t count : {1U, 2U, 7U, 300U, 20000U}) {
        const auto make = [&](auto value) {
            std::vector<float> logits(count);
            for (std::size_t i = 0; i < count; ++i)
                logits[i] = static_cast<float>(value(i, base::uniform_draw(count, i)));
            all.push_back(std::move(logits));
        };
        const auto cut = [](std::size_t i, double x) { return i % 3 == 1 ? -double{inf} : x; };
        make([&](std::size_t i, double u) { return cut(i, std::log(u + 1e-9)); });
        make([](std::size_t, double u) { return 3 * std::log(u / (1 - u) + 1e-9); });  // logistic
        make([](std::size_t, double u) { return 1e-7 * u; });
        make([](std::size_t i, double u) { return i == 0 ? 1000 : 100 * u; });  // all others weigh nothing
        make([](std::size_t i, double u) { return i % 2 == 0 ? 3e38 : 30 * u; });
        make([](std::size_t, double u) { return 3.4e38 * (2 * u - 1); });
        make([](std::size_t, double u) { return std::floor(5 * u); });
        make([](std::size_t, double) { return -2; });
    }
    return all;
}

/// Sorted by `before` of two candidates, the first ones that reach `p` of `total`.
template <typename Before>
std::vector<TokenId> first_by(std::vector<Candidate> list, double total, float p, Before before) {
    std::sort(list.begin(), list.end(), before);
    std::vector<TokenId> ids;
    double sum = 0;
    for (const Candidate& candidate : list) {
        ids.push_back(candidate.id);
        sum += candidate.weight;
        if (static_cast<float>(sum / total) >= p) break;
    }
    return ids;
}

std::vector<TokenId> ids_in_order(Candidates& candidates) {
    std::vector<TokenId> ids;
    for (const Candidate& candidate : candidates.list())
        ids.push_back(candidate.id);
    return ids;
}

constexpr float shares[] = {1e-30F, 0.1F, 0.5F, 0.8F, 0.95F, 0.999F, 0.99999994F};

TEST(TopP, KeepsWhatSortingAllWouldKeep) {
    for (const std::vector<float>& logits : many_logits()) {
        for (const float p : shares) {
            Candidates candidates;
            candidates.assign(logits);
            const double total = candidates.weigh();
            const auto expected = first_by(candidates.list(), total, p, more_probable);
            keep_top_p(candidates, p);
            EXPECT_TRUE(candidates.sorted());
            ASSERT_EQ(ids_in_order(candidates), expected) << logits.size() << " logits, p " << p;
        }
    }
}

TEST(Typical, KeepsWhatSortingAllWouldKeep) {
    for (const std::vector<float>& logits : many_logits()) {
        for (const float p : shares) {
            Candidates candidates;
            candidates.assign(logits);
            const double total = candidates.weigh();
            const std::vector<Candidate> list = candidates.list();
            const double best = std::max_element(list.begin(), list.end(), [](const auto& a, const auto& b) {
                                    return a.logit < b.logit;
                                })->logit;
            const auto surprise = [&](const Candidate& c) { return std::log(total) - (c.logit - best); };
            double entropy = 0;
            for (const Candidate& c : list)
                entropy += c.weight == 0 ? 0 : c.weight / total * surprise(c);
            const auto nearer = [&](const Candidate& a, const Candidate& b) {
                const double to_a = std::abs(surprise(a) - entropy), to_b = std::abs(surprise(b) - entropy);
                return to_a != to_b ? to_a < to_b : more_probable(a, b);
            };
            const auto expected = first_by(list, total, p, nearer);
            keep_typical(candidates, p);
            ASSERT_EQ(ids_in_order(candidates), expected) << logits.size() << " logits, p " << p;
        }
    }
}

TEST(TopP, AgreesOnAListThatIsSortedAlready) {
    for (const float p : {0.1F, 0.5F, 0.8F, 0.95F, 0.999F}) {
        std::vector<double> many(200);
        for (std::size_t i = 0; i < many.size(); ++i)
            many[i] = base::uniform_draw(2, i);
        Candidates heap = candidates_of(many);
        Candidates sorted = candidates_of(many, false);
        keep_top_k(sorted, 199);  // all but the least
        keep_top_k(heap, 199);
        heap.set_sorted(false);
        keep_top_p(heap, p);
        keep_top_p(sorted, p);
        ASSERT_EQ(heap.list().size(), sorted.list().size());
        for (std::size_t i = 0; i < heap.list().size(); ++i)
            EXPECT_EQ(heap.list()[i].id, sorted.list()[i].id);
    }
}

}  // namespace
}  // namespace puna::sampling
