// IQ4_NL and IQ4_XS: 4-bit codes into a fixed, non-linear code book, denser around zero, where weights are.
#include <array>

#include "quant/blocks.h"
#include "quant/families.h"
#include "quant/fit_scale.h"
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

/// The code nearest to each number from -127 to 113, in steps of a half; of each step at its lower end.
struct NearestCodes {
    static constexpr int first = 2 * iq4_values[0];
    static constexpr int steps = 2 * (iq4_values[15] - iq4_values[0]) + 1;
    std::uint8_t code[steps];
    float value[steps];

    constexpr NearestCodes() : code(), value() {
        for (int step = 0; step < steps; ++step) {
            for (int i = 0; i < 15; ++i)  // between two values lies a whole number of halves
                code[step] += first + step >= iq4_values[i] + iq4_values[i + 1] ? 1 : 0;
            value[step] = iq4_values[code[step]];
        }
    }
};
constexpr NearestCodes nearest_codes;

/// The steps that four numbers fall into.
IntegerLanes steps_of(Lanes v) {
    const Lanes step = v * 2.0f - static_cast<float>(NearestCodes::first);
    return truncate_lanes(smaller(larger(step, Lanes{}), splat(static_cast<float>(NearestCodes::steps - 1))));
}

struct CodeBookCodes {
    static Lanes nearest(Lanes v) {
        const IntegerLanes step = steps_of(v);
        return Lanes{nearest_codes.value[step[0]], nearest_codes.value[step[1]], nearest_codes.value[step[2]],
                     nearest_codes.value[step[3]]};
    }
};

constexpr int extreme = iq4_values[0];

/// Encodes 32 values under a given scale.
void write_codes(const float* values, float scale, std::uint8_t* qs) {
    const float inverse = reciprocal_or_zero(scale);
    std::uint8_t codes[small_block];
    for (int i = 0; i < small_block; i += 4) {
        const IntegerLanes step = steps_of(load_lanes(values + i) * inverse);
        for (int j = 0; j < 4; ++j)
            codes[i + j] = nearest_codes.code[step[j]];
    }
    pack_nibbles(codes, qs);
}

void write_iq4_nl(const float* values, Importance w, BlockIQ4_NL* block) {
    const std::uint16_t d = f32_to_f16(fit_scale<small_block>(values, w, extreme, CodeBookCodes{}).scale);
    store_u16(block->d, d);
    write_codes(values, f16_to_f32(d), block->qs);
}

void write_iq4_xs(const float* values, Importance w, BlockIQ4_XS* block) {
    const auto scales = fit_scales<8>(values, w, -32, extreme, CodeBookCodes{});
    *block = {};
    store_u16(block->d, scales.d);
    std::uint16_t high = 0;
    for (int s = 0; s < 8; ++s) {
        const int scale = scales.sub[s] + 32;
        block->scales_l[s / 2] |= static_cast<std::uint8_t>((scale & 15) << (4 * (s % 2)));
        high = static_cast<std::uint16_t>(high | ((scale >> 4) << (2 * s)));
        write_codes(values + small_block * s, scales.scale(s), block->qs + 16 * s);
    }
    store_u16(block->scales_h, high);
}

constexpr std::array iq4_table = {
    type_by_weights<BlockIQ4_NL, small_block, small_block, read_iq4_nl, write_iq4_nl>(TensorType::IQ4_NL, "IQ4_NL"),
    type_by_weights<BlockIQ4_XS, super_block, small_block, read_iq4_xs, write_iq4_xs>(TensorType::IQ4_XS, "IQ4_XS"),
};

}  // namespace

std::span<const TypeInfo> iq4_types() {
    return iq4_table;
}

}  // namespace puna::quant
