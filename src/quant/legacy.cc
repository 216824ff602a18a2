// Q4_0, Q4_1, Q5_0, Q5_1, Q8_0: 32 elements under one scale, or a scale and an offset.
//
// The encoders give the bytes of the GGUF reference encoder (`gguf.quants.quantize`), which takes the scale from the
// extremes. Where elements count differently, scale and offset are fitted.
#include <algorithm>
#include <array>
#include <cmath>

#include "quant/blocks.h"
#include "quant/families.h"
#include "quant/fit_line.h"
#include "quant/fit_scale.h"
#include "quant/law.h"

namespace puna::quant {
namespace {

// ---- The law ----

void read_q4_0(const BlockQ4_0& block, int, LawBlock* out) {
    for (int i = 0; i < small_block; ++i)
        out->q[i] = static_cast<std::int8_t>(nibble(block.qs, i) - 8);
    out->scale = load_f16(block.d);
    out->min = 0.0f;
}

void read_q4_1(const BlockQ4_1& block, int, LawBlock* out) {
    for (int i = 0; i < small_block; ++i)
        out->q[i] = static_cast<std::int8_t>(nibble(block.qs, i));
    out->scale = load_f16(block.d);
    out->min = -load_f16(block.m);
}

/// Element i of Q5_0 and Q5_1, 0 ... 31.
int five_bits(const std::uint8_t (&qs)[16], const std::uint8_t (&qh)[4], int i) {
    return nibble(qs, i) | (((qh[i / 8] >> (i % 8)) & 1) << 4);
}

void read_q5_0(const BlockQ5_0& block, int, LawBlock* out) {
    for (int i = 0; i < small_block; ++i)
        out->q[i] = static_cast<std::int8_t>(five_bits(block.qs, block.qh, i) - 16);
    out->scale = load_f16(block.d);
    out->min = 0.0f;
}

void read_q5_1(const BlockQ5_1& block, int, LawBlock* out) {
    for (int i = 0; i < small_block; ++i)
        out->q[i] = static_cast<std::int8_t>(five_bits(block.qs, block.qh, i));
    out->scale = load_f16(block.d);
    out->min = -load_f16(block.m);
}

void read_q8_0(const BlockQ8_0& block, int, LawBlock* out) {
    for (int i = 0; i < small_block; ++i)
        out->q[i] = block.qs[i];
    out->scale = load_f16(block.d);
    out->min = 0.0f;
}

// ---- Encoding ----

/// Codes 0 ... 2 * zero - 1 around `zero`; the element of the largest magnitude becomes code 0. Returns the scale.
float encode_symmetric(const float* values, int zero, std::uint8_t (&codes)[small_block]) {
    const float d = largest_magnitude<small_block>(values) / static_cast<float>(-zero);
    const float inverse = reciprocal_or_zero(d);
    const float shift = static_cast<float>(zero) + 0.5f;
    for (int i = 0; i < small_block; ++i) {
        codes[i] = static_cast<std::uint8_t>(clamp_truncate(values[i] * inverse + shift, 0, 2 * zero - 1));
    }
    return d;
}

struct ScaleAndOffset {
    float d;
    float m;
};

/// Codes 0 ... top from the smallest element to the largest.
ScaleAndOffset encode_from_minimum(const float* values, int top, std::uint8_t (&codes)[small_block]) {
    const auto [m, high] = extremes_of<small_block>(values);
    const float d = (high - m) / static_cast<float>(top);
    const float inverse = reciprocal_or_zero(d);
    for (int i = 0; i < small_block; ++i) {
        codes[i] = static_cast<std::uint8_t>(clamp_truncate((values[i] - m) * inverse + 0.5f, 0, top));
    }
    return {d, m};
}

/// The fifth bits of 32 codes.
void pack_fifth_bits(const std::uint8_t (&codes)[small_block], std::uint8_t (&qh)[4]) {
    std::fill(std::begin(qh), std::end(qh), std::uint8_t{0});
    for (int i = 0; i < small_block; ++i)
        qh[i / 8] |= static_cast<std::uint8_t>((codes[i] >> 4) << (i % 8));
}

void write_q4_0(const float* values, BlockQ4_0* block) {
    std::uint8_t codes[small_block];
    store_u16(block->d, f32_to_f16(encode_symmetric(values, 8, codes)));
    pack_nibbles(codes, block->qs);
}

void write_q4_1(const float* values, BlockQ4_1* block) {
    std::uint8_t codes[small_block];
    const auto [d, m] = encode_from_minimum(values, 15, codes);
    store_u16(block->d, f32_to_f16(d));
    store_u16(block->m, f32_to_f16(m));
    pack_nibbles(codes, block->qs);
}

void write_q5_0(const float* values, BlockQ5_0* block) {
    std::uint8_t codes[small_block];
    store_u16(block->d, f32_to_f16(encode_symmetric(values, 16, codes)));
    pack_fifth_bits(codes, block->qh);
    pack_nibbles(codes, block->qs);
}

void write_q5_1(const float* values, BlockQ5_1* block) {
    std::uint8_t codes[small_block];
    const auto [d, m] = encode_from_minimum(values, 31, codes);
    store_u16(block->d, f32_to_f16(d));
    store_u16(block->m, f32_to_f16(m));
    pack_fifth_bits(codes, block->qh);
    pack_nibbles(codes, block->qs);
}

// ---- Encoding by importance ----

/// Codes 0 ... 2 * zero - 1 around `zero`. Returns the scale, an f16.
std::uint16_t fit_symmetric(const float* values, Importance w, int zero, std::uint8_t (&codes)[small_block]) {
    const IntegerCodes integers = {static_cast<float>(-zero), static_cast<float>(zero - 1)};
    const std::uint16_t d = f32_to_f16(fit_scale<small_block>(values, w, -zero, integers).scale);
    const float inverse = reciprocal_or_zero(f16_to_f32(d));
    for (int i = 0; i < small_block; ++i)
        codes[i] = static_cast<std::uint8_t>(clamp_round(values[i] * inverse, -zero, zero - 1) + zero);
    return d;
}

/// A line as it is stored, its codes, and the error that is left.
struct StoredLine {
    std::uint16_t d;  // f16
    std::uint16_t m;  // f16
    std::uint8_t codes[small_block];
    double error;
};

StoredLine store_line(const float* values, Importance w, float scale, float offset, int top) {
    StoredLine line = {f32_to_f16(scale), f32_to_f16(offset), {}, 0.0};
    const float d = f16_to_f32(line.d);
    const float m = f16_to_f32(line.m);
    const float inverse = reciprocal_or_zero(d);
    for (int i = 0; i < small_block; ++i) {
        line.codes[i] = static_cast<std::uint8_t>(clamp_round((values[i] - m) * inverse, 0, top));
        const double off = values[i] - (d * static_cast<float>(line.codes[i]) + m);
        line.error += static_cast<double>(w[i]) * off * off;
    }
    return line;
}

/// Codes 0 ... top on the line that fits best, or on the one through the extremes: weights that were quantized before
/// lie on it exactly.
StoredLine fit_codes(const float* values, Importance w, int top) {
    const auto [low, high] = extremes_of<small_block>(values);
    const StoredLine plain = store_line(values, w, (high - low) / static_cast<float>(top), low, top);
    const Line line = fit_best_line<small_block, Offsets::any>(values, w, top);
    const auto scale = static_cast<float>(line.scale);
    // The offset that suits the scale as it will be rounded.
    const double off = line.scale - static_cast<double>(f16_to_f32(f32_to_f16(scale)));
    const double offset = line.offset + off * line.lean / sum_of_weights(w, small_block);
    const StoredLine fitted = store_line(values, w, scale, static_cast<float>(offset), top);
    return fitted.error < plain.error ? fitted : plain;
}

void fit_q4_0(const float* values, Importance w, BlockQ4_0* block) {
    std::uint8_t codes[small_block];
    store_u16(block->d, fit_symmetric(values, w, 8, codes));
    pack_nibbles(codes, block->qs);
}

void fit_q4_1(const float* values, Importance w, BlockQ4_1* block) {
    const StoredLine line = fit_codes(values, w, 15);
    store_u16(block->d, line.d);
    store_u16(block->m, line.m);
    pack_nibbles(line.codes, block->qs);
}

void fit_q5_0(const float* values, Importance w, BlockQ5_0* block) {
    std::uint8_t codes[small_block];
    store_u16(block->d, fit_symmetric(values, w, 16, codes));
    pack_fifth_bits(codes, block->qh);
    pack_nibbles(codes, block->qs);
}

void fit_q5_1(const float* values, Importance w, BlockQ5_1* block) {
    const StoredLine line = fit_codes(values, w, 31);
    store_u16(block->d, line.d);
    store_u16(block->m, line.m);
    pack_fifth_bits(line.codes, block->qh);
    pack_nibbles(line.codes, block->qs);
}

float largest_absolute(const float* values) {
    Lanes largest = {};
    for (int i = 0; i < small_block; i += 4) {
        const Lanes value = load_lanes(values + i);
        largest = larger(larger(value, -value), largest);
    }
    return std::max(std::max(largest[0], largest[2]), std::max(largest[1], largest[3]));
}

void write_q8_0(const float* values, BlockQ8_0* block) {
    const float d = largest_absolute(values) / 127.0f;
    const float inverse = reciprocal_or_zero(d);
    const Lanes high = Lanes{} + 127.0f;
    for (int i = 0; i < small_block; i += 4) {
        Lanes value = load_lanes(values + i) * inverse;
        value = smaller(larger(value, -high), high);
        // Halves away from zero, as the reference does. What is cut off is exact.
        IntegerLanes q = truncate_lanes(value);
        const Lanes rest = value - __builtin_convertvector(q, Lanes);
        q -= rest >= 0.5f;  // a comparison that holds is -1
        q += rest <= -0.5f;
        for (int j = 0; j < 4; ++j)
            block->qs[i + j] = static_cast<std::int8_t>(q[j]);
    }
    store_u16(block->d, f32_to_f16(d));
}

constexpr std::array legacy_table = {
    with_importance<BlockQ4_0, small_block, fit_q4_0>(
        quantized_type<BlockQ4_0, small_block, small_block, read_q4_0, write_q4_0>(TensorType::Q4_0, "Q4_0", false)),
    with_importance<BlockQ4_1, small_block, fit_q4_1>(
        quantized_type<BlockQ4_1, small_block, small_block, read_q4_1, write_q4_1>(TensorType::Q4_1, "Q4_1", true)),
    with_importance<BlockQ5_0, small_block, fit_q5_0>(
        quantized_type<BlockQ5_0, small_block, small_block, read_q5_0, write_q5_0>(TensorType::Q5_0, "Q5_0", false)),
    with_importance<BlockQ5_1, small_block, fit_q5_1>(
        quantized_type<BlockQ5_1, small_block, small_block, read_q5_1, write_q5_1>(TensorType::Q5_1, "Q5_1", true)),
    quantized_type<BlockQ8_0, small_block, small_block, read_q8_0, write_q8_0>(TensorType::Q8_0, "Q8_0", false),
};

}  // namespace

std::span<const TypeInfo> legacy_types() {
    return legacy_table;
}

}  // namespace puna::quant
