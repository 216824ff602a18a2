#include "base/rng.h"

#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

namespace puna::base {
namespace {

// The paper's multipliers, and the Weyl increments of the key (golden ratio, sqrt(3) - 1).
constexpr std::uint32_t kMultiplier0 = 0xD2511F53;
constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57;
constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
constexpr int kRounds = 10;

std::uint32_t low(std::uint64_t value) {
    return static_cast<std::uint32_t>(value);
}
std::uint32_t high(std::uint64_t value) {
    return static_cast<std::uint32_t>(value >> 32);
}

}  // namespace

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter, std::array<std::uint32_t, 2> key) {
    for (int round = 0; round < kRounds; ++round) {
        const std::uint64_t product0 = std::uint64_t{kMultiplier0} * counter[0];
        const std::uint64_t product1 = std::uint64_t{kMultiplier1} * counter[2];
        counter = {high(product1) ^ counter[1] ^ key[0], low(product1), high(product0) ^ counter[3] ^ key[1],
                   low(product0)};
        key[0] += kWeyl0;
        key[1] += kWeyl1;
    }
    return counter;
}

double uniform_draw(std::uint64_t seed, std::uint64_t index, std::uint32_t lane) {
    const auto words = philox({low(index), high(index), lane, 0}, {low(seed), high(seed)});
    const std::uint64_t bits = (std::uint64_t{words[1]} << 32) | words[0];
    return static_cast<double>(bits >> 11) * 0x1p-53;
}

std::uint64_t random_seed() {
    std::uint64_t seed = 0;
    ssize_t got = 0;
    do {
        got = getrandom(&seed, sizeof(seed), 0);
    } while (got < 0 && errno == EINTR);
    if (got != sizeof(seed)) {  // a kernel or sandbox without getrandom: clock and process differ from run to run
        const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
        const auto words = philox({low(static_cast<std::uint64_t>(now)), high(static_cast<std::uint64_t>(now)), 0, 0},
                                  {static_cast<std::uint32_t>(getpid()), 0});
        seed = (std::uint64_t{words[1]} << 32) | words[0];
    }
    return seed >> 11;
}

}  // namespace puna::base
