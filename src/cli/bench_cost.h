// What a step of work must read and multiply at least: the account that bench holds its timings against.
#pragma once

#include <cstdint>
#include <string>

#include "kernels/kernel_table.h"
#include "models/model.h"

namespace puna::cli {

/// The weights of a model, as one step meets them.
struct ModelCost {
    std::uint64_t read_bytes = 0;           ///< of all tensors that a step reads whole
    std::uint64_t embedding_row_bytes = 0;  ///< of one token's row of the embedding
    std::uint64_t layer_multiplies = 0;     ///< multiply-adds of one row, the output head left out
    std::uint64_t head_multiplies = 0;      ///< of one row of logits
    std::uint64_t integer_multiplies = 0;   ///< those of layers and head that follow the integer law under int16
    std::string main_type;                  ///< the tensor type that holds most bytes
};

/// Counts the tensors of `model`. The embedding is read row by row, unless it is the output head too.
ModelCost count_model(const models::Model& model);

/// One step: of each of `sequences`, `rows` tokens behind `position` others, `logit_rows` of which want logits.
struct Step {
    std::int64_t rows = 1;
    std::int64_t position = 0;
    std::int64_t logit_rows = 1;
    std::int64_t sequences = 1;
};

struct StepCost {
    double bytes = 0;       ///< weights and embedding rows, and the keys and values of all positions, once
    double multiplies = 0;  ///< of the weights, and of attention (2 per position, head and dimension)

    StepCost& operator+=(const StepCost& other) {
        bytes += other.bytes;
        multiplies += other.multiplies;
        return *this;
    }
};

StepCost step_cost(const ModelCost& model, const models::Dimensions& dimensions, kernels::KvType kv_type,
                   const Step& step);

}  // namespace puna::cli
