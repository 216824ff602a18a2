// The decoder of each type.
#pragma once

#include "kernels/algorithms/codebook_decode.h"
#include "kernels/algorithms/tile_decode.h"
#include "kernels/kernel_table.h"
#include "quant/tensor_type.h"

namespace puna::kernels::algorithms {

/// `visit(decoder)` for a type that has one, else null.
template <typename Visit>
MatmulFn with_decoder(quant::TensorType type, const Visit& visit) {
    using quant::TensorType;
    switch (type) {
        case TensorType::Q4_0: return visit(Q4_0());
        case TensorType::Q4_1: return visit(Q4_1());
        case TensorType::Q5_0: return visit(Q5_0());
        case TensorType::Q5_1: return visit(Q5_1());
        case TensorType::Q8_0: return visit(Q8_0());
        case TensorType::Q2_K: return visit(Q2_K());
        case TensorType::Q3_K: return visit(Q3_K());
        case TensorType::Q4_K: return visit(Q4_K());
        case TensorType::Q5_K: return visit(Q5_K());
        case TensorType::Q6_K: return visit(Q6_K());
        case TensorType::IQ1_S: return visit(IQ1_S());
        case TensorType::IQ1_M: return visit(IQ1_M());
        case TensorType::IQ2_XXS: return visit(IQ2_XXS());
        case TensorType::IQ2_XS: return visit(IQ2_XS());
        case TensorType::IQ2_S: return visit(IQ2_S());
        case TensorType::IQ3_XXS: return visit(IQ3_XXS());
        case TensorType::IQ3_S: return visit(IQ3_S());
        case TensorType::IQ4_NL: return visit(IQ4_NL());
        case TensorType::IQ4_XS: return visit(IQ4_XS());
        case TensorType::TQ1_0: return visit(TQ1_0());
        case TensorType::TQ2_0: return visit(TQ2_0());
        case TensorType::MXFP4: return visit(MXFP4());
        case TensorType::NVFP4: return visit(NVFP4());
        default: return nullptr;
    }
}

}  // namespace puna::kernels::algorithms
