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

/// The code whose value is nearest to x; of two equally near, the lower code.
std::uint8_t nearest_code(float x, float scale) {
    int best = 0;
    for (int code = 1; code < 16; ++code) {
        const float error = std::fabs(scale * static_cast<float>(e2m1_values[code]) - x);
        if (error < std::fabs(scale * static_cast<float>(e2m1_values[best]) - x)) best = code;
    }
    return static_cast<std::uint8_t>(best);
}

/// The exponent as section 6.3 of the specification has it: floor(log2(amax)) less 2, the exponent of E2M1's largest
/// number. Values beyond 6 times the scale are clipped to it.
void write_mxfp4(const float* values, BlockMXFP4* block) {
    const float largest = std::fabs(largest_magnitude(values, small_block));
    // ilogb of infinity is the largest int, hence the bounds before the sum.
    block->e = largest > 0.0f ? static_cast<std::uint8_t>(std::clamp(std::ilogb(largest), -125, 127) - 2 + 127) : 0;
    const float scale = e8m0_half_to_f32(block->e);
    std::uint8_t codes[small_block];
    for (int i = 0; i < small_block; ++i)
        codes[i] = nearest_code(values[i], scale);
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

/// The code nearest to v, counted in halves; of two equally near, the smaller magnitude. NaN becomes 0.
std::uint8_t nearest_e2m1(float v) {
    const float magnitude = std::fabs(v);
    int code = v < 0.0f ? 8 : 0;
    for (int i = 0; i < 7; ++i)
        code += 2.0f * magnitude > static_cast<float>(e2m1_values[i] + e2m1_values[i + 1]) ? 1 : 0;
    return static_cast<std::uint8_t>(code);
}

/// Sixteen codes under one scale, and the sum of their squared errors.
struct ScaledCodes {
    std::uint8_t d;
    std::uint8_t codes[nvfp4_group];
    double error;

    ScaledCodes(const float* x, int scale_code) : d(static_cast<std::uint8_t>(scale_code)), error(0.0) {
        const float scale = ue4m3_half_to_f32(d);
        const float inverse = reciprocal_or_zero(scale);
        for (int i = 0; i < nvfp4_group; ++i) {
            codes[i] = nearest_e2m1(x[i] * inverse);
            const double off = x[i] - scale * static_cast<float>(e2m1_values[codes[i]]);
            error += off * off;
        }
    }
};

/// The scale that loses least, between the one that maps the largest element to E2M1's largest, 6, and the one that
/// maps it to 4, of which E4M3's may be much nearer: under 6 lies the widest gap.
ScaledCodes fit_nvfp4(const float* x) {
    constexpr int below = 2;
    constexpr int above = 6;  // a factor of 1.5 and more
    const float largest = std::fabs(largest_magnitude(x, nvfp4_group));
    const int natural = ue4m3_below(largest / static_cast<float>(e2m1_values[7]));
    ScaledCodes best(x, natural);
    for (int code = std::max(natural - below, 0); code <= std::min(natural + above, largest_ue4m3); ++code) {
        const ScaledCodes other(x, code);
        if (other.error < best.error) best = other;
    }
    return best;
}

void write_nvfp4(const float* values, BlockNVFP4* block) {
    for (int sub = 0; sub < 4; ++sub) {
        const ScaledCodes fit = fit_nvfp4(values + sub * nvfp4_group);
        block->d[sub] = fit.d;
        for (int i = 0; i < 8; ++i)
            block->qs[8 * sub + i] = static_cast<std::uint8_t>(fit.codes[i] | (fit.codes[i + 8] << 4));
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
