// The point of a code book that is nearest to a group of weights, of which each counts differently.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "quant/codebooks.h"
#include "quant/law.h"

namespace puna::quant {

/// One float for each weight of a code of `Book`.
template <typename Book>
using PointValues = std::array<Lanes, Book::weights / 4>;

/// Finds points. Every weight is first rounded to the nearest of the `levels` values that points are made of. The cells
/// of this rounding are few, and of each it is known which points lie next to its centre: the nearest point is sought
/// among these. Immutable once made; made once for a program's run, in up to 0.2 s.
template <typename Book, int levels>
class PointFinder {
  public:
    using Values = PointValues<Book>;

    /// A byte b of a point stands for b * step + offset.
    template <std::size_t points>
    PointFinder(const Codebook<points, Book::weights>& book, float step, float offset) : points_(points) {
        std::array<bool, 256> used = {};
        for (std::size_t p = 0; p < points; ++p) {
            for (int i = 0; i < Book::weights; ++i) {
                const auto byte = static_cast<std::size_t>((book.at[p] >> (8 * i)) & 255u);
                used[byte] = true;
                points_[p][i / 4][i % 4] = static_cast<float>(byte) * step + offset;
            }
        }
        int level = 0;
        for (std::size_t byte = 0; byte < used.size(); ++byte) {
            if (used[byte]) level_[level++] = static_cast<float>(byte) * step + offset;
        }
        float place = 1.0f;
        for (Lanes& four : places_) {
            for (int j = 0; j < 4; ++j, place *= levels)
                four[j] = place;
        }
        list_candidates();
    }

    /// v: the weights in units of the points; w: what the squared error of each counts.
    int nearest(const Values& v, const Values& w) const {
        const std::size_t cell = cell_of(v);
        const std::uint16_t* candidate = candidates_.data() + starts_[cell];
        const std::uint16_t* end = candidates_.data() + starts_[cell + 1];
        if (end - candidate == 1) return *candidate;
        Lanes least = splat(HUGE_VALF);
        IntegerLanes best = {*candidate, *candidate, *candidate, *candidate};
        for (; candidate != end; candidate += 4) {
            Lanes errors[4];
            for (int j = 0; j < 4; ++j)
                errors[j] = squares(v, w, points_[candidate[j]]);
            const Lanes error = fold_four(errors);
            const IntegerLanes code = {candidate[0], candidate[1], candidate[2], candidate[3]};
            const IntegerLanes closer = error < least;
            least = closer ? error : least;
            best = closer ? code : best;
        }
        int lane = 0;
        for (int j = 1; j < 4; ++j)
            lane = least[j] < least[lane] ? j : lane;
        return best[lane];
    }

    const Values& point(int code) const { return points_[static_cast<std::size_t>(code)]; }

  private:
    static constexpr int candidates_of_a_cell = 16;  // a multiple of 4

    static constexpr std::size_t cell_count() {
        std::size_t count = 1;
        for (int i = 0; i < Book::weights; ++i)
            count *= levels;
        return count;
    }

    /// The squared error of v, in four parts.
    static Lanes squares(const Values& v, const Values& w, const Values& point) {
        Lanes sum = {};
        for (std::size_t l = 0; l < v.size(); ++l) {
            const Lanes off = v[l] - point[l];
            sum += w[l] * off * off;
        }
        return sum;
    }

    /// The levels of all weights as the digits of a number, the first weight's the lowest; NaN is the lowest level.
    /// They are taken to be evenly spaced, from which none is farther than a twelfth of a step.
    std::size_t cell_of(const Values& v) const {
        constexpr float top = levels - 1;
        const float inverse_step = top / (level_[levels - 1] - level_[0]);
        Lanes sum = {};
        for (std::size_t l = 0; l < v.size(); ++l)
            sum += round_lanes((v[l] - level_[0]) * inverse_step, Lanes{}, splat(top)) * places_[l];
        return static_cast<std::size_t>(fold(sum));
    }

    Values centre_of(std::size_t cell) const {
        Values centre;
        for (Lanes& four : centre) {
            for (int j = 0; j < 4; ++j, cell /= levels)
                four[j] = level_[cell % levels];
        }
        return centre;
    }

    /// Where a cell's centre is a point, that is nearest for every v of the cell: it is so in each weight alone.
    void list_candidates() {
        Values ones;
        ones.fill(splat(1.0f));
        std::vector<float> distances(points_.size());
        std::vector<std::uint16_t> order(points_.size());
        starts_.push_back(0);
        for (std::size_t cell = 0; cell < cell_count(); ++cell) {
            const Values centre = centre_of(cell);
            for (std::size_t p = 0; p < points_.size(); ++p)
                distances[p] = fold(squares(centre, ones, points_[p]));
            std::iota(order.begin(), order.end(), std::uint16_t{0});
            std::partial_sort(order.begin(), order.begin() + candidates_of_a_cell, order.end(), [&](auto a, auto b) {
                return distances[a] != distances[b] ? distances[a] < distances[b] : a < b;
            });
            const int count = distances[order[0]] == 0.0f ? 1 : candidates_of_a_cell;
            candidates_.insert(candidates_.end(), order.begin(), order.begin() + count);
            starts_.push_back(static_cast<std::uint32_t>(candidates_.size()));
        }
    }

    std::array<float, levels> level_ = {};  // ascending
    Values places_;                         // of the digits: 1, levels, levels^2, ...
    std::vector<Values> points_;
    std::vector<std::uint16_t> candidates_;  // of one cell after the other, the nearest first
    std::vector<std::uint32_t> starts_;      // [cells + 1]
};

}  // namespace puna::quant
