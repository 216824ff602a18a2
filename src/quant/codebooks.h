// The code books of IQ1, IQ2 and IQ3: a code stands for the values of four or eight weights at once, a point of a
// lattice. The tables are those of the GGUF reference reader, the `gguf` package.
//
// Safe in translation units of an instruction set: no symbol is emitted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace puna::quant {

/// `Points` of `Weights` bytes each, the first weight's in the lowest byte.
template <std::size_t Points, int Weights>
struct Codebook {
    static constexpr int weights = Weights;
    using Point = std::conditional_t<Weights == 8, std::uint64_t, std::uint32_t>;

    Point at[Points];
};

/// Points as the file holds them: `Bits` for each weight, which say its place in `values`.
template <int Weights, int Bits, std::size_t Points>
constexpr Codebook<Points, Weights> unpack_points(const std::uint16_t (&packed)[Points],
                                                  const std::uint8_t (&values)[1 << Bits]) {
    using Point = typename Codebook<Points, Weights>::Point;
    Codebook<Points, Weights> book = {};
    for (std::size_t p = 0; p < Points; ++p) {
        for (int i = 0; i < Weights; ++i) {
            const std::uint8_t value = values[(packed[p] >> (Bits * i)) & ((1 << Bits) - 1)];
            book.at[p] |= static_cast<Point>(value) << (8 * i);
        }
    }
    return book;
}

// Magnitudes; the signs stand apart.
extern const Codebook<256, 8> iq2_xxs_points;
extern const Codebook<512, 8> iq2_xs_points;
extern const Codebook<1024, 8> iq2_s_points;
extern const Codebook<256, 4> iq3_xxs_points;
extern const Codebook<512, 4> iq3_s_points;
// Of IQ1_S and IQ1_M: -1, 0 or 1, plus 1.
extern const Codebook<2048, 8> iq1_points;

/// The signs of eight weights (a set bit is a minus) from those of the first seven: minus signs are even in number.
[[gnu::always_inline]] inline std::uint32_t even_signs(std::uint32_t seven) {
    std::uint32_t parity = seven ^ (seven >> 4);
    parity ^= parity >> 2;
    parity ^= parity >> 1;
    return seven | ((parity & 1u) << 7);
}

}  // namespace puna::quant
