#include "nn/compute.h"

#include <algorithm>

namespace puna::nn {

void Compute::for_rows(std::int64_t rows, base::FunctionRef<void(std::int64_t, std::size_t)> task) const {
    constexpr std::int64_t rows_per_claim = 4;
    if (rows <= rows_per_claim) {
        for (std::int64_t row = 0; row < rows; ++row)
            task(row, 0);
        return;
    }
    const std::int64_t claims = (rows + rows_per_claim - 1) / rows_per_claim;
    pool.run(static_cast<std::size_t>(claims), [&](std::size_t claim, std::size_t worker) {
        const std::int64_t begin = static_cast<std::int64_t>(claim) * rows_per_claim;
        for (std::int64_t row = begin; row < std::min(begin + rows_per_claim, rows); ++row)
            task(row, worker);
    });
}

}  // namespace puna::nn
