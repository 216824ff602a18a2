// MXFP4 (OCP Microscaling Formats 1.0): 32 E2M1 numbers under one power of two.
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
        out->q[i] = mxfp4_values[nibble(block.qs, i)];
    out->scale = e8m0_half_to_f32(block.e);
    out->min = 0.0f;
}

/// The code whose value is nearest to x; of two equally near, the lower code.
std::uint8_t nearest_code(float x, float scale) {
    int best = 0;
    for (int code = 1; code < 16; ++code) {
        const float error = std::fabs(scale * static_cast<float>(mxfp4_values[code]) - x);
        if (error < std::fabs(scale * static_cast<float>(mxfp4_values[best]) - x)) best = code;
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

constexpr std::array mx_table = {
    quantized_type<BlockMXFP4, small_block, small_block, read_mxfp4, write_mxfp4>(TensorType::MXFP4, "MXFP4", false),
};

}  // namespace

std::span<const TypeInfo> mx_types() {
    return mx_table;
}

}  // namespace puna::quant
