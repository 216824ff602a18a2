#include "nn/compute.h"

#include <algorithm>

namespace puna::nn {
namespace {

/// Calls `then` with the claims of `step`.
void with_claims(const Compute& compute, const RowStep& step, base::FunctionRef<void(const base::FirstStage&)> then) {
    const std::int64_t rows = compute.rows_per_claim();
    const auto task = [&](std::size_t claim, std::size_t worker) {
        const std::int64_t first = static_cast<std::int64_t>(claim) * rows;
        step(first, std::min(rows, step.rows() - first), worker);
    };
    then({static_cast<std::size_t>((step.rows() + rows - 1) / rows), task});
}

}  // namespace

std::int64_t Compute::rows_per_claim() const {
    constexpr std::int64_t least = 4;
    return std::max(least, kernels.activation_group(activations));
}

void Compute::for_rows(const RowStep& step) const {
    run_after(step, 0, [](std::size_t, std::size_t) {});
}

void Compute::run_after(const RowStep& step, std::size_t count, base::ThreadPool::Task task) const {
    with_claims(*this, step, [&](const base::FirstStage& claims) { pool.run(count, task, claims); });
}

void Compute::run_shares_after(const RowStep& step, std::size_t count, base::ThreadPool::RangeTask task) const {
    with_claims(*this, step, [&](const base::FirstStage& claims) { pool.run_shares(count, task, claims); });
}

}  // namespace puna::nn
