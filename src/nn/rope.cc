#include "nn/rope.h"

#include <cmath>
#include <numbers>

namespace puna::nn {
namespace {

/// Sine and cosine of a finite angle, the same bits on every machine and C library: the angle is reduced to
/// [-pi / 4, pi / 4] in double precision and Taylor polynomials do the rest; the error is under 1 ulp of a float for
/// angles up to 2^31.
void sine_cosine(double angle, float& sine, float& cosine) {
    constexpr double half_pi_high = 0x1.921fb54400000p+0;  // leading 33 bits: products with a quadrant are exact
    constexpr double half_pi_low = std::numbers::pi / 2 - half_pi_high + 6.123233995736766e-17;
    const double quadrants = std::nearbyint(angle * (2 / std::numbers::pi));
    const double r = (angle - quadrants * half_pi_high) - quadrants * half_pi_low;
    const double r2 = r * r;
    double s = -1.0 / 39916800;
    s = s * r2 + 1.0 / 362880;
    s = s * r2 - 1.0 / 5040;
    s = s * r2 + 1.0 / 120;
    s = s * r2 - 1.0 / 6;
    s = s * r2 * r + r;
    double c = 1.0 / 479001600;
    c = c * r2 - 1.0 / 3628800;
    c = c * r2 + 1.0 / 40320;
    c = c * r2 - 1.0 / 720;
    c = c * r2 + 1.0 / 24;
    c = c * r2 - 0.5;
    c = c * r2 + 1.0;
    const auto quadrant = static_cast<std::int64_t>(quadrants) & 3;
    const double sines[] = {s, c, -s, -c};
    sine = static_cast<float>(sines[quadrant]);
    cosine = static_cast<float>(sines[(quadrant + 1) & 3]);
}

}  // namespace

RopeAngles::RopeAngles(std::int64_t rotated, double base, double scale, const std::vector<float>& factors) {
    for (std::int64_t i = 0; i < rotated / 2; ++i) {
        const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(rotated);
        const auto inverse = static_cast<float>(1.0 / std::pow(base, exponent));
        const double factor = factors.empty() ? 1.0 : static_cast<double>(factors[static_cast<std::size_t>(i)]);
        inverse_frequencies_.push_back(static_cast<float>(static_cast<double>(inverse) / (factor * scale)));
    }
}

void RopeAngles::at(std::int64_t position, float* cosines, float* sines) const {
    for (std::size_t i = 0; i < inverse_frequencies_.size(); ++i) {
        const float angle = static_cast<float>(position) * inverse_frequencies_[i];
        sine_cosine(static_cast<double>(angle), sines[i], cosines[i]);
    }
}

}  // namespace puna::nn
