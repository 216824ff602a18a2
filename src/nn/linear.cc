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
    const bool integers = asked == kernels::Activations::int16 || asked == kernels::Activations::int8;
    return integers && quant::type_info(type).law_width == 0 ? kernels::Activations::float32 : asked;
}

void add_form(LinearForms& forms, quant::TensorType type, kernels::Activations asked) {
    (activations_for(type, asked) == kernels::Activations::float32 ? forms.float32 : forms.asked) = true;
}

std::size_t LinearInput::bytes(const kernels::KernelTable& kernels, kernels::Activations activations, LinearForms forms,
                               std::int64_t rows, std::int64_t columns) {
    const std::int64_t group = kernels.activation_group(activations);
    std::size_t row = 0;
    if (forms.float32) row += kernels.activation_row_bytes(kernels::Activations::float32, columns);
    if (forms.asked) row += kernels.activation_row_bytes(activations, columns);
    return static_cast<std::size_t>((rows + group - 1) / group * group) * row;
}

void LinearInput::begin(const Compute& compute, LinearForms forms, std::int64_t rows, std::int64_t columns) {
    const kernels::KernelTable& kernels = compute.kernels;
    rows_ = rows;
    columns_ = columns;
    float_row_bytes_ = forms.float32 ? kernels.activation_row_bytes(kernels::Activations::float32, columns) : 0;
    asked_row_bytes_ = forms.asked ? kernels.activation_row_bytes(compute.activations, columns) : 0;
}

kernels::ActivationMatrix LinearInput::float_rows() const {
    return {kernels::Activations::float32, rows_, columns_, memory_, float_row_bytes_};
}

kernels::ActivationMatrix LinearInput::asked_rows(const Compute& compute) const {
    return {compute.activations, rows_, columns_, memory_ + static_cast<std::size_t>(rows_) * float_row_bytes_,
            asked_row_bytes_};
}

bool LinearInput::set_rows(const Compute& compute, std::int64_t first, std::int64_t count, const float* x,
                           std::int64_t x_stride) {
    const auto prepare = [&](const kernels::ActivationMatrix& to) {
        const std::int64_t group = compute.kernels.activation_group(to.kind);
        bool finite = true;
        for (std::int64_t row = 0; row < count; row += group) {
            finite &= compute.kernels.prepare_activations(to, first + row, std::min(group, count - row),
                                                          x + row * x_stride, x_stride);
        }
        return finite;
    };
    if (float_row_bytes_ != 0) prepare(float_rows());
    return asked_row_bytes_ == 0 || prepare(asked_rows(compute));
}

kernels::ActivationMatrix LinearInput::view(const Compute& compute, quant::TensorType type) const {
    const bool floats = activations_for(type, compute.activations) == kernels::Activations::float32;
    return floats ? float_rows() : asked_rows(compute);
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
