// Token ids to vectors.
#pragma once

#include <span>

#include "kernels/kernel_table.h"
#include "nn/batch.h"
#include "nn/compute.h"

namespace puna::nn {

/// x: [batch rows][columns] = the table's rows of the batch's tokens, decoded to float. The table lies in one place or
/// in several, one after the other, all of one type and width.
void embed(const Compute& compute, std::span<const kernels::WeightMatrix> table, const Batch& batch, float* x);

}  // namespace puna::nn
