// What a change of type does to weights.
#pragma once

#include "quant/tensor_type.h"

namespace puna::convert {

inline bool is_quantized(quant::TensorType type) {
    return quant::type_info(type).block_elements > 1;
}

/// Whether `to` is the type that `from` is an early form of: codes are kept, and nothing is quantized again.
inline bool is_repacked(quant::TensorType from, quant::TensorType to) {
    return from != to && quant::type_info(from).successor == to;
}

/// Whether weights keep their values.
enum class Exactness {
    always,     // `to` holds whatever `from` can say
    by_values,  // seen when they are read: each value, or each scale, may fit or not
    never,      // codes are chosen anew
};

inline Exactness exactness(quant::TensorType from, quant::TensorType to) {
    using quant::TensorType;
    if (from == to) return Exactness::always;
    if (is_repacked(from, to)) return Exactness::by_values;
    if (to == TensorType::F32) return from == TensorType::F64 ? Exactness::by_values : Exactness::always;
    // A code times its scale has more bits than 16-bit floats: that all of them fit would be luck.
    if (is_quantized(from) || (to != TensorType::F16 && to != TensorType::BF16)) return Exactness::never;
    const bool eight_bits = from == TensorType::F8_E4M3 || from == TensorType::F8_E5M2;
    return eight_bits ? Exactness::always : Exactness::by_values;
}

}  // namespace puna::convert
