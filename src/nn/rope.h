// Rotary position embedding: the angles of each position.
#pragma once

#include <cstdint>
#include <vector>

namespace puna::nn {

/// Angles as in Su et al. 2021 (RoFormer), computed as the reference implementation does: float32 inverse frequencies,
/// a float32 product with the position, then sine and cosine. Immutable and thread-safe.
class RopeAngles {
  public:
    RopeAngles() = default;
    /// `rotated`: dimensions of a head that turn, even. Frequency i is base^(-2 i / rotated) / (factors[i] * scale);
    /// `factors` is empty or holds rotated / 2 divisors.
    RopeAngles(std::int64_t rotated, double base, double scale, const std::vector<float>& factors);

    std::int64_t rotated() const { return 2 * static_cast<std::int64_t>(inverse_frequencies_.size()); }
    /// Fills cosines and sines, [rotated / 2] each.
    void at(std::int64_t position, float* cosines, float* sines) const;

  private:
    std::vector<float> inverse_frequencies_;  // [rotated / 2]
};

}  // namespace puna::nn
