// Q2_K ... Q6_K: 256 elements with two levels of scales; the sub-blocks of 16 or 32 have small integer scales (and
// offsets), the block an f16 scale for them.
#include <array>
#include <cstring>

#include "quant/blocks.h"
#include "quant/families.h"
#include "quant/fit.h"
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
    std::int8_t q[super_block];  // in [low, -low - 1]
};

/// w = d * sub[s] * q for 16 groups of 16: scales first, then every value under the scales as they are stored.
template <typename Weights>
SymmetricCodes encode_symmetric(const float* values, Weights w, int sub_low, int low) {
    const auto nearest = [low](float v) { return clamp_round(v, low, -low - 1); };
    SymmetricCodes codes;
    codes.scales = fit_scales<16>(values, w, sub_low, low, nearest);
    for (int s = 0; s < 16; ++s) {
        const float inverse = reciprocal_or_zero(codes.scales.scale(s));
        for (int e = 16 * s; e < 16 * (s + 1); ++e)
            codes.q[e] = static_cast<std::int8_t>(nearest(values[e] * inverse));
    }
    return codes;
}

/// ORs `bits` into a byte.
void put(std::uint8_t& byte, int bits) {
    byte = static_cast<std::uint8_t>(byte | bits);
}

template <typename Weights>
void write_q2_k(const float* values, Weights w, BlockQ2_K* block) {
    const auto codes = encode_with_offsets<16>(values, w, 15, 3);
    *block = {};
    for (int s = 0; s < 16; ++s)
        block->scales[s] = static_cast<std::uint8_t>(codes.sub[s] | (codes.min[s] << 4));
    for (int e = 0; e < super_block; ++e)
        put(block->qs[32 * (e / 128) + e % 32], codes.q[e] << (2 * (e % 128 / 32)));
    store_u16(block->d, codes.d);
    store_u16(block->dmin, codes.dmin);
}

template <typename Weights>
void write_q3_k(const float* values, Weights w, BlockQ3_K* block) {
    const SymmetricCodes codes = encode_symmetric(values, w, -32, -4);
    *block = {};
    for (int s = 0; s < 16; ++s) {
        const int scale = codes.scales.sub[s] + 32;
        put(block->scales[s % 8], (scale & 15) << (4 * (s / 8)));
        put(block->scales[8 + s % 4], (scale >> 4) << (2 * (s / 4)));
    }
    for (int e = 0; e < super_block; ++e) {
        const int code = codes.q[e] + 4;
        put(block->qs[32 * (e / 128) + e % 32], (code & 3) << (2 * (e % 128 / 32)));
        put(block->hmask[e % 32], (code >> 2) << (e / 32));
    }
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
    *block = {};
    for (int e = 0; e < super_block; ++e)
        put(block->qs[32 * (e / 64) + e % 32], codes.q[e] << (4 * (e / 32 % 2)));
    pack_k_scales(codes, block->scales);
    store_u16(block->d, codes.d);
    store_u16(block->dmin, codes.dmin);
}

template <typename Weights>
void write_q5_k(const float* values, Weights w, BlockQ5_K* block) {
    const auto codes = encode_with_offsets<8>(values, w, 63, 31);
    *block = {};
    for (int e = 0; e < super_block; ++e) {
        put(block->qs[32 * (e / 64) + e % 32], (codes.q[e] & 15) << (4 * (e / 32 % 2)));
        put(block->qh[e % 32], (codes.q[e] >> 4) << (e / 32));
    }
    pack_k_scales(codes, block->scales);
    store_u16(block->d, codes.d);
    store_u16(block->dmin, codes.dmin);
}

template <typename Weights>
void write_q6_k(const float* values, Weights w, BlockQ6_K* block) {
    const SymmetricCodes codes = encode_symmetric(values, w, -128, -32);
    *block = {};
    std::memcpy(block->scales, codes.scales.sub, sizeof(block->scales));
    for (int e = 0; e < super_block; ++e) {
        const int code = codes.q[e] + 32;
        const int half = e / 128;
        const int quarter = e % 128 / 32;
        put(block->ql[64 * half + 32 * (quarter % 2) + e % 32], (code & 15) << (4 * (quarter / 2)));
        put(block->qh[32 * half + e % 32], (code >> 4) << (2 * quarter));
    }
    store_u16(block->d, codes.scales.d);
}

template <typename Block, int width, ReadLaw<Block> read, void (*write)(const float*, Even, Block*),
          WriteImportant<Block> write_important>
constexpr TypeInfo type(TensorType id, std::string_view name, bool has_min) {
    return with_importance<Block, super_block, write_important>(
        quantized_type<Block, super_block, width, read, write_evenly<Block, write>>(id, name, has_min));
}

constexpr std::array k_quant_table = {
    type<BlockQ2_K, 16, read_q2_k, write_q2_k<Even>, write_q2_k<Importance>>(TensorType::Q2_K, "Q2_K", true),
    type<BlockQ3_K, 16, read_q3_k, write_q3_k<Even>, write_q3_k<Importance>>(TensorType::Q3_K, "Q3_K", false),
    type<BlockQ4_K, 32, read_q4_k, write_q4_k<Even>, write_q4_k<Importance>>(TensorType::Q4_K, "Q4_K", true),
    type<BlockQ5_K, 32, read_q5_k, write_q5_k<Even>, write_q5_k<Importance>>(TensorType::Q5_K, "Q5_K", true),
    type<BlockQ6_K, 16, read_q6_k, write_q6_k<Even>, write_q6_k<Importance>>(TensorType::Q6_K, "Q6_K", false),
};

}  // namespace

std::span<const TypeInfo> k_quant_types() {
    return k_quant_table;
}

}  // namespace puna::quant
