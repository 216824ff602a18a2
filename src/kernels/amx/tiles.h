// AMX tiles: eight registers of up to 16 rows of 64 bytes, and the product of two of them.
//
// TDPBF16PS (Intel SDM, volume 2): for each element, two chains of FMA from zero over the even and the odd k of 32,
// then their sum, then added to the accumulator; denormals are zero throughout. That order is the law `bf16-amx/1`.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/algorithms/inline.h"

namespace puna::kernels {
namespace {

inline constexpr std::int64_t tile_side = 16;  // rows of a tile; columns of an accumulator
inline constexpr std::size_t tile_bytes = 1024;

constexpr std::int64_t least(std::int64_t a, std::int64_t b) {
    return a < b ? a : b;
}

/// The argument of LDTILECFG (Intel SDM, volume 1, chapter 18). As made, for bf16: tiles 0 to 3 are accumulators
/// [16 rows][columns] of float, 4 and 5 lines of weights [16 rows][32] of bf16, 6 and 7 activations [16 pairs along
/// K][columns] of 2 bf16.
struct alignas(64) TileConfiguration {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};

    explicit TileConfiguration(std::int64_t columns) {
        for (int i = 0; i < 8; ++i)
            row_bytes[i] = static_cast<std::uint16_t>(i == 4 || i == 5 ? 64 : 4 * columns);
    }
};
static_assert(sizeof(TileConfiguration) == 64);

/// The intrinsics do not say that they read or write memory.
PUNA_INLINE void order_memory() {
    __asm__ volatile("" : : : "memory");
}

/// Configures this thread's tiles while it lives.
class Tiles {
  public:
    explicit Tiles(const TileConfiguration& configuration) {
        __asm__ volatile("" : : "r"(&configuration) : "memory");
        _tile_loadconfig(&configuration);
    }
    ~Tiles() { _tile_release(); }
    Tiles(const Tiles&) = delete;
    Tiles& operator=(const Tiles&) = delete;
};

}  // namespace
}  // namespace puna::kernels
