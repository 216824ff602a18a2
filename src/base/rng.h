// Counter-based random numbers: draw `n` of stream `seed` is a pure function of the two, so that it does not depend on
// what else ran. Philox4x32-10, Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3".
#pragma once

#include <array>
#include <cstdint>

namespace puna::base {

/// The four 32-bit words of Philox4x32-10 for a counter and a key.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key);

/// Draw `index` of stream `seed`: uniform in [0, 1), 53 bits. Who needs more than one for the same index takes another
/// `lane`.
double uniform_draw(std::uint64_t seed, std::uint64_t index, std::uint32_t lane = 0);

/// A seed from the system's entropy, under 2^53, so that it survives readers of JSON that keep numbers as doubles.
std::uint64_t random_seed();

}  // namespace puna::base
