// What the files of the families share: decoding by the numeric law, and the pieces of encoders.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "quant/half.h"
#include "quant/tensor_type.h"

namespace puna::quant {

/// The law of a type: reads sub-block `sub` of `block`.
template <typename Block>
using ReadLaw = void (*)(const Block& block, int sub, LawBlock* out);

/// A law block of a row: `width` elements each, `elements / width` to a block.
template <typename Block, int elements, int width, ReadLaw<Block> read>
void read_law_block(const std::byte* row, std::size_t index, LawBlock* out) {
    constexpr std::size_t subs = elements / width;
    // Blocks are bytes (alignof 1), so any address will do.
    const auto* blocks = reinterpret_cast<const Block*>(row);
    read(blocks[index / subs], static_cast<int>(index % subs), out);
}

/// Decoding is the law written out: w = scale * q - min. The product is exact for every type here (at most 24
/// significant bits), so the subtraction rounds, once, or nothing does.
template <typename Block, int elements, int width, ReadLaw<Block> read>
void decode(const std::byte* blocks, float* out, std::size_t count) {
    LawBlock law;
    for (std::size_t index = 0; index < count / width; ++index) {
        read_law_block<Block, elements, width, read>(blocks, index, &law);
        for (int i = 0; i < width; ++i)
            out[index * width + i] = law.scale * static_cast<float>(law.q[i]) - law.min;
    }
}

/// Encodes block after block.
template <typename Block, int elements, void (*write)(const float* values, Block* block)>
void encode(const float* values, std::byte* blocks, std::size_t count) {
    auto* out = reinterpret_cast<Block*>(blocks);
    for (std::size_t b = 0; b < count / elements; ++b)
        write(values + b * elements, out + b);
}

/// Four floats side by side. The order of sums is fixed by the code, so all builds agree.
using Lanes [[gnu::vector_size(16)]] = float;

inline Lanes load_lanes(const float* x) {
    Lanes lanes;
    std::memcpy(&lanes, x, sizeof(lanes));
    return lanes;
}
using IntegerLanes [[gnu::vector_size(16)]] = std::int32_t;

inline Lanes splat(float x) {
    return Lanes{x, x, x, x};
}

/// How much the squared errors of a block's elements count: all the same.
struct Even {
    static constexpr bool even = true;
    static constexpr bool clips = false;
    constexpr float operator[](int) const { return 1.0f; }
    constexpr Even from(int) const { return {}; }
    /// What the element i counts, and the elements i ... i + 3 count, times v.
    static Lanes times(Lanes v, int) { return v; }
    static Lanes times_lanes(Lanes v, int) { return v; }
};
/// Or each times its own number, > 0.
struct Importance {
    static constexpr bool even = false;
    static constexpr bool clips = true;  // the largest elements may be among those that count little
    const float* weights;
    float operator[](int i) const { return weights[i]; }
    /// Of the elements from `first` on.
    Importance from(int first) const { return {weights + first}; }
    Lanes times(Lanes v, int i) const { return splat(weights[i]) * v; }
    Lanes times_lanes(Lanes v, int i) const { return load_lanes(weights + i) * v; }
};

/// The same, of numbers that grow with the elements: the largest are never clipped, and fewer scales need be tried.
struct Magnitude : Importance {
    static constexpr bool clips = false;
    constexpr Magnitude from(int first) const { return {{weights + first}}; }
};

template <typename Block>
using WriteImportant = void (*)(const float* values, Importance importance, Block* block);

/// A writer that goes by weights of either kind, as `quantized_type` takes it.
template <typename Block, void (*write)(const float* values, Even, Block* block)>
void write_evenly(const float* values, Block* block) {
    write(values, Even{}, block);
}

/// Encodes block after block.
template <typename Block, int elements, WriteImportant<Block> write>
void encode_important(const float* values, const float* importance, std::byte* blocks, std::size_t count) {
    auto* out = reinterpret_cast<Block*>(blocks);
    for (std::size_t b = 0; b < count / elements; ++b)
        write(values + b * elements, {importance + b * elements}, out + b);
}

/// The registry's entry of a quantized type.
template <typename Block, int elements, int width, ReadLaw<Block> read, void (*write)(const float*, Block*)>
constexpr TypeInfo quantized_type(TensorType type, std::string_view name, bool has_min) {
    return {.type = type,
            .name = name,
            .block_elements = elements,
            .block_bytes = sizeof(Block),
            .law_width = width,
            .has_min = has_min,
            .to_float = decode<Block, elements, width, read>,
            .from_float = encode<Block, elements, write>,
            .law_block = read_law_block<Block, elements, width, read>};
}
/// The same entry, with a writer that goes by importance.
template <typename Block, int elements, WriteImportant<Block> write>
constexpr TypeInfo with_importance(TypeInfo info) {
    info.from_important = encode_important<Block, elements, write>;
    return info;
}

/// The nibbles of 32 elements, low half in the low nibbles. bytes: [16].
inline void pack_nibbles(const std::uint8_t (&codes)[32], std::uint8_t* bytes) {
    for (int i = 0; i < 16; ++i)
        bytes[i] = static_cast<std::uint8_t>((codes[i] & 15) | ((codes[i + 16] & 15) << 4));
}
inline int nibble(const std::uint8_t* bytes, int i) {
    return i < 16 ? bytes[i] & 15 : bytes[i - 16] >> 4;
}

/// 1 / d, and 0 where that is no finite number: then everything is encoded as the code of zero.
inline float reciprocal_or_zero(float d) {
    const float inverse = d == 0.0f ? 0.0f : 1.0f / d;
    return std::isfinite(inverse) ? inverse : 0.0f;
}

/// Rounds to nearest even within [low, high]; NaN becomes `low`. |low| and |high| under 2^22.
inline int clamp_round(float value, int low, int high) {
    value = value > static_cast<float>(low) ? value : static_cast<float>(low);
    value = value < static_cast<float>(high) ? value : static_cast<float>(high);
    // 1.5 * 2^23: a float of that size has its last bit worth 1.
    constexpr float magic = 12582912.0f;
    return __builtin_bit_cast(std::int32_t, value + magic) - __builtin_bit_cast(std::int32_t, magic);
}

/// Cuts off the fraction within [low, high]; NaN becomes `low`.
inline int clamp_truncate(float value, int low, int high) {
    value = value > static_cast<float>(low) ? value : static_cast<float>(low);
    value = value < static_cast<float>(high) ? value : static_cast<float>(high);
    return static_cast<int>(value);
}

inline float fold(Lanes lanes) {
    return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
}
/// `fold` of each.
inline Lanes fold_four(const Lanes (&lanes)[4]) {
    const auto pair = [](Lanes a, Lanes b) {
        return __builtin_shufflevector(a, b, 0, 4, 1, 5) + __builtin_shufflevector(a, b, 2, 6, 3, 7);
    };
    const Lanes first = pair(lanes[0], lanes[1]);
    const Lanes last = pair(lanes[2], lanes[3]);
    return __builtin_shufflevector(first, last, 0, 1, 4, 5) + __builtin_shufflevector(first, last, 2, 3, 6, 7);
}
/// Cuts off the fractions, of magnitudes under 2^31.
inline IntegerLanes truncate_lanes(Lanes v) {
    return __builtin_convertvector(v, IntegerLanes);
}
inline Lanes larger(Lanes a, Lanes b) {
    return a > b ? a : b;
}
inline Lanes smaller(Lanes a, Lanes b) {
    return a < b ? a : b;
}
/// Rounds to nearest even within [low, high]; NaN becomes `low`. |low| and |high| under 2^22.
inline Lanes round_lanes(Lanes value, Lanes low, Lanes high) {
    constexpr float magic = 12582912.0f;  // as in clamp_round
    return (smaller(larger(value, low), high) + magic) - magic;
}

struct Extremes {
    float low;
    float high;
};
/// The smallest and the largest element. x: [n], n a multiple of 4 and at least 4.
template <int n>
Extremes extremes_of(const float* x) {
    Lanes low = load_lanes(x);
    Lanes high = low;
    for (int i = 4; i < n; i += 4) {
        const Lanes value = load_lanes(x + i);
        low = smaller(value, low);
        high = larger(value, high);
    }
    return {std::min(std::min(low[0], low[2]), std::min(low[1], low[3])),
            std::max(std::max(high[0], high[2]), std::max(high[1], high[3]))};
}

/// The element of the largest magnitude, with its sign; the first of several. x: [n], as above.
template <int n>
float largest_magnitude(const float* x) {
    const auto [low, high] = extremes_of<n>(x);
    if (high != -low) return high > -low ? high : low;
    return *std::find_if(x, x + n - 1, [m = high](float v) { return std::fabs(v) == m; });
}

/// A writer that counts large elements more than small ones, 4 mean(x^2) + x^2. Counted evenly, the squared error was
/// about the same, and the model's predictions suffered more (docs/quantization.md). Weights: Importance or Magnitude.
template <typename Block, int elements, typename Weights, void (*write)(const float* values, Weights, Block* block)>
void write_by_magnitude(const float* values, Block* block) {
    Lanes sum = {};
    for (int i = 0; i < elements; i += 4)
        sum += load_lanes(values + i) * load_lanes(values + i);
    const float common = 4.0f * fold(sum) / static_cast<float>(elements) + std::numeric_limits<float>::min();
    float weights[elements];
    for (int i = 0; i < elements; ++i)
        weights[i] = common + values[i] * values[i];
    write(values, {{weights}}, block);
}

/// The registry's entry of a type that is written by importance or, without any, by magnitude.
template <typename Block, int elements, int width, ReadLaw<Block> read, WriteImportant<Block> write>
constexpr TypeInfo type_by_weights(TensorType type, std::string_view name) {
    return with_importance<Block, elements, write>(
        quantized_type<Block, elements, width, read, write_by_magnitude<Block, elements, Importance, write>>(type, name,
                                                                                                             false));
}

}  // namespace puna::quant
