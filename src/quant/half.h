// The 16-bit and 8-bit floats of tensor files, converted exactly: widening loses nothing, narrowing rounds to nearest
// even, denormals are kept, a NaN stays a NaN (made quiet, as the CPU's own instructions do).
//
// Bits only, so that all builds agree. Everything is inlined by force: this header is also read by translation units of
// an instruction set, whose objects may hold no symbol that the linker could hand to baseline code.
#pragma once

#include <cstdint>

namespace puna::quant {

/// IEEE 754 binary16 to binary32.
[[gnu::always_inline]] inline float f16_to_f32(std::uint16_t half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
    const std::uint32_t magnitude = half & 0x7fffu;
    // Normal: the exponent's bias grows from 15 to 127. Infinity and NaN: to the highest exponent.
    const std::uint32_t normal = (magnitude << 13) + (112u << 23);
    const std::uint32_t special = (magnitude << 13) | 0x7f800000u | (magnitude > 0x7c00u ? 0x00400000u : 0u);
    // Zero and denormal: `magnitude` counts 2^-24, which is what the last bit of a float in [0.5, 1) is worth.
    const float denormal = __builtin_bit_cast(float, magnitude | 0x3f000000u) - 0.5f;
    std::uint32_t bits = magnitude >= 0x7c00u ? special : normal;
    bits = magnitude < 0x0400u ? __builtin_bit_cast(std::uint32_t, denormal) : bits;
    return __builtin_bit_cast(float, bits | sign);
}

/// IEEE 754 binary32 to binary16; 65,520 and beyond become infinite.
[[gnu::always_inline]] inline std::uint16_t f32_to_f16(float value) {
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
    const std::uint32_t sign = (bits >> 16) & 0x8000u;
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    std::uint32_t half = 0;
    if (magnitude > 0x7f800000u) {
        half = 0x7e00u | ((magnitude >> 13) & 0x03ffu);
    } else if (magnitude >= 0x477ff000u) {
        half = 0x7c00u;
    } else if (magnitude < 0x38800000u) {
        // Under 2^-14: the addition rounds to a whole count of 2^-24.
        const float counted = __builtin_bit_cast(float, magnitude) + 0.5f;
        half = __builtin_bit_cast(std::uint32_t, counted) - 0x3f000000u;
    } else {
        const std::uint32_t odd = (magnitude >> 13) & 1u;
        half = (magnitude - (112u << 23) + 0x0fffu + odd) >> 13;
    }
    return static_cast<std::uint16_t>(half | sign);
}

/// bfloat16, the upper half of a binary32.
[[gnu::always_inline]] inline float bf16_to_f32(std::uint16_t value) {
    return __builtin_bit_cast(float, static_cast<std::uint32_t>(value) << 16);
}

[[gnu::always_inline]] inline std::uint16_t f32_to_bf16(float value) {
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<std::uint16_t>((bits >> 16) | 0x0040u);
    return static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// The two 8-bit floats of Micikevicius et al. 2022, "FP8 Formats for Deep Learning". E5M2 is the upper half of a
/// binary16; E4M3 has a bias of 7, no infinities, and NaN where all bits but the sign are set.
[[gnu::always_inline]] inline float f8_e5m2_to_f32(std::uint8_t value) {
    return f16_to_f32(static_cast<std::uint16_t>(value << 8));
}
[[gnu::always_inline]] inline float f8_e4m3_to_f32(std::uint8_t value) {
    const std::uint32_t sign = static_cast<std::uint32_t>(value & 0x80u) << 24;
    const std::uint32_t magnitude = value & 0x7fu;
    if (magnitude == 0x7fu) return __builtin_bit_cast(float, sign | 0x7fc00000u);
    // Normal: the exponent's bias grows from 7 to 127. Denormal: `magnitude` counts 2^-9.
    const std::uint32_t normal = (magnitude << 20) + (120u << 23);
    const float denormal = static_cast<float>(magnitude) * 0x1p-9F;
    const std::uint32_t bits = magnitude < 8u ? __builtin_bit_cast(std::uint32_t, denormal) : normal;
    return __builtin_bit_cast(float, bits | sign);
}

/// Half of 2^(exponent - 127), the value of an E8M0 scale (OCP Microscaling Formats 1.0). Halved, because the E2M1
/// values beside it are stored doubled, to be integers. The specification's NaN, 255, is read as 2^128, as the GGUF
/// tools do.
[[gnu::always_inline]] inline float e8m0_half_to_f32(std::uint8_t exponent) {
    const std::uint32_t bits = exponent < 2 ? 0x00200000u << exponent : (exponent - 1u) << 23;
    return __builtin_bit_cast(float, bits);
}

/// Half of an unsigned E4M3 scale, halved as above. Its sign bit means nothing; 127, where E4M3 has NaN, is 0, as the
/// GGUF tools have it.
[[gnu::always_inline]] inline float ue4m3_half_to_f32(std::uint8_t value) {
    if (value == 0x7fu) return 0.0f;
    const std::uint32_t magnitude = value & 0x7fu;
    // Normal: the exponent's bias grows from 7 to 127, less one. Denormal: `magnitude` counts 2^-10.
    return magnitude < 8u ? static_cast<float>(magnitude) * 0x1p-10F
                          : __builtin_bit_cast(float, (magnitude << 20) + (119u << 23));
}

/// Scales lie unaligned in files, little-endian.
[[gnu::always_inline]] inline std::uint16_t load_u16(const std::uint8_t* bytes) {
    return static_cast<std::uint16_t>(bytes[0] | (bytes[1] << 8));
}
[[gnu::always_inline]] inline void store_u16(std::uint8_t* bytes, std::uint16_t value) {
    bytes[0] = static_cast<std::uint8_t>(value & 0xffu);
    bytes[1] = static_cast<std::uint8_t>(value >> 8);
}
[[gnu::always_inline]] inline float load_f16(const std::uint8_t* bytes) {
    return f16_to_f32(load_u16(bytes));
}

}  // namespace puna::quant
