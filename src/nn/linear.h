// Products of weights and activations, y = W x, over the thread pool.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>

#include "kernels/kernel_table.h"
#include "nn/compute.h"

namespace puna::nn {

/// The forms of activations that some weights ask for.
struct LinearForms {
    bool float32 = false;
    bool asked = false;  // what --activations says, where it is another
};

/// Rows of activations in the forms that the weights they meet ask for: made once, used by several products. Borrows
/// its memory.
class LinearInput {
  public:
    /// Room for `rows` rows of `columns` values in `forms`.
    static std::size_t bytes(const kernels::KernelTable& kernels, kernels::Activations activations, LinearForms forms,
                             std::int64_t rows, std::int64_t columns);
    LinearInput() = default;
    explicit LinearInput(std::byte* memory) : memory_(memory) {}

    /// Starts a new set of rows.
    void begin(const Compute& compute, LinearForms forms, std::int64_t rows, std::int64_t columns);
    /// Prepares rows [first, first + count), which begin and end with a claim of `Compute::for_rows`; x: [count]
    /// [columns]. Claims may be prepared in parallel. False if a value is NaN or infinite and the form that was asked
    /// for would have to hold it.
    bool set_rows(const Compute& compute, std::int64_t first, std::int64_t count, const float* x);

    /// The form in which weights of `type` take these activations.
    kernels::ActivationMatrix view(const Compute& compute, quant::TensorType type) const;
    /// The rows in float32, if that form was asked for.
    kernels::ActivationMatrix float_rows() const;

  private:
    kernels::ActivationMatrix asked_rows(const Compute& compute) const;
    std::byte* memory_ = nullptr;
    std::int64_t rows_ = 0;
    std::int64_t columns_ = 0;
    std::size_t float_row_bytes_ = 0;  // 0 where no weights take float32
    std::size_t asked_row_bytes_ = 0;  // 0 where no weights take what was asked for
};

/// One product of a call: y = factor * (W x) is [input rows][w.rows], rows `y_stride` apart.
struct LinearTask {
    const kernels::WeightMatrix* weights;
    float* y;
    std::int64_t y_stride;
    float factor = 1.0F;  // each sum is multiplied by it, once it is rounded
};

/// Sees what weights are multiplied with.
class LinearObserver {
  public:
    virtual ~LinearObserver() = default;
    /// Before the products of `tasks` are computed. `input`: float32, whatever form the weights take; the form must
    /// have been among those of LinearInput::begin.
    virtual void observe(const Compute& compute, std::span<const LinearTask> tasks,
                         const kernels::ActivationMatrix& input) = 0;
};

/// What weights of `type` make of the activations that were asked for: types without an integer law take float32
/// for integers, and types that are only decoded take it always.
kernels::Activations activations_for(quant::TensorType type, kernels::Activations asked);
/// Adds what weights of `type` ask for to `forms`.
void add_form(LinearForms& forms, quant::TensorType type, kernels::Activations asked);

/// All products of `tasks`, which share their input, in one fork-join that begins with `before`.
void linear(const Compute& compute, const LinearInput& input, std::span<const LinearTask> tasks,
            const RowStep& before = {});
inline void linear(const Compute& compute, const LinearInput& input, std::initializer_list<LinearTask> tasks) {
    linear(compute, input, std::span(tasks.begin(), tasks.size()));
}

}  // namespace puna::nn
