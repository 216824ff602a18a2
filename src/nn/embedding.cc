#include "nn/embedding.h"

namespace puna::nn {

void embed(const Compute& compute, const kernels::WeightMatrix& table, const Batch& batch, float* x) {
    const quant::TypeInfo& type = quant::type_info(table.type);
    compute.for_rows(batch.rows(), [&](std::int64_t first, std::int64_t count, std::size_t) {
        for (std::int64_t row = first; row < first + count; ++row) {
            const auto token = static_cast<std::size_t>(batch.tokens[static_cast<std::size_t>(row)]);
            type.to_float(table.data + token * table.row_bytes, x + row * table.columns,
                          static_cast<std::size_t>(table.columns));
        }
    });
}

}  // namespace puna::nn
