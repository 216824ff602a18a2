// Token ids to vectors.
#pragma once

#include "kernels/kernel_table.h"
#include "nn/batch.h"
#include "nn/compute.h"

namespace puna::nn {

/// x: [batch rows][table.columns] = the table's rows of the batch's tokens, decoded to float.
void embed(const Compute& compute, const kernels::WeightMatrix& table, const Batch& batch, float* x);

}  // namespace puna::nn
