#include "nn/linear.h"

#include <algorithm>

namespace puna::nn {
namespace {

/// Weight rows of one claim: enough claims for the threads to balance, few enough to keep claiming cheap.
std::int64_t rows_per_claim(std::int64_t rows, std::size_t threads) {
    constexpr std::int64_t claims_per_thread = 8;
    constexpr std::int64_t panel = 4 * kernels::row_tile;  // rows that a kernel keeps in cache together
    const std::int64_t even = rows / (static_cast<std::int64_t>(threads) * claims_per_thread);
    return std::clamp<std::int64_t>(even / kernels::row_tile * kernels::row_tile, kernels::row_tile, 4 * panel);
}

}  // namespace

kernels::Activations activations_for(quant::TensorType type, kernels::Activations asked) {
    return quant::type_info(type).law_width == 0 ? kernels::Activations::float32 : asked;
}

void add_form(LinearForms& forms, quant::TensorType type, kernels::Activations asked) {
    (activations_for(type, asked) == kernels::Activations::float32 ? forms.float32 : forms.integer) = true;
}

std::size_t LinearInput::bytes(const kernels::KernelTable& kernels, kernels::Activations activations, LinearForms forms,
                               std::int64_t rows, std::int64_t columns) {
    std::size_t row = 0;
    if (forms.float32) row += kernels.activation_row_bytes(kernels::Activations::float32, columns);
    if (forms.integer) row += kernels.activation_row_bytes(activations, columns);
    return static_cast<std::size_t>(rows) * row;
}

void LinearInput::begin(const Compute& compute, LinearForms forms, std::int64_t rows, std::int64_t columns) {
    const kernels::KernelTable& kernels = compute.kernels;
    rows_ = rows;
    columns_ = columns;
    float_row_bytes_ = forms.float32 ? kernels.activation_row_bytes(kernels::Activations::float32, columns) : 0;
    integer_row_bytes_ = forms.integer ? kernels.activation_row_bytes(compute.activations, columns) : 0;
}

bool LinearInput::set_row(const Compute& compute, std::int64_t row, const float* x) {
    const auto index = static_cast<std::size_t>(row);
    if (float_row_bytes_ != 0) {
        compute.kernels.prepare_activations(kernels::Activations::float32, x, columns_,
                                            memory_ + index * float_row_bytes_);
    }
    if (integer_row_bytes_ == 0) return true;
    return compute.kernels.prepare_activations(compute.activations, x, columns_,
                                               integer_rows() + index * integer_row_bytes_);
}

kernels::ActivationMatrix LinearInput::view(const Compute& compute, quant::TensorType type) const {
    if (activations_for(type, compute.activations) == kernels::Activations::float32) {
        return {kernels::Activations::float32, rows_, columns_, memory_, float_row_bytes_};
    }
    return {compute.activations, rows_, columns_, integer_rows(), integer_row_bytes_};
}

void linear(const Compute& compute, const LinearInput& input, std::initializer_list<LinearTask> tasks) {
    std::int64_t all_rows = 0;
    for (const LinearTask& task : tasks)
        all_rows += task.weights->rows;
    const std::int64_t step = rows_per_claim(all_rows, compute.pool.size());
    std::int64_t claims = 0;
    for (const LinearTask& task : tasks)
        claims += (task.weights->rows + step - 1) / step;

    compute.pool.run(static_cast<std::size_t>(claims), [&](std::size_t index, std::size_t worker) {
        auto claim = static_cast<std::int64_t>(index);
        for (const LinearTask& task : tasks) {
            const kernels::WeightMatrix& w = *task.weights;
            const std::int64_t task_claims = (w.rows + step - 1) / step;
            if (claim < task_claims) {
                const kernels::ActivationMatrix x = input.view(compute, w.type);
                const std::int64_t begin = claim * step;
                compute.kernels.matmul(w.type, x.kind)(w, begin, std::min(begin + step, w.rows), x, task.y,
                                                       task.y_stride, compute.thread_scratch(worker));
                return;
            }
            claim -= task_claims;
        }
    });
}

}  // namespace puna::nn
