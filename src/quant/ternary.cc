// TQ1_0 and TQ2_0: weights that are -1, 0 or 1 times a scale, as models are trained to have them (Ma et al. 2024, "The
// Era of 1-bit LLMs").
//
// The encoders give the bytes of the GGUF reference encoder (`gguf.quants.quantize`): the largest magnitude is the
// scale.
#include <array>
#include <cmath>

#include "quant/blocks.h"
#include "quant/families.h"
#include "quant/law.h"

namespace puna::quant {
namespace {

constexpr int powers_of_3[5] = {1, 3, 9, 27, 81};

/// Where TQ1_0 holds an element of a super-block.
struct TritPlace {
    int byte;
    int digit;  // 0: the highest
};
TritPlace trit_place(int element) {
    if (element < 160) return {element % 32, element / 32};
    if (element < 240) return {32 + element % 16, (element - 160) / 16};
    return {48 + element % 4, (element - 240) / 4};
}

void read_tq1_0(const BlockTQ1_0& block, int sub, LawBlock* out) {
    for (int i = 0; i < small_block; ++i) {
        const auto [byte, digit] = trit_place(sub * small_block + i);
        // A byte is a fraction of 256 in the base 3: its digits leave at the upper end.
        const int rest = block.qs[byte] * powers_of_3[digit] & 255;
        out->q[i] = static_cast<std::int8_t>((rest * 3 >> 8) - 1);
    }
    out->scale = load_f16(block.d);
    out->min = 0.0f;
}

void read_tq2_0(const BlockTQ2_0& block, int sub, LawBlock* out) {
    const std::uint8_t* qs = block.qs + sub / 4 * small_block;
    for (int i = 0; i < small_block; ++i)
        out->q[i] = static_cast<std::int8_t>(((qs[i] >> (2 * (sub % 4))) & 3) - 1);
    out->scale = load_f16(block.d);
    out->min = 0.0f;
}

/// A super-block as d * (trits - 1).
struct Trits {
    std::uint16_t d;  // f16
    std::uint8_t at[super_block];

    explicit Trits(const float* x) {
        const float largest = std::fabs(largest_magnitude<super_block>(x));
        const float inverse = reciprocal_or_zero(largest);
        d = f32_to_f16(largest);
        for (int i = 0; i < super_block; ++i) {
            const float t = x[i] * inverse;
            at[i] = t >= 0.5f ? 2 : t <= -0.5f ? 0 : 1;
        }
    }
};

void write_tq1_0(const float* values, BlockTQ1_0* block) {
    const Trits trits(values);
    int numbers[52] = {};
    for (int e = 0; e < super_block; ++e) {
        const auto [byte, digit] = trit_place(e);
        numbers[byte] += trits.at[e] * powers_of_3[4 - digit];
    }
    for (int i = 0; i < 52; ++i)
        block->qs[i] = static_cast<std::uint8_t>((numbers[i] * 256 + 242) / 243);
    store_u16(block->d, trits.d);
}

void write_tq2_0(const float* values, BlockTQ2_0* block) {
    const Trits trits(values);
    for (int i = 0; i < 64; ++i) {
        const std::uint8_t* first = trits.at + i / 32 * 128 + i % 32;
        block->qs[i] = static_cast<std::uint8_t>(first[0] | (first[32] << 2) | (first[64] << 4) | (first[96] << 6));
    }
    store_u16(block->d, trits.d);
}

constexpr std::array ternary_table = {
    quantized_type<BlockTQ1_0, super_block, small_block, read_tq1_0, write_tq1_0>(TensorType::TQ1_0, "TQ1_0", false),
    quantized_type<BlockTQ2_0, super_block, small_block, read_tq2_0, write_tq2_0>(TensorType::TQ2_0, "TQ2_0", false),
};

}  // namespace

std::span<const TypeInfo> ternary_types() {
    return ternary_table;
}

}  // namespace puna::quant
