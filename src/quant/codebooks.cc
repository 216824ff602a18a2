// IQ1, IQ2 and IQ3: codes into code books of whole groups of weights (codebooks.h), read alone.
#include "quant/codebooks.h"

#include <array>

#include "quant/blocks.h"
#include "quant/families.h"
#include "quant/law.h"

namespace puna::quant {
namespace {

std::uint32_t load_u32(const std::uint8_t* bytes) {
    return load_u16(bytes) | static_cast<std::uint32_t>(load_u16(bytes + 2)) << 16;
}

/// A nibble of packed bytes, the low one of each first.
int packed_nibble(const std::uint8_t* bytes, int i) {
    return (bytes[i / 2] >> (4 * (i % 2))) & 15;
}

/// d * (2 sc + 1) / parts.
void set_scale(const std::uint8_t (&d)[2], int sc, float parts, LawBlock* out) {
    out->scale = load_f16(d) * (static_cast<float>(2 * sc + 1) / parts);
    out->min = 0.0f;
}

/// q: the point's values; a set bit of `signs` is a minus, the lowest the first weight's.
template <typename Book>
void read_point(const Book& book, int code, std::uint32_t signs, std::int8_t* q) {
    for (int i = 0; i < Book::weights; ++i) {
        const auto magnitude = static_cast<std::int8_t>((book.at[code] >> (8 * i)) & 255u);
        q[i] = static_cast<std::int8_t>((signs >> i) & 1u ? -magnitude : magnitude);
    }
}

/// Of 28 bits of signs, the eight of group g.
std::uint32_t signs_of(std::uint32_t packed, int g) {
    return even_signs((packed >> (7 * g)) & 127u);
}

void read_iq2_xxs(const BlockIQ2_XXS& block, int sub, LawBlock* out) {
    const std::uint8_t* codes = block.qs + 8 * sub;
    const std::uint32_t signs = load_u32(codes + 4);
    for (int g = 0; g < 4; ++g)
        read_point(iq2_xxs_points, codes[g], signs_of(signs, g), out->q + 8 * g);
    set_scale(block.d, static_cast<int>(signs >> 28), 8.0f, out);
}

void read_iq2_xs(const BlockIQ2_XS& block, int sub, LawBlock* out) {
    for (int g = 0; g < 2; ++g) {
        const std::uint32_t code = load_u16(block.qs + 4 * sub + 2 * g);
        read_point(iq2_xs_points, static_cast<int>(code & 511u), even_signs(code >> 9), out->q + 8 * g);
    }
    set_scale(block.d, packed_nibble(block.scales, sub), 8.0f, out);
}

void read_iq2_s(const BlockIQ2_S& block, int sub, LawBlock* out) {
    for (int g = 0; g < 2; ++g) {
        const int k = 2 * sub + g;
        const int code = block.qs[k] | ((block.qh[k / 4] >> (2 * (k % 4))) & 3) << 8;
        read_point(iq2_s_points, code, block.signs[k], out->q + 8 * g);
    }
    set_scale(block.d, packed_nibble(block.scales, sub), 8.0f, out);
}

void read_iq3_xxs(const BlockIQ3_XXS& block, int sub, LawBlock* out) {
    const std::uint32_t signs = load_u32(block.signs + 4 * sub);
    for (int g = 0; g < 8; ++g)
        read_point(iq3_xxs_points, block.qs[8 * sub + g], signs_of(signs, g / 2) >> (4 * (g % 2)), out->q + 4 * g);
    set_scale(block.d, static_cast<int>(signs >> 28), 4.0f, out);
}

void read_iq3_s(const BlockIQ3_S& block, int sub, LawBlock* out) {
    const std::uint32_t signs = load_u32(block.signs + 4 * sub);
    for (int g = 0; g < 8; ++g) {
        const int code = block.qs[8 * sub + g] | ((block.qh[sub] >> g) & 1) << 8;
        read_point(iq3_s_points, code, signs >> (4 * g), out->q + 4 * g);
    }
    set_scale(block.d, packed_nibble(block.scales, sub), 1.0f, out);
}

/// q: eight times the point's values, all shifted up or down by one.
void read_shifted_point(int code, bool down, std::int8_t* q) {
    for (int i = 0; i < 8; ++i) {
        const int value = static_cast<int>((iq1_points.at[code] >> (8 * i)) & 255u) - 1;
        q[i] = static_cast<std::int8_t>(8 * value + (down ? -1 : 1));
    }
}

void read_iq1_s(const BlockIQ1_S& block, int sub, LawBlock* out) {
    const std::uint16_t high = load_u16(block.qh + 2 * sub);
    for (int g = 0; g < 4; ++g) {
        const int code = block.qs[4 * sub + g] | ((high >> (3 * g)) & 7) << 8;
        read_shifted_point(code, (high & 0x8000u) != 0, out->q + 8 * g);
    }
    set_scale(block.d, (high >> 12) & 7, 8.0f, out);
}

void read_iq1_m(const BlockIQ1_M& block, int sub, LawBlock* out) {
    for (int g = 0; g < 2; ++g) {
        const int k = 2 * sub + g;
        const int high = packed_nibble(block.qh, k);
        read_shifted_point(block.qs[k] | (high & 7) << 8, (high & 8) != 0, out->q + 8 * g);
    }
    std::uint8_t d[2];
    d[0] = static_cast<std::uint8_t>((block.scales[1] >> 4) | (block.scales[3] & 0xf0));
    d[1] = static_cast<std::uint8_t>((block.scales[5] >> 4) | (block.scales[7] & 0xf0));
    set_scale(d, (load_u16(block.scales + sub / 4 * 2) >> (3 * (sub % 4))) & 7, 8.0f, out);
}

constexpr std::array codebook_table = {
    read_type<BlockIQ1_S, super_block, 32, read_iq1_s>(TensorType::IQ1_S, "IQ1_S", false),
    read_type<BlockIQ1_M, super_block, 16, read_iq1_m>(TensorType::IQ1_M, "IQ1_M", false),
    read_type<BlockIQ2_XXS, super_block, 32, read_iq2_xxs>(TensorType::IQ2_XXS, "IQ2_XXS", false),
    read_type<BlockIQ2_XS, super_block, 16, read_iq2_xs>(TensorType::IQ2_XS, "IQ2_XS", false),
    read_type<BlockIQ2_S, super_block, 16, read_iq2_s>(TensorType::IQ2_S, "IQ2_S", false),
    read_type<BlockIQ3_XXS, super_block, 32, read_iq3_xxs>(TensorType::IQ3_XXS, "IQ3_XXS", false),
    read_type<BlockIQ3_S, super_block, 32, read_iq3_s>(TensorType::IQ3_S, "IQ3_S", false),
};

}  // namespace

std::span<const TypeInfo> codebook_types() {
    return codebook_table;
}

}  // namespace puna::quant
