// Finds a family's tensors in a model file and checks each before it is used.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/model_file.h"
#include "kernels/kernel_table.h"
#include "nn/linear.h"
#include "puna/error.h"

namespace puna::models {

/// A matrix whose rows lie in one place, or in several, one after the other. Borrows the data.
struct StackedMatrix {
    std::vector<kernels::WeightMatrix> stacked;  // none where rows do not lie in order: then only the shape is known

    quant::TensorType type = quant::TensorType::F32;
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    float factor = 1.0F;  // of all weights; files with NVFP4 have one beside a matrix

    /// Adds the products y = W x to `tasks`; y: [input rows][rows].
    void add_tasks(float* y, std::vector<nn::LinearTask>& tasks) const;
};

/// A matrix [rows][columns] in place in its mapped file, with its factor if the file has one. Errors: file_malformed
/// (absent, or of another shape; a factor that is no finite number), unsupported_tensor_type.
Result<StackedMatrix> find_matrix(const formats::ModelFile& file, const std::string& name, std::int64_t rows,
                                  std::int64_t columns);

/// The same of a matrix whose rows are looked up, not multiplied. Errors: unsupported_tensor_type if it has a factor.
Result<StackedMatrix> find_table(const formats::ModelFile& file, const std::string& name, std::int64_t rows,
                                 std::int64_t columns);

/// A vector [count], decoded to float: norms and the like are small. Errors: as above.
Result<std::vector<float>> find_vector(const formats::ModelFile& file, const std::string& name, std::int64_t count);

/// As find_vector, but an absent tensor gives an empty vector.
Result<std::vector<float>> find_optional_vector(const formats::ModelFile& file, const std::string& name,
                                                std::int64_t count);

/// Errors: unsupported_architecture if the file has a tensor that is not among `used`: it would be left out in silence.
/// One whose name ends in one of `ignorable` may be.
Result<void> check_all_used(const formats::ModelFile& file, std::vector<std::string> used,
                            std::initializer_list<std::string_view> ignorable);

/// A file_malformed that names the hyper-parameter, what is wrong with it, and where it lies.
Error malformed_value(const formats::ModelFile& file, std::string_view key, std::string_view problem);

/// What the metadata say, or the error with the name of their file before it.
template <typename T>
Result<T> named(const formats::ModelFile& file, Result<T> found) {
    if (found.ok()) return found;
    Error error = std::move(found).error();
    error.message = file.metadata_path + ": " + error.message;
    return error;
}

/// A hyper-parameter that must lie in [least, most]. Errors: file_malformed (absent without a `fallback`, or out of
/// range).
Result<std::int64_t> read_integer(const formats::ModelFile& file, const std::string& key, std::int64_t least,
                                  std::int64_t most, std::int64_t fallback = -1);
/// A finite hyper-parameter > 0. Errors: as above.
Result<double> read_positive(const formats::ModelFile& file, const std::string& key, double fallback = 0.0);

}  // namespace puna::models
