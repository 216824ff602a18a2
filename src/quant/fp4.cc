// MXFP4 (OCP Microscaling Formats 1.0): 32 E2M1 numbers under one power of two. NVFP4: 16 of them under an E4M3 number.
#include <algorithm>
#include <array>
#include <cmath>

#include "quant/blocks.h"
#include "quant/families.h"
#include "quant/law.h"

namespace puna::quant {
namespace {

void read_mxfp4(const BlockMXFP4& block, int, LawBlock* out) {
    for (int i = 0; i < small_block; ++i)
        out->q[i] = e2m1_values[nibble(block.qs, i)];
    out->scale = e8m0_half_to_f32(block.e);
    out->min = 0.0f;
}

/// E2M1's magnitudes under four scales: where one ends and the next begins, in twice the weights' unit.
struct E2M1Grid {
    Lanes scale;
    Lanes borders[7];

    explicit E2M1Grid(Lanes scales) : scale(scales) {
        for (int i = 0; i < 7; ++i)
            borders[i] = scales * static_cast<float>(e2m1_values[i] + e2m1_values[i + 1]);
    }

    /// The code nearest to each of four magnitudes; of two equally near, the smaller.
    IntegerLanes codes(Lanes magnitude) const {
        IntegerLanes code = {};
        for (const Lanes border : borders)
            code -= magnitude + magnitude > border;  // a comparison that holds is -1
        return code;
    }

    /// The magnitude nearest to each of four.
    Lanes nearest(Lanes magnitude) const {
        Lanes q = {};
        for (int i = 0; i < 7; ++i) {
            const Lanes step = splat(static_cast<float>(e2m1_values[i + 1] - e2m1_values[i]));
            q += magnitude + magnitude > borders[i] ? step : Lanes{};
        }
        return scale * q;
    }
};

/// Codes for `count` values, a multiple of 4, under one scale.
void write_e2m1(const float* values, int count, float scale, std::uint8_t* codes) {
    const E2M1Grid grid(splat(scale));
    for (int i = 0; i < count; i += 4) {
        const Lanes value = load_lanes(values + i);
        const IntegerLanes code = grid.codes(larger(value, -value));
        for (int j = 0; j < 4; ++j)
            codes[i + j] = static_cast<std::uint8_t>(code[j] | (code[j] > 0 && value[j] < 0.0f ? 8 : 0));
    }
}

/// The exponent as section 6.3 of the specification has it: floor(log2(amax)) less 2, the exponent of E2M1's largest
/// number. Values beyond 6 times the scale are clipped to it.
void write_mxfp4(const float* values, BlockMXFP4* block) {
    const float largest = std::fabs(largest_magnitude<small_block>(values));
    // ilogb of infinity is the largest int, hence the bounds before the sum.
    block->e = largest > 0.0f ? static_cast<std::uint8_t>(std::clamp(std::ilogb(largest), -125, 127) - 2 + 127) : 0;
    std::uint8_t codes[small_block];
    write_e2m1(values, small_block, e8m0_half_to_f32(block->e), codes);
    pack_nibbles(codes, block->qs);
}

constexpr int nvfp4_group = 16;

void read_nvfp4(const BlockNVFP4& block, int sub, LawBlock* out) {
    for (int i = 0; i < nvfp4_group; ++i)
        out->q[i] = e2m1_values[(block.qs[8 * sub + i % 8] >> (4 * (i / 8))) & 15];
    out->scale = ue4m3_half_to_f32(block.d[sub]);
    out->min = 0.0f;
}

constexpr int largest_ue4m3 = 126;

/// The largest scale that is at most `scale`.
int ue4m3_below(float scale) {
    int code = 0;
    for (int bit = 64; bit > 0; bit /= 2) {
        const int more = code + bit;
        if (more <= largest_ue4m3 && ue4m3_half_to_f32(static_cast<std::uint8_t>(more)) <= scale) code = more;
    }
    return code;
}

/// The scale that loses least, between the one that maps the largest element to E2M1's largest, 6, and the one that
/// maps it to 4, of which E4M3's may be much nearer: under 6 lies the widest gap.
std::uint8_t fit_nvfp4_scale(const float* x) {
    constexpr int below = 3;
    constexpr int candidates = 12;  // 8 above: a factor of 1.5 and more
    const float largest = std::fabs(largest_magnitude<nvfp4_group>(x));
    const int natural = ue4m3_below(largest / static_cast<float>(e2m1_values[7]));
    const int first = std::clamp(natural - below, 0, largest_ue4m3 + 1 - candidates);
    std::uint8_t best = static_cast<std::uint8_t>(natural);
    float least = HUGE_VALF;
    for (int c = first; c < first + candidates; c += 4) {
        Lanes scales;
        for (int j = 0; j < 4; ++j)
            scales[j] = ue4m3_half_to_f32(static_cast<std::uint8_t>(c + j));
        const E2M1Grid grid(scales);
        Lanes error = {};
        for (int i = 0; i < nvfp4_group; ++i) {
            const Lanes magnitude = splat(std::fabs(x[i]));
            const Lanes off = magnitude - grid.nearest(magnitude);
            error += off * off;
        }
        for (int j = 0; j < 4; ++j) {
            if (!(error[j] < least)) continue;
            least = error[j];
            best = static_cast<std::uint8_t>(c + j);
        }
    }
    return best;
}

void write_nvfp4(const float* values, BlockNVFP4* block) {
    for (int sub = 0; sub < 4; ++sub) {
        const float* x = values + sub * nvfp4_group;
        std::uint8_t codes[nvfp4_group];
        block->d[sub] = fit_nvfp4_scale(x);
        write_e2m1(x, nvfp4_group, ue4m3_half_to_f32(block->d[sub]), codes);
        for (int i = 0; i < 8; ++i)
            block->qs[8 * sub + i] = static_cast<std::uint8_t>(codes[i] | (codes[i + 8] << 4));
    }
}

constexpr std::array fp4_table = {
    quantized_type<BlockMXFP4, small_block, small_block, read_mxfp4, write_mxfp4>(TensorType::MXFP4, "MXFP4", false),
    quantized_type<BlockNVFP4, 64, nvfp4_group, read_nvfp4, write_nvfp4>(TensorType::NVFP4, "NVFP4", false),
};

}  // namespace

std::span<const TypeInfo> fp4_types() {
    return fp4_table;
}

}  // namespace puna::quant
