#include "nn/embedding.h"

namespace puna::nn {
namespace {

const std::byte* find_row(std::span<const kernels::WeightMatrix> table, std::int64_t row) {
    std::size_t part = 0;
    while (row >= table[part].rows)
        row -= table[part++].rows;
    return table[part].data + static_cast<std::size_t>(row) * table[part].row_bytes;
}

}  // namespace

void embed(const Compute& compute, std::span<const kernels::WeightMatrix> table, const Batch& batch, float* x) {
    const quant::TypeInfo& type = quant::type_info(table.front().type);
    const std::int64_t columns = table.front().columns;
    const auto embed_rows = [&](std::int64_t first, std::int64_t count, std::size_t) {
        for (std::int64_t row = first; row < first + count; ++row) {
            const std::int32_t token = batch.tokens[static_cast<std::size_t>(row)];
            type.to_float(find_row(table, token), x + row * columns, static_cast<std::size_t>(columns));
        }
    };
    compute.for_rows({batch.rows(), embed_rows});
}

}  // namespace puna::nn
