// IQ1, IQ2 and IQ3: codes into code books of whole groups of weights (codebooks.h).
#include "quant/codebooks.h"

#include <array>

#include "quant/blocks.h"
#include "quant/families.h"
#include "quant/fit_codes.h"
#include "quant/law.h"
#include "quant/nearest_points.h"

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

// ---- Encoding ----

/// 256 weights as magnitudes with signs.
struct SignedMagnitudes {
    float x[super_block];  // negative where the sign cannot be stored
    std::uint8_t signs[super_block / 8];
};

/// `even`: the minus signs of eight weights are even in number, so one sign may have to be the wrong one: that of the
/// weight that counts for least.
template <bool even>
SignedMagnitudes split_signs(const float* values, Importance w) {
    SignedMagnitudes split = {};
    for (int g = 0; g < super_block / 8; ++g) {
        float* x = split.x + 8 * g;
        std::uint32_t signs = 0;
        int least = 0;
        for (int i = 0; i < 8; ++i) {
            x[i] = std::fabs(values[8 * g + i]);
            if (values[8 * g + i] < 0.0f) signs |= 1u << i;
            if (w[8 * g + i] * x[i] < w[8 * g + least] * x[least]) least = i;
        }
        if (even && even_signs(signs & 127u) != signs) {
            signs ^= 1u << least;
            x[least] = -x[least];
        }
        split.signs[g] = static_cast<std::uint8_t>(signs);
    }
    return split;
}

/// Of the groups that are about to be written: the signs of four times eight weights, seven bits of each.
std::uint32_t pack_signs(const std::uint8_t* signs) {
    std::uint32_t packed = 0;
    for (int g = 0; g < 4; ++g)
        packed |= (signs[g] & 127u) << (7 * g);
    return packed;
}

void store_u32(std::uint8_t* bytes, std::uint32_t value) {
    store_u16(bytes, static_cast<std::uint16_t>(value));
    store_u16(bytes + 2, static_cast<std::uint16_t>(value >> 16));
}

/// The nibbles of `sub`, the low one of each byte first. bytes: [n / 2].
template <std::size_t n>
void pack_subs(const std::uint8_t (&sub)[n], std::uint8_t* bytes) {
    for (std::size_t s = 0; s < n; s += 2)
        bytes[s / 2] = static_cast<std::uint8_t>(sub[s] | (sub[s + 1] << 4));
}

/// Made when it is first needed. Bytes of points are magnitudes; those of IQ1 (`around_zero`) say -1, 0 or 1, of which
/// one is eight of the law's.
template <const auto& book, int levels, bool around_zero = false>
const auto& finder_of() {
    using Book = std::remove_cvref_t<decltype(book)>;
    static const PointFinder<Book, levels> finder(book, around_zero ? 8.0f : 1.0f, around_zero ? -8.0f : 0.0f);
    return finder;
}

template <int width, const auto& book, int levels>
auto fit_points(const SignedMagnitudes& split, Importance w, const CodeLaw& law) {
    const auto& finder = finder_of<book, levels>();
    const PointCodes<std::remove_cvref_t<decltype(finder)>, width> codes = {finder};
    return fit_codes<width>(split.x, w, law, codes);
}

void write_iq2_xxs(const float* values, Importance w, BlockIQ2_XXS* block) {
    const SignedMagnitudes split = split_signs<true>(values, w);
    const auto fit = fit_points<32, iq2_xxs_points, 3>(split, w, {43.0f, 8.0f, 8.0f, 15});
    store_u16(block->d, fit.d);
    for (int s = 0; s < fit.groups; ++s) {
        for (int c = 0; c < 4; ++c)
            block->qs[8 * s + c] = static_cast<std::uint8_t>(fit.codes[s][c]);
        store_u32(block->qs + 8 * s + 4, pack_signs(split.signs + 4 * s) | std::uint32_t{fit.sub[s]} << 28);
    }
}

void write_iq2_xs(const float* values, Importance w, BlockIQ2_XS* block) {
    const SignedMagnitudes split = split_signs<true>(values, w);
    const auto fit = fit_points<16, iq2_xs_points, 3>(split, w, {43.0f, 8.0f, 8.0f, 15});
    store_u16(block->d, fit.d);
    pack_subs(fit.sub, block->scales);
    for (int k = 0; k < super_block / 8; ++k) {
        const int signs = split.signs[k] & 127;
        store_u16(block->qs + 2 * k, static_cast<std::uint16_t>(fit.codes[k / 2][k % 2] | (signs << 9)));
    }
}

void write_iq2_s(const float* values, Importance w, BlockIQ2_S* block) {
    const SignedMagnitudes split = split_signs<false>(values, w);
    const auto fit = fit_points<16, iq2_s_points, 3>(split, w, {43.0f, 8.0f, 8.0f, 15});
    *block = {};
    store_u16(block->d, fit.d);
    pack_subs(fit.sub, block->scales);
    for (int k = 0; k < super_block / 8; ++k) {
        const int code = fit.codes[k / 2][k % 2];
        block->qs[k] = static_cast<std::uint8_t>(code);
        block->qh[k / 4] |= static_cast<std::uint8_t>((code >> 8) << (2 * (k % 4)));
        block->signs[k] = split.signs[k];
    }
}

void write_iq3_xxs(const float* values, Importance w, BlockIQ3_XXS* block) {
    const SignedMagnitudes split = split_signs<true>(values, w);
    const auto fit = fit_points<32, iq3_xxs_points, 8>(split, w, {62.0f, 4.0f, 4.0f, 15});
    store_u16(block->d, fit.d);
    for (int s = 0; s < fit.groups; ++s) {
        for (int c = 0; c < 8; ++c)
            block->qs[8 * s + c] = static_cast<std::uint8_t>(fit.codes[s][c]);
        store_u32(block->signs + 4 * s, pack_signs(split.signs + 4 * s) | std::uint32_t{fit.sub[s]} << 28);
    }
}

void write_iq3_s(const float* values, Importance w, BlockIQ3_S* block) {
    const SignedMagnitudes split = split_signs<false>(values, w);
    const auto fit = fit_points<32, iq3_s_points, 8>(split, w, {15.0f, 1.0f, 1.0f, 15});
    *block = {};
    store_u16(block->d, fit.d);
    pack_subs(fit.sub, block->scales);
    for (int s = 0; s < fit.groups; ++s) {
        for (int c = 0; c < 8; ++c) {
            block->qs[8 * s + c] = static_cast<std::uint8_t>(fit.codes[s][c]);
            block->qh[s] |= static_cast<std::uint8_t>((fit.codes[s][c] >> 8) << c);
        }
        std::copy_n(split.signs + 4 * s, 4, block->signs + 4 * s);
    }
}

/// The groups of an IQ1 type; `together`: one shift for all codes of a group.
template <int width, bool together>
auto fit_shifted(const float* values, Importance w) {
    const auto& finder = finder_of<iq1_points, 3, true>();
    const ShiftedCodes<std::remove_cvref_t<decltype(finder)>, width, together> codes = {finder};
    return fit_codes<width>(values, w, {9.0f, 1.0f, 8.0f, 7}, codes);
}

void write_iq1_s(const float* values, Importance w, BlockIQ1_S* block) {
    const auto fit = fit_shifted<32, true>(values, w);
    store_u16(block->d, fit.d);
    for (int s = 0; s < fit.groups; ++s) {
        std::uint32_t high = (std::uint32_t{fit.sub[s]} << 12) | (fit.codes[s][0] & 0x8000u);
        for (int c = 0; c < 4; ++c) {
            block->qs[4 * s + c] = static_cast<std::uint8_t>(fit.codes[s][c]);
            high |= ((fit.codes[s][c] >> 8) & 7u) << (3 * c);
        }
        store_u16(block->qh + 2 * s, static_cast<std::uint16_t>(high));
    }
}

void write_iq1_m(const float* values, Importance w, BlockIQ1_M* block) {
    const auto fit = fit_shifted<16, false>(values, w);
    *block = {};
    for (int k = 0; k < super_block / 8; ++k) {
        const std::uint32_t code = fit.codes[k / 2][k % 2];
        block->qs[k] = static_cast<std::uint8_t>(code);
        const std::uint32_t high = ((code >> 8) & 7u) | ((code >> 15) << 3);
        block->qh[k / 2] |= static_cast<std::uint8_t>(high << (4 * (k % 2)));
    }
    for (int four = 0; four < 4; ++four) {
        std::uint32_t bits = ((fit.d >> (4 * four)) & 15u) << 12;
        for (int i = 0; i < 4; ++i)
            bits |= std::uint32_t{fit.sub[4 * four + i]} << (3 * i);
        store_u16(block->scales + 2 * four, static_cast<std::uint16_t>(bits));
    }
}

constexpr std::array codebook_table = {
    type_by_weights<BlockIQ1_S, super_block, 32, read_iq1_s, write_iq1_s>(TensorType::IQ1_S, "IQ1_S"),
    type_by_weights<BlockIQ1_M, super_block, 16, read_iq1_m, write_iq1_m>(TensorType::IQ1_M, "IQ1_M"),
    type_by_weights<BlockIQ2_XXS, super_block, 32, read_iq2_xxs, write_iq2_xxs>(TensorType::IQ2_XXS, "IQ2_XXS"),
    type_by_weights<BlockIQ2_XS, super_block, 16, read_iq2_xs, write_iq2_xs>(TensorType::IQ2_XS, "IQ2_XS"),
    type_by_weights<BlockIQ2_S, super_block, 16, read_iq2_s, write_iq2_s>(TensorType::IQ2_S, "IQ2_S"),
    type_by_weights<BlockIQ3_XXS, super_block, 32, read_iq3_xxs, write_iq3_xxs>(TensorType::IQ3_XXS, "IQ3_XXS"),
    type_by_weights<BlockIQ3_S, super_block, 32, read_iq3_s, write_iq3_s>(TensorType::IQ3_S, "IQ3_S"),
};

}  // namespace

std::span<const TypeInfo> codebook_types() {
    return codebook_table;
}

}  // namespace puna::quant
