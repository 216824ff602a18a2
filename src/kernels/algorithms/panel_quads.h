// How a panel holds decoded weights.
#pragma once

#include <cstddef>
#include <cstdint>

namespace puna::kernels::algorithms {

inline constexpr std::size_t quad_bytes = 64;        // sixteen rows of four bytes
inline constexpr std::size_t row_vector_bytes = 64;  // sixteen floats

/// Bytes of one law block of a tile in a panel: quads, scales, then negative mins where the type has them.
template <int Width, bool HasMin, std::size_t QuadBytes = quad_bytes>
constexpr std::size_t panel_block_bytes = Width / 4 * QuadBytes + (HasMin ? 2 : 1) * row_vector_bytes;

/// As they are decoded: a byte a weight, q + bias.
template <typename L>
struct ByteQuads {
    static constexpr std::size_t bytes = quad_bytes;
    static constexpr bool biased = true;

    static void store(std::byte* out, typename L::Q quad, std::int32_t) { L::store_quad(out, quad); }
    static typename L::Q load(const std::byte* p) { return L::load_quad(p); }
};

}  // namespace puna::kernels::algorithms
