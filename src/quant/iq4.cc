// IQ4_NL and IQ4_XS: 4-bit codes into a fixed, non-linear code book, denser around zero, where weights are.
#include <array>

#include "quant/blocks.h"
#include "quant/families.h"
#include "quant/fit.h"
#include "quant/law.h"

namespace puna::quant {
namespace {

/// `qs`: the 16 bytes of 32 codes.
void read_codes(const std::uint8_t* qs, LawBlock* out) {
    for (int i = 0; i < small_block; ++i)
        out->q[i] = iq4_values[nibble(qs, i)];
}

void read_iq4_nl(const BlockIQ4_NL& block, int, LawBlock* out) {
    read_codes(block.qs, out);
    out->scale = load_f16(block.d);
    out->min = 0.0f;
}

void read_iq4_xs(const BlockIQ4_XS& block, int sub, LawBlock* out) {
    read_codes(block.qs + 16 * sub, out);
    out->scale = load_f16(block.d) * static_cast<float>(iq4_xs_scale(block, sub));
    out->min = 0.0f;
}

/// The code whose value is nearest to v.
int nearest_code(float v) {
    int code = 0;
    for (int i = 0; i < 15; ++i)
        code += 2.0f * v > static_cast<float>(iq4_values[i] + iq4_values[i + 1]) ? 1 : 0;
    return code;
}
int nearest_value(float v) {
    return iq4_values[nearest_code(v)];
}

constexpr int extreme = iq4_values[0];

/// Encodes 32 values under a given scale.
void write_codes(const float* values, float scale, std::uint8_t (&qs)[16]) {
    const float inverse = reciprocal_or_zero(scale);
    std::uint8_t codes[small_block];
    for (int i = 0; i < small_block; ++i)
        codes[i] = static_cast<std::uint8_t>(nearest_code(values[i] * inverse));
    pack_nibbles(codes, qs);
}

template <typename Weights>
void write_iq4_nl(const float* values, Weights w, BlockIQ4_NL* block) {
    const std::uint16_t d = f32_to_f16(fit_scale<small_block>(values, w, extreme, nearest_value).scale);
    store_u16(block->d, d);
    write_codes(values, f16_to_f32(d), block->qs);
}

template <typename Weights>
void write_iq4_xs(const float* values, Weights w, BlockIQ4_XS* block) {
    const auto scales = fit_scales<8>(values, w, -32, extreme, nearest_value);
    *block = {};
    store_u16(block->d, scales.d);
    std::uint16_t high = 0;
    for (int s = 0; s < 8; ++s) {
        const int scale = scales.sub[s] + 32;
        block->scales_l[s / 2] |= static_cast<std::uint8_t>((scale & 15) << (4 * (s % 2)));
        high = static_cast<std::uint16_t>(high | ((scale >> 4) << (2 * s)));
        std::uint8_t qs[16];
        write_codes(values + small_block * s, scales.scale(s), qs);
        std::copy(std::begin(qs), std::end(qs), block->qs + 16 * s);
    }
    store_u16(block->scales_h, high);
}

constexpr std::array iq4_table = {
    with_importance<BlockIQ4_NL, small_block, write_iq4_nl<Importance>>(
        quantized_type<BlockIQ4_NL, small_block, small_block, read_iq4_nl,
                       write_evenly<BlockIQ4_NL, write_iq4_nl<Even>>>(TensorType::IQ4_NL, "IQ4_NL", false)),
    with_importance<BlockIQ4_XS, super_block, write_iq4_xs<Importance>>(
        quantized_type<BlockIQ4_XS, super_block, small_block, read_iq4_xs,
                       write_evenly<BlockIQ4_XS, write_iq4_xs<Even>>>(TensorType::IQ4_XS, "IQ4_XS", false)),
};

}  // namespace

std::span<const TypeInfo> iq4_types() {
    return iq4_table;
}

}  // namespace puna::quant
