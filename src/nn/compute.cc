#include "nn/compute.h"

#include <algorithm>

namespace puna::nn {

std::int64_t Compute::rows_per_claim() const {
    constexpr std::int64_t least = 4;
    return std::max(least, kernels.activation_group(activations));
}

void Compute::for_rows(std::int64_t rows, base::FunctionRef<void(std::int64_t, std::int64_t, std::size_t)> task) const {
    const std::int64_t step = rows_per_claim();
    if (rows <= step) {
        task(0, rows, 0);
        return;
    }
    pool.run(static_cast<std::size_t>((rows + step - 1) / step), [&](std::size_t claim, std::size_t worker) {
        const std::int64_t first = static_cast<std::int64_t>(claim) * step;
        task(first, std::min(step, rows - first), worker);
    });
}

}  // namespace puna::nn
