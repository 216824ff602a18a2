// Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 as the formats before GGJT v3 had them: read and packed anew, not written.
//
// The layouts are those of ggml's structs before its pull requests 1405 (GGJT v2: the order of nibbles) and 1508 (GGJT
// v3: 16-bit scales), May 2023.
#include <array>
#include <cmath>
#include <cstring>

#include "quant/blocks.h"
#include "quant/families.h"
#include "quant/law.h"

namespace puna::quant {
namespace {

/// Which two elements share a byte, the first of them in its low nibble.
enum class Pairs {
    adjacent,  // 2 i and 2 i + 1, to GGJT v1
    halves,    // i and i + 16, from GGJT v2 on
};

/// w = d * (q - 8).
struct EarlyQ4_0 {
    std::uint8_t d[4];  // f32
    std::uint8_t qs[16];
};
/// w = d * q + m.
struct EarlyQ4_1 {
    std::uint8_t d[4];  // f32
    std::uint8_t m[4];  // f32
    std::uint8_t qs[16];
};
/// w = d * q.
struct EarlyQ8_0 {
    std::uint8_t d[4];  // f32
    std::int8_t qs[32];
};
static_assert(laid_out_as_in_the_file<EarlyQ4_0, 20> && laid_out_as_in_the_file<EarlyQ4_1, 24>);
static_assert(laid_out_as_in_the_file<EarlyQ8_0, 36>);

float load_f32(const std::uint8_t (&bytes)[4]) {
    float value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

template <Pairs pairs>
void read_nibbles(const std::uint8_t (&qs)[16], std::uint8_t (&codes)[small_block]) {
    for (int i = 0; i < small_block; ++i) {
        const int low_or_high = pairs == Pairs::adjacent ? qs[i / 2] >> (4 * (i % 2)) : nibble(qs, i);
        codes[i] = static_cast<std::uint8_t>(low_or_high & 15);
    }
}

// ---- To float ----

/// Unlike the laws of today's types, scale * q may round here, as in the programs that the files were made for.
template <Pairs pairs>
void read_q4_0(const EarlyQ4_0& block, int, LawBlock* out) {
    std::uint8_t codes[small_block];
    read_nibbles<pairs>(block.qs, codes);
    for (int i = 0; i < small_block; ++i)
        out->q[i] = static_cast<std::int8_t>(codes[i] - 8);
    out->scale = load_f32(block.d);
    out->min = 0.0f;
}

template <Pairs pairs>
void read_q4_1(const EarlyQ4_1& block, int, LawBlock* out) {
    std::uint8_t codes[small_block];
    read_nibbles<pairs>(block.qs, codes);
    for (int i = 0; i < small_block; ++i)
        out->q[i] = static_cast<std::int8_t>(codes[i]);
    out->scale = load_f32(block.d);
    out->min = -load_f32(block.m);
}

/// Fifth bits have always stood as in Q5_0 of today, the bit of element i at place i.
void add_fifth_bits(const std::uint8_t (&qh)[4], std::uint8_t (&codes)[small_block]) {
    for (int i = 0; i < small_block; ++i)
        codes[i] = static_cast<std::uint8_t>(codes[i] | (((qh[i / 8] >> (i % 8)) & 1) << 4));
}

void read_early_q5_0(const BlockQ5_0& block, int, LawBlock* out) {
    std::uint8_t codes[small_block];
    read_nibbles<Pairs::adjacent>(block.qs, codes);
    add_fifth_bits(block.qh, codes);
    for (int i = 0; i < small_block; ++i)
        out->q[i] = static_cast<std::int8_t>(codes[i] - 16);
    out->scale = load_f16(block.d);
    out->min = 0.0f;
}

void read_early_q5_1(const BlockQ5_1& block, int, LawBlock* out) {
    std::uint8_t codes[small_block];
    read_nibbles<Pairs::adjacent>(block.qs, codes);
    add_fifth_bits(block.qh, codes);
    for (int i = 0; i < small_block; ++i)
        out->q[i] = static_cast<std::int8_t>(codes[i]);
    out->scale = load_f16(block.d);
    out->min = -load_f16(block.m);
}

void read_q8_0(const EarlyQ8_0& block, int, LawBlock* out) {
    std::copy(std::begin(block.qs), std::end(block.qs), out->q);
    out->scale = load_f32(block.d);
    out->min = 0.0f;
}

// ---- To today's types ----

/// Stores 32-bit scales and offsets in 16 bits. False if one was lost.
class Narrowing {
  public:
    bool store(const std::uint8_t (&from)[4], std::uint8_t (&to)[2]) {
        const float given = load_f32(from);
        const std::uint16_t half = f32_to_f16(given);
        store_u16(to, half);
        const float stored = f16_to_f32(half);
        if (!std::isfinite(stored)) return false;
        if (stored != given) {
            const double error = std::fabs((static_cast<double>(stored) - given) / given);
            largest_error_ = std::max(largest_error_, error);
        }
        return true;
    }
    double largest_error() const { return largest_error_; }

  private:
    double largest_error_ = 0;
};

template <Pairs pairs>
bool repack_q4_0(const EarlyQ4_0& from, BlockQ4_0* to, Narrowing& narrowing) {
    std::uint8_t codes[small_block];
    read_nibbles<pairs>(from.qs, codes);
    pack_nibbles(codes, to->qs);
    return narrowing.store(from.d, to->d);
}

template <Pairs pairs>
bool repack_q4_1(const EarlyQ4_1& from, BlockQ4_1* to, Narrowing& narrowing) {
    std::uint8_t codes[small_block];
    read_nibbles<pairs>(from.qs, codes);
    pack_nibbles(codes, to->qs);
    const bool scale = narrowing.store(from.d, to->d);
    const bool offset = narrowing.store(from.m, to->m);
    return scale && offset;
}

/// Q5_0 and Q5_1: nothing but the order of nibbles.
template <typename Block>
bool repack_q5(const Block& from, Block* to, Narrowing&) {
    std::uint8_t codes[small_block];
    read_nibbles<Pairs::adjacent>(from.qs, codes);
    *to = from;
    pack_nibbles(codes, to->qs);
    return true;
}

bool repack_q8_0(const EarlyQ8_0& from, BlockQ8_0* to, Narrowing& narrowing) {
    std::copy(std::begin(from.qs), std::end(from.qs), to->qs);
    return narrowing.store(from.d, to->d);
}

template <typename From, typename To, bool (*repack_block)(const From&, To*, Narrowing&)>
Repacked repack(const std::byte* blocks, std::byte* out, std::size_t count) {
    const auto* from = reinterpret_cast<const From*>(blocks);
    auto* to = reinterpret_cast<To*>(out);
    Narrowing narrowing;
    Repacked result;
    for (std::size_t b = 0; b < count / small_block; ++b) {
        const bool kept = repack_block(from[b], to + b, narrowing);
        if (!kept && result.first_lost == Repacked::none) result.first_lost = b * small_block;
    }
    result.largest_error = narrowing.largest_error();
    return result;
}

template <typename From, typename To, ReadLaw<From> read, bool (*repack_block)(const From&, To*, Narrowing&)>
constexpr TypeInfo early_type(TensorType type, std::string_view name, TensorType successor) {
    TypeInfo info = known_type(type, name, small_block, sizeof(From));
    info.to_float = decode<From, small_block, small_block, read>;
    info.decoded_only = true;
    info.successor = successor;
    info.repack = repack<From, To, repack_block>;
    return info;
}

constexpr Pairs v1 = Pairs::adjacent;
constexpr Pairs v2 = Pairs::halves;

constexpr std::array early_table = {
    early_type<EarlyQ4_0, BlockQ4_0, read_q4_0<v1>, repack_q4_0<v1>>(TensorType::Q4_0_GGJT1, "Q4_0_GGJT1",
                                                                     TensorType::Q4_0),
    early_type<EarlyQ4_1, BlockQ4_1, read_q4_1<v1>, repack_q4_1<v1>>(TensorType::Q4_1_GGJT1, "Q4_1_GGJT1",
                                                                     TensorType::Q4_1),
    early_type<BlockQ5_0, BlockQ5_0, read_early_q5_0, repack_q5<BlockQ5_0>>(TensorType::Q5_0_GGJT1, "Q5_0_GGJT1",
                                                                            TensorType::Q5_0),
    early_type<BlockQ5_1, BlockQ5_1, read_early_q5_1, repack_q5<BlockQ5_1>>(TensorType::Q5_1_GGJT1, "Q5_1_GGJT1",
                                                                            TensorType::Q5_1),
    early_type<EarlyQ4_0, BlockQ4_0, read_q4_0<v2>, repack_q4_0<v2>>(TensorType::Q4_0_GGJT2, "Q4_0_GGJT2",
                                                                     TensorType::Q4_0),
    early_type<EarlyQ4_1, BlockQ4_1, read_q4_1<v2>, repack_q4_1<v2>>(TensorType::Q4_1_GGJT2, "Q4_1_GGJT2",
                                                                     TensorType::Q4_1),
    early_type<EarlyQ8_0, BlockQ8_0, read_q8_0, repack_q8_0>(TensorType::Q8_0_GGJT2, "Q8_0_GGJT2", TensorType::Q8_0),
};

}  // namespace

std::span<const TypeInfo> early_types() {
    return early_table;
}

}  // namespace puna::quant
