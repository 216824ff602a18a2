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

/// Whether `to` holds whatever `from` holds, or whether it does is seen when the scales are.
inline bool may_be_exact(quant::TensorType from, quant::TensorType to) {
    if (from == to || is_repacked(from, to)) return true;
    if (to == quant::TensorType::F32) return from != quant::TensorType::F64;
    const bool eight_bits = from == quant::TensorType::F8_E4M3 || from == quant::TensorType::F8_E5M2;
    return eight_bits && (to == quant::TensorType::F16 || to == quant::TensorType::BF16);
}

}  // namespace puna::convert
