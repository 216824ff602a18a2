#include "nn/linear.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

namespace puna::nn {
namespace {

using quant::TensorType;

struct Matrix {
    std::vector<float> values;     // [rows][columns]
    std::vector<std::byte> bytes;  // encoded
    kernels::WeightMatrix view;
};

Matrix make_matrix(TensorType type, std::int64_t rows, std::int64_t columns, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
    Matrix m;
    m.values.resize(static_cast<std::size_t>(rows * columns));
    for (float& v : m.values)
        v = uniform(random);
    const quant::TypeInfo& info = quant::type_info(type);
    const std::size_t row_bytes = static_cast<std::size_t>(columns) / info.block_elements * info.block_bytes;
    m.bytes.resize(row_bytes * static_cast<std::size_t>(rows));
    info.from_float(m.values.data(), m.bytes.data(), m.values.size());
    info.to_float(m.bytes.data(), m.values.data(), m.values.size());
    m.view = {type, rows, columns, m.bytes.data(), row_bytes};
    return m;
}

class LinearTest : public testing::TestWithParam<int> {};

/// Several products of mixed types share their input, over any number of threads: each is W x in double precision, to
/// the accuracy of its activations.
TEST_P(LinearTest, IsAMatrixProduct) {
    auto pool = base::ThreadPool::create(static_cast<std::size_t>(GetParam())).value();
    const kernels::KernelTable& set = kernels::default_kernels();
    const std::int64_t columns = 96;
    const Matrix a = make_matrix(TensorType::Q8_0, 100, columns, 1);
    const Matrix b = make_matrix(TensorType::F16, 37, columns, 2);
    const Matrix c = make_matrix(TensorType::Q4_1, 1, columns, 3);
    for (const auto asked : {kernels::Activations::float32, kernels::Activations::int16}) {
        for (const std::int64_t rows : {1, 2, 9, 70}) {
            const Matrix x = make_matrix(TensorType::F32, rows, columns, 4);
            LinearForms forms;
            for (const Matrix* w : {&a, &b, &c})
                add_form(forms, w->view.type, asked);
            const std::size_t scratch_bytes = (set.matmul_scratch_bytes(columns) + 63) / 64 * 64;
            const Buffer<std::byte> scratch(scratch_bytes * pool->size());
            const Buffer<std::byte> memory(LinearInput::bytes(set, asked, forms, rows, columns));
            const Compute compute{set, asked, *pool, scratch.data(), scratch_bytes};
            LinearInput input(memory.data());
            input.begin(compute, forms, rows, columns);
            const RowStep prepare(rows, [&](std::int64_t first, std::int64_t count, std::size_t) {
                EXPECT_TRUE(input.set_rows(compute, first, count, x.values.data() + first * columns));
            });
            std::vector<float> ya(static_cast<std::size_t>(rows * 100)), yb(static_cast<std::size_t>(rows * 37)),
                yc(static_cast<std::size_t>(rows));
            const std::vector<LinearTask> tasks = {
                {&a.view, ya.data(), 100}, {&b.view, yb.data(), 37}, {&c.view, yc.data(), 1}};
            linear(compute, input, tasks, prepare);
            for (const auto& [w, y] : {std::pair{&a, &ya}, std::pair{&b, &yb}, std::pair{&c, &yc}}) {
                for (std::int64_t m = 0; m < rows; ++m) {
                    for (std::int64_t r = 0; r < w->view.rows; ++r) {
                        double expected = 0;
                        for (std::int64_t k = 0; k < columns; ++k) {
                            expected += static_cast<double>(w->values[static_cast<std::size_t>(r * columns + k)]) *
                                        x.values[static_cast<std::size_t>(m * columns + k)];
                        }
                        EXPECT_NEAR((*y)[static_cast<std::size_t>(m * w->view.rows + r)], expected, 2e-4);
                    }
                }
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Threads, LinearTest, testing::Values(1, 2, 3, 7));

}  // namespace
}  // namespace puna::nn
