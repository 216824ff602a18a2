#include "nn/linear.h"

#include <algorithm>

namespace puna::nn {
namespace {

std::int64_t tiles_of(const LinearTask& task) {
    return (task.weights->rows + kernels::row_tile - 1) / kernels::row_tile;
}

/// Of what stands in rows [first, last) of weights, for all `input_rows`.
void apply_factor(const LinearTask& task, std::int64_t first, std::int64_t last, std::int64_t input_rows) {
    if (task.factor == 1.0F) return;
    for (std::int64_t m = 0; m < input_rows; ++m) {
        float* y = task.y + m * task.y_stride;
        for (std::int64_t row = first; row < last; ++row)
            y[row] *= task.factor;
    }
}

}  // namespace

kernels::Activations activations_for(quant::TensorType type, kernels::Activations asked) {
    const quant::TypeInfo& info = quant::type_info(type);
    const bool integers = asked == kernels::Activations::int16 || asked == kernels::Activations::int8;
    return (integers && info.law_width == 0) || info.decoded_only ? kernels::Activations::float32 : asked;
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

bool LinearInput::set_rows(const Compute& compute, std::int64_t first, std::int64_t count, const float* x) {
    const auto prepare = [&](const kernels::ActivationMatrix& to) {
        const std::int64_t group = compute.kernels.activation_group(to.kind);
        bool finite = true;
        for (std::int64_t row = 0; row < count; row += group) {
            finite &=
                compute.kernels.prepare_activations(to, first + row, std::min(group, count - row), x + row * columns_);
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

void linear(const Compute& compute, const LinearInput& input, std::span<const LinearTask> tasks,
            const RowStep& before) {
    if (compute.observer != nullptr) {
        compute.for_rows(before);
        compute.observer->observe(compute, tasks, input.float_rows());
    }
    std::int64_t all_tiles = 0;
    for (const LinearTask& task : tasks)
        all_tiles += tiles_of(task);

    const auto multiply = [&](std::size_t first_tile, std::size_t last_tile, std::size_t worker) {
        auto begin = static_cast<std::int64_t>(first_tile);  // counted from the first tile of `task`
        auto end = static_cast<std::int64_t>(last_tile);
        for (const LinearTask& task : tasks) {
            const kernels::WeightMatrix& w = *task.weights;
            const std::int64_t first_row = std::max<std::int64_t>(begin, 0) * kernels::row_tile;
            const std::int64_t last_row = std::min(end * kernels::row_tile, w.rows);
            if (first_row < last_row) {
                const kernels::ActivationMatrix x = input.view(compute, w.type);
                compute.kernels.matmul(w.type, x.kind)(w, first_row, last_row, x, task.y, task.y_stride,
                                                       compute.thread_scratch(worker));
                apply_factor(task, first_row, last_row, x.rows);
            }
            begin -= tiles_of(task);
            end -= tiles_of(task);
        }
    };
    compute.run_shares_after(compute.observer == nullptr ? before : RowStep(), static_cast<std::size_t>(all_tiles),
                             multiply);
}

}  // namespace puna::nn
