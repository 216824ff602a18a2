// Loops of nothing but tile products.
#include "kernels/peaks.h"

#include "kernels/amx/tiles.h"

namespace puna::kernels {
namespace {

constexpr std::uint64_t products_int8 = 16 * 16 * 64;  // of one instruction
constexpr std::uint64_t products_bf16 = 16 * 16 * 32;

/// Tiles 0 to 3 become accumulators of zeros, 4 to 7 operands.
void set_up_tiles() {
    alignas(64) std::uint8_t ordinary[tile_bytes];
    __builtin_memset(ordinary, 0x3f, sizeof(ordinary));
    order_memory();
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    _tile_loadd(4, ordinary, 64);
    _tile_loadd(5, ordinary, 64);
    _tile_loadd(6, ordinary, 64);
    _tile_loadd(7, ordinary, 64);
}

}  // namespace

std::uint64_t peak_int8_amx(std::uint64_t steps) {
    const Tiles tiles{TileConfiguration(tile_side)};
    set_up_tiles();
    for (std::uint64_t step = 0; step < steps; ++step) {
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    return steps * 4 * products_int8;
}

std::uint64_t peak_bf16_amx(std::uint64_t steps) {
    const Tiles tiles{TileConfiguration(tile_side)};
    set_up_tiles();
    for (std::uint64_t step = 0; step < steps; ++step) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    return steps * 4 * products_bf16;
}

}  // namespace puna::kernels
