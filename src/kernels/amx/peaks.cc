// AMX by target attribute, so that the file needs no flags of its own.
#include "kernels/peaks.h"

#include <immintrin.h>

namespace puna::kernels {
namespace {

/// The argument of LDTILECFG (Intel SDM, volume 1, chapter 18): eight tiles of 16 rows of 64 bytes.
struct alignas(64) TileConfiguration {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfiguration) == 64);

constexpr std::uint64_t products_int8 = 16 * 16 * 64;  // of one instruction
constexpr std::uint64_t products_bf16 = 16 * 16 * 32;

/// Tiles 0 to 3 become accumulators of zeros, 4 to 7 operands.
__attribute__((target("amx-tile"))) void set_up_tiles() {
    const TileConfiguration configuration;
    alignas(64) std::uint8_t ordinary[16 * 64];
    __builtin_memset(ordinary, 0x3f, sizeof(ordinary));
    // The intrinsics of g++ 12 do not say that they read this memory: without the barrier the stores could be dropped.
    __asm__ volatile("" : : "r"(&configuration), "r"(ordinary) : "memory");
    _tile_loadconfig(&configuration);
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

__attribute__((target("amx-tile,amx-int8"))) std::uint64_t peak_int8_amx(std::uint64_t steps) {
    set_up_tiles();
    for (std::uint64_t step = 0; step < steps; ++step) {
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
    _tile_release();
    return steps * 4 * products_int8;
}

__attribute__((target("amx-tile,amx-bf16"))) std::uint64_t peak_bf16_amx(std::uint64_t steps) {
    set_up_tiles();
    for (std::uint64_t step = 0; step < steps; ++step) {
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_release();
    return steps * 4 * products_bf16;
}

}  // namespace puna::kernels
