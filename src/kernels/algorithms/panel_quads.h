// How a panel holds the quads of decoded weights.
#pragma once

#include <cstddef>
#include <cstdint>

namespace puna::kernels::algorithms {

inline constexpr std::size_t quad_bytes = 64;  // sixteen rows of four bytes

/// As they are decoded: a byte a weight, q + bias.
template <typename L>
struct ByteQuads {
    static constexpr std::size_t bytes = quad_bytes;
    static constexpr bool biased = true;

    static void store(std::byte* out, typename L::Q quad, std::int32_t) { L::store_quad(out, quad); }
    static typename L::Q load(const std::byte* p) { return L::load_quad(p); }
};

}  // namespace puna::kernels::algorithms
