// Q2_K ... Q6_K: 256 elements with two levels of scales; the sub-blocks of 16 or 32 have small integer scales (and
// offsets), the block an f16 scale for them.
#include <array>
#include <cstring>

#include "quant/blocks.h"
#include "quant/families.h"
#include "quant/fit_line.h"
#include "quant/fit_scale.h"
#include "quant/law.h"

namespace puna::quant {
namespace {

/// Where the elements of 16-wide sub-block s lie in Q2_K, Q3_K and Q6_K: element 128 h + 32 i + c.
struct Place {
    int half;     // h
    int quarter;  // i
    int column;   // c of the sub-block's first element
};
constexpr Place place_of(int sub) {
    return {sub / 8, (sub % 8) / 2, 16 * (sub % 2)};
}

// ---- The law ----

void read_q2_k(const BlockQ2_K& block, int sub, LawBlock* out) {
    const auto [half, quarter, column] = place_of(sub);
    const std::uint8_t* qs = block.qs + 32 * half + column;
    for (int i = 0; i < 16; ++i)
        out->q[i] = static_cast<std::int8_t>((qs[i] >> (2 * quarter)) & 3);
    out->scale = load_f16(block.d) * static_cast<float>(block.scales[sub] & 15);
    out->min = load_f16(block.dmin) * static_cast<float>(block.scales[sub] >> 4);
}

void read_q3_k(const BlockQ3_K& block, int sub, LawBlock* out) {
    const auto [half, quarter, column] = place_of(sub);
    const std::uint8_t* qs = block.qs + 32 * half + column;
    const std::uint8_t* hmask = block.hmask + column;
    for (int i = 0; i < 16; ++i) {
        const int low = (qs[i] >> (2 * quarter)) & 3;
        const int high = (hmask[i] >> (4 * half + quarter)) & 1;
        out->q[i] = static_cast<std::int8_t>((low | (high << 2)) - 4);
    }
    out->scale = load_f16(block.d) * static_cast<float>(q3_k_scale(block.scales, sub));
    out->min = 0.0f;
}

void read_q4_k(const BlockQ4_K& block, int sub, LawBlock* out) {
    const std::uint8_t* qs = block.qs + 32 * (sub / 2);
    for (int i = 0; i < 32; ++i)
        out->q[i] = static_cast<std::int8_t>((qs[i] >> (4 * (sub % 2))) & 15);
    out->scale = load_f16(block.d) * static_cast<float>(k_scale(block.scales, sub));
    out->min = load_f16(block.dmin) * static_cast<float>(k_min(block.scales, sub));
}

void read_q5_k(const BlockQ5_K& block, int sub, LawBlock* out) {
    const std::uint8_t* qs = block.qs + 32 * (sub / 2);
    for (int i = 0; i < 32; ++i) {
        const int low = (qs[i] >> (4 * (sub % 2))) & 15;
        const int high = (block.qh[i] >> sub) & 1;
        out->q[i] = static_cast<std::int8_t>(low | (high << 4));
    }
    out->scale = load_f16(block.d) * static_cast<float>(k_scale(block.scales, sub));
    out->min = load_f16(block.dmin) * static_cast<float>(k_min(block.scales, sub));
}

void read_q6_k(const BlockQ6_K& block, int sub, LawBlock* out) {
    const auto [half, quarter, column] = place_of(sub);
    const std::uint8_t* ql = block.ql + 64 * half + 32 * (quarter % 2) + column;
    const std::uint8_t* qh = block.qh + 32 * half + column;
    for (int i = 0; i < 16; ++i) {
        const int low = (ql[i] >> (4 * (quarter / 2))) & 15;
        const int high = (qh[i] >> (2 * quarter)) & 3;
        out->q[i] = static_cast<std::int8_t>((low | (high << 4)) - 32);
    }
    out->scale = load_f16(block.d) * static_cast<float>(block.scales[sub]);
    out->min = 0.0f;
}

// ---- Encoding ----

struct SymmetricCodes {
    TwoLevelScales<16> scales;
    std::uint8_t q[super_block];  // less `low`
};

/// w = d * sub[s] * (q + low) for 16 groups of 16: scales first, then every value under the scales as they are stored.
template <typename Weights>
SymmetricCodes encode_symmetric(const float* values, Weights w, int sub_low, int low) {
    const IntegerCodes integers = {static_cast<float>(low), static_cast<float>(-low - 1)};
    SymmetricCodes codes;
    codes.scales = fit_scales<16>(values, w, sub_low, low, integers);
    for (int s = 0; s < 16; ++s) {
        const float inverse = reciprocal_or_zero(codes.scales.scale(s));
        for (int e = 16 * s; e < 16 * (s + 1); ++e)
            codes.q[e] = static_cast<std::uint8_t>(clamp_round(values[e] * inverse, low, -low - 1) - low);
    }
    return codes;
}

// Bits of 256 codes, as `read_...` above find them.

/// Element 128 h + 32 i + c: the bits 2 i and 2 i + 1 of out[32 h + c] are the bits `shift` and shift + 1 of its code.
void pack_pairs(const std::uint8_t (&codes)[super_block], int shift, std::uint8_t (&out)[64]) {
    for (int h = 0; h < 2; ++h) {
        for (int c = 0; c < 32; ++c) {
            int bits = 0;
            for (int i = 0; i < 4; ++i)
                bits |= ((codes[128 * h + 32 * i + c] >> shift) & 3) << (2 * i);
            out[32 * h + c] = static_cast<std::uint8_t>(bits);
        }
    }
}

/// Element 32 s + c: the bit s of out[c] is the bit `shift` of its code.
void pack_bits(const std::uint8_t (&codes)[super_block], int shift, std::uint8_t (&out)[32]) {
    for (int c = 0; c < 32; ++c) {
        int bits = 0;
        for (int s = 0; s < 8; ++s)
            bits |= ((codes[32 * s + c] >> shift) & 1) << s;
        out[c] = static_cast<std::uint8_t>(bits);
    }
}

/// Element 2 r g + c, c < r: the low nibble of out[r g + c]; element 2 r g + r + c: the high one.
template <int r>
void pack_super_nibbles(const std::uint8_t (&codes)[super_block], std::uint8_t (&out)[128]) {
    for (int g = 0; g < 128 / r; ++g) {
        for (int c = 0; c < r; ++c) {
            const std::uint8_t* first = codes + 2 * r * g + c;
            out[r * g + c] = static_cast<std::uint8_t>((first[0] & 15) | ((first[r] & 15) << 4));
        }
    }
}

template <typename Weights>
void write_q2_k(const float* values, Weights w, BlockQ2_K* block) {
    const auto codes = encode_with_offsets<16>(values, w, 15, 3);
    for (int s = 0; s < 16; ++s)
        block->scales[s] = static_cast<std::uint8_t>(codes.sub[s] | (codes.min[s] << 4));
    pack_pairs(codes.q, 0, block->qs);
    store_u16(block->d, codes.d);
    store_u16(block->dmin, codes.dmin);
}

template <typename Weights>
void write_q3_k(const float* values, Weights w, BlockQ3_K* block) {
    const SymmetricCodes codes = encode_symmetric(values, w, -32, -4);
    std::uint8_t scales[12] = {};
    for (int s = 0; s < 16; ++s) {
        const int scale = codes.scales.sub[s] + 32;
        scales[s % 8] = static_cast<std::uint8_t>(scales[s % 8] | ((scale & 15) << (4 * (s / 8))));
        scales[8 + s % 4] = static_cast<std::uint8_t>(scales[8 + s % 4] | ((scale >> 4) << (2 * (s / 4))));
    }
    std::copy(std::begin(scales), std::end(scales), block->scales);
    pack_pairs(codes.q, 0, block->qs);
    pack_bits(codes.q, 2, block->hmask);
    store_u16(block->d, codes.scales.d);
}

/// The 12 bytes that `k_scale` and `k_min` read.
void pack_k_scales(const OffsetCodes<8>& codes, std::uint8_t (&scales)[12]) {
    for (int s = 0; s < 4; ++s) {
        scales[s] = static_cast<std::uint8_t>(codes.sub[s] | ((codes.sub[s + 4] >> 4) << 6));
        scales[s + 4] = static_cast<std::uint8_t>(codes.min[s] | ((codes.min[s + 4] >> 4) << 6));
        scales[s + 8] = static_cast<std::uint8_t>((codes.sub[s + 4] & 15) | ((codes.min[s + 4] & 15) << 4));
    }
}

template <typename Weights>
void write_q4_k(const float* values, Weights w, BlockQ4_K* block) {
    const auto codes = encode_with_offsets<8>(values, w, 63, 15);
    pack_super_nibbles<32>(codes.q, block->qs);
    pack_k_scales(codes, block->scales);
    store_u16(block->d, codes.d);
    store_u16(block->dmin, codes.dmin);
}

template <typename Weights>
void write_q5_k(const float* values, Weights w, BlockQ5_K* block) {
    const auto codes = encode_with_offsets<8>(values, w, 63, 31);
    pack_super_nibbles<32>(codes.q, block->qs);
    pack_bits(codes.q, 4, block->qh);
    pack_k_scales(codes, block->scales);
    store_u16(block->d, codes.d);
    store_u16(block->dmin, codes.dmin);
}

template <typename Weights>
void write_q6_k(const float* values, Weights w, BlockQ6_K* block) {
    const SymmetricCodes codes = encode_symmetric(values, w, -128, -32);
    std::memcpy(block->scales, codes.scales.sub, sizeof(block->scales));
    pack_super_nibbles<64>(codes.q, block->ql);
    pack_pairs(codes.q, 4, block->qh);
    store_u16(block->d, codes.scales.d);
}

template <typename Block, int width, ReadLaw<Block> read, void (*write)(const float*, Block*),
          WriteImportant<Block> write_important>
constexpr TypeInfo type(TensorType id, std::string_view name, bool has_min) {
    return with_importance<Block, super_block, write_important>(
        quantized_type<Block, super_block, width, read, write>(id, name, has_min));
}

template <typename Block, void (*write)(const float* values, Magnitude, Block* block)>
constexpr auto by_magnitude = write_by_magnitude<Block, super_block, Magnitude, write>;

constexpr std::array k_quant_table = {
    // By magnitude it loses no less, and takes longer than others do.
    type<BlockQ2_K, 16, read_q2_k, write_evenly<BlockQ2_K, write_q2_k<Even>>, write_q2_k<Importance>>(TensorType::Q2_K,
                                                                                                      "Q2_K", true),
    type<BlockQ3_K, 16, read_q3_k, by_magnitude<BlockQ3_K, write_q3_k>, write_q3_k<Importance>>(TensorType::Q3_K,
                                                                                                "Q3_K", false),
    type<BlockQ4_K, 32, read_q4_k, by_magnitude<BlockQ4_K, write_q4_k>, write_q4_k<Importance>>(TensorType::Q4_K,
                                                                                                "Q4_K", true),
    type<BlockQ5_K, 32, read_q5_k, by_magnitude<BlockQ5_K, write_q5_k>, write_q5_k<Importance>>(TensorType::Q5_K,
                                                                                                "Q5_K", true),
    type<BlockQ6_K, 16, read_q6_k, by_magnitude<BlockQ6_K, write_q6_k>, write_q6_k<Importance>>(TensorType::Q6_K,
                                                                                                "Q6_K", false),
};

}  // namespace

std::span<const TypeInfo> k_quant_types() {
    return k_quant_table;
}

}  // namespace puna::quant
