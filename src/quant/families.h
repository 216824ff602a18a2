// The families of tensor types, for the registry: each lists what its file holds.
#pragma once

#include <span>

#include "quant/tensor_type.h"

namespace puna::quant {

/// A type known by name and size alone: this build neither reads nor writes its elements.
constexpr TypeInfo known_type(TensorType type, std::string_view name, std::uint32_t elements, std::uint32_t bytes) {
    return {.type = type, .name = name, .block_elements = elements, .block_bytes = bytes};
}

std::span<const TypeInfo> float_types();     // F32, F16, BF16; F64, F8; integers, which do not compute
std::span<const TypeInfo> legacy_types();    // Q4_0, Q4_1, Q5_0, Q5_1, Q8_0
std::span<const TypeInfo> early_types();     // the same as the formats before GGJT v3 had them
std::span<const TypeInfo> k_quant_types();   // Q2_K ... Q6_K
std::span<const TypeInfo> iq4_types();       // IQ4_NL, IQ4_XS
std::span<const TypeInfo> codebook_types();  // IQ1_S ... IQ3_S
std::span<const TypeInfo> ternary_types();   // TQ1_0, TQ2_0
std::span<const TypeInfo> fp4_types();       // MXFP4, NVFP4

}  // namespace puna::quant
