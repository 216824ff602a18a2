// The tensor types of the GGUF specification, of safetensors and of the formats before GGUF, and what puna can do with
// each.
//
// A type is a unit: its block struct, its conversion to and from float and its numeric law live in one file of its
// family (`legacy.cc`, `k_quants.cc`, ...); this header is what the other rooms see.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace puna::quant {

/// Values are the ids that GGUF files store. Ids not listed were never used or are retired (see `retired_type_name`).
/// From `first_foreign_type` on they are puna's own, for types that GGUF does not have, and stand in no file.
enum class TensorType : std::uint32_t {
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q8_1 = 9,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    Q8_K = 15,
    IQ2_XXS = 16,
    IQ2_XS = 17,
    IQ3_XXS = 18,
    IQ1_S = 19,
    IQ4_NL = 20,
    IQ3_S = 21,
    IQ2_S = 22,
    IQ4_XS = 23,
    I8 = 24,
    I16 = 25,
    I32 = 26,
    I64 = 27,
    F64 = 28,
    IQ1_M = 29,
    BF16 = 30,
    TQ1_0 = 34,
    TQ2_0 = 35,
    MXFP4 = 39,
    NVFP4 = 40,
    Q1_0 = 41,
    F8_E4M3 = 0x10000,  // "FN": no infinities
    F8_E5M2 = 0x10001,
    BOOL = 0x10002,
    U8 = 0x10003,
    U16 = 0x10004,
    U32 = 0x10005,
    U64 = 0x10006,
    // What the formats before GGUF call by the names of today (docs/formats/ggml-legacy.md). Of GGJT v1 and before:
    Q4_0_GGJT1 = 0x10007,
    Q4_1_GGJT1 = 0x10008,
    Q5_0_GGJT1 = 0x10009,
    Q5_1_GGJT1 = 0x1000a,
    // Of GGJT v2; its Q8_0 is that of GGJT v1 too.
    Q4_0_GGJT2 = 0x1000b,
    Q4_1_GGJT2 = 0x1000c,
    Q8_0_GGJT2 = 0x1000d,
};
inline constexpr std::uint32_t first_foreign_type = 0x10000;
/// Whether GGUF files can hold the type.
constexpr bool is_gguf_type(TensorType type) {
    return static_cast<std::uint32_t>(type) < first_foreign_type;
}

/// One block of the integer law (docs/numerics.md): `width` weights that share a scale, w = scale * q - min.
struct LawBlock {
    std::int8_t q[32];  // [width] integers, in ascending K
    float scale;        // dw
    float min;          // mw; 0 where the type has no offset
};

/// What became of numbers that were packed anew.
struct Repacked {
    static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

    double largest_error = 0;       // |stored - given| / |given|, of all scales and offsets
    std::size_t first_lost = none;  // the first element under a scale or offset that is infinite or NaN when stored
};

struct TypeInfo {
    TensorType type;
    std::string_view name;         // as GGUF tools print it: "Q4_K"
    std::uint32_t block_elements;  // elements that one block holds; a row is a whole number of blocks
    std::uint32_t block_bytes;

    /// Elements of a law block, min(scale group, 32): 32 or 16; 0 for types without an integer law (float types, and
    /// types that this build does not compute).
    std::uint32_t law_width;
    bool has_min;  // the law's second step, for the offset, applies

    /// Decodes `count` elements (whole blocks) to float. Null if this build does not compute the type.
    void (*to_float)(const std::byte* blocks, float* out, std::size_t count);
    /// Encodes `count` finite floats (whole blocks), round to nearest. Null if the type cannot be written yet.
    void (*from_float)(const float* values, std::byte* blocks, std::size_t count);
    /// Reads law block `index` of a row. Null where law_width is 0.
    void (*law_block)(const std::byte* row, std::size_t index, LawBlock* out);
    /// As from_float, but so that the sum of importance * (error)^2 is small; `importance`: [count] numbers > 0. Null
    /// where the codes leave no choice.
    void (*from_important)(const float* values, const float* importance, std::byte* blocks, std::size_t count);

    /// Read to be converted: products decode the weights to float32, whatever activations are asked for, and no kernel
    /// is written for the type.
    bool decoded_only = false;

    /// Of an early form of one of today's types: that type, and the way there. The codes stay, scales and offsets are
    /// rounded to nearest where it stores them in fewer bits. Null for all others.
    TensorType successor = type;
    Repacked (*repack)(const std::byte* blocks, std::byte* out, std::size_t count) = nullptr;

    bool computes() const { return to_float != nullptr; }
};

/// Null for an id that is unknown or retired. Knows the foreign types too.
const TypeInfo* find_type(std::uint32_t id);
/// Whether two names of types are the same; letter case does not matter.
bool same_name(std::string_view a, std::string_view b);
/// Null for an unknown name.
const TypeInfo* find_type(std::string_view name);
const TypeInfo& type_info(TensorType type);
/// All types, in ascending id.
std::span<const TypeInfo> all_types();
/// The name of a type that GGUF once had and gave up (Q4_2, Q4_0_4_4, ...); empty for any other id.
std::string_view retired_type_name(std::uint32_t id);

}  // namespace puna::quant
