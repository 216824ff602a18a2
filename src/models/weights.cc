#include "models/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <string_view>

#include "base/try.h"
#include "formats/printable.h"

namespace puna::models {
namespace {

constexpr auto damaged_hint = "the file is damaged, or was made for another program";

/// The file that holds the tensor, for messages.
const std::string& path_of(const formats::ModelFile& file, const formats::FoundTensor& tensor) {
    const auto& mapping = tensor.parts.front().mapping;
    return mapping == nullptr ? file.path : mapping->path();
}

Error malformed(const formats::ModelFile& file, const formats::FoundTensor& tensor, const std::string& what) {
    return {ErrorCode::file_malformed, fmt::format("{}: {} {}", path_of(file, tensor), tensor.describe(), what),
            damaged_hint};
}

/// The tensor, of a type that computes, whose shape is `shape`.
Result<const formats::FoundTensor*> find_tensor(const formats::ModelFile& file, const std::string& name,
                                                const std::vector<std::uint64_t>& shape) {
    const formats::FoundTensor* tensor = file.find_tensor(name);
    if (tensor == nullptr) {
        return Error{ErrorCode::file_malformed, fmt::format("{}: tensor '{}' is missing", file.path, name),
                     damaged_hint};
    }
    if (tensor->shape != shape) {
        return malformed(file, *tensor,
                         fmt::format("has shape [{}], the hyper-parameters ask for [{}]",
                                     fmt::join(tensor->shape, ", "), fmt::join(shape, ", ")));
    }
    if (!quant::type_info(tensor->type).computes()) {
        return Error{ErrorCode::unsupported_tensor_type,
                     fmt::format("{}: {} has type {}, which this version does not compute", path_of(file, *tensor),
                                 tensor->describe(), quant::type_info(tensor->type).name),
                     "use a file whose tensors have a type that computes, such as Q4_K, Q8_0 or F16"};
    }
    return tensor;
}

/// Beside a matrix of NVFP4 there may be a number by which all of it is multiplied; null if there is none.
const formats::FoundTensor* find_factor(const formats::ModelFile& file, const std::string& matrix) {
    constexpr std::string_view suffix = ".weight";
    const std::string stem = matrix.ends_with(suffix) ? matrix.substr(0, matrix.size() - suffix.size()) : matrix;
    const formats::FoundTensor* factor = file.find_tensor(stem + ".scale");
    return factor != nullptr ? factor : file.find_tensor(matrix + ".scale");
}

Result<float> read_factor(const formats::ModelFile& file, const std::string& matrix) {
    const formats::FoundTensor* tensor = find_factor(file, matrix);
    if (tensor == nullptr) return 1.0F;
    if (tensor->elements() != 1) return malformed(file, *tensor, fmt::format("is no single factor of '{}'", matrix));
    PUNA_CHECK(find_tensor(file, tensor->name, tensor->shape));  // that its type computes
    PUNA_TRY(const std::vector<formats::TensorPart> parts, tensor->parts_in_order());
    float factor = 0;
    quant::type_info(tensor->type).to_float(parts[0].data.data(), &factor, 1);
    if (!std::isfinite(factor))
        return malformed(file, *tensor, fmt::format("is {}, no factor of '{}'", factor, matrix));
    return factor;
}

}  // namespace

void StackedMatrix::add_tasks(float* y, std::vector<nn::LinearTask>& tasks) const {
    assert(!stacked.empty());
    for (const kernels::WeightMatrix& part : stacked) {
        tasks.push_back({&part, y, rows, factor});
        y += part.rows;
    }
}

Result<StackedMatrix> find_matrix(const formats::ModelFile& file, const std::string& name, std::int64_t rows,
                                  std::int64_t columns) {
    PUNA_TRY(const formats::FoundTensor* tensor,
             find_tensor(file, name, {static_cast<std::uint64_t>(rows), static_cast<std::uint64_t>(columns)}));
    PUNA_TRY(const float factor, read_factor(file, name));
    const quant::TypeInfo& type = quant::type_info(tensor->type);
    const auto row_bytes = static_cast<std::size_t>(columns) / type.block_elements * type.block_bytes;
    StackedMatrix matrix = {.stacked = {}, .type = tensor->type, .rows = rows, .columns = columns, .factor = factor};
    if (!tensor->in_order()) return matrix;
    for (const formats::TensorPart& part : tensor->parts) {
        if (part.data.size() % row_bytes != 0) return StackedMatrix{{}, tensor->type, rows, columns, factor};
        const auto part_rows = static_cast<std::int64_t>(part.data.size() / row_bytes);
        matrix.stacked.push_back({tensor->type, part_rows, columns, part.data.data(), row_bytes});
    }
    return matrix;
}

Result<StackedMatrix> find_table(const formats::ModelFile& file, const std::string& name, std::int64_t rows,
                                 std::int64_t columns) {
    if (const formats::FoundTensor* factor = find_factor(file, name)) {
        return Error{ErrorCode::unsupported_tensor_type,
                     fmt::format("{}: {} is a factor of '{}', which this version does not apply to a table",
                                 path_of(file, *factor), factor->describe(), name),
                     "use a file with the table in another type"};
    }
    return find_matrix(file, name, rows, columns);
}

Result<std::vector<float>> find_vector(const formats::ModelFile& file, const std::string& name, std::int64_t count) {
    PUNA_TRY(const formats::FoundTensor* tensor, find_tensor(file, name, {static_cast<std::uint64_t>(count)}));
    std::vector<float> values(static_cast<std::size_t>(count));
    PUNA_TRY(const std::vector<formats::TensorPart> parts, tensor->parts_in_order());
    quant::type_info(tensor->type).to_float(parts[0].data.data(), values.data(), values.size());
    return values;
}

Result<std::vector<float>> find_optional_vector(const formats::ModelFile& file, const std::string& name,
                                                std::int64_t count) {
    if (file.find_tensor(name) == nullptr) return std::vector<float>{};
    return find_vector(file, name, count);
}

Result<void> check_all_used(const formats::ModelFile& file, std::vector<std::string> used,
                            std::initializer_list<std::string_view> ignorable) {
    std::sort(used.begin(), used.end());
    for (const formats::FoundTensor& tensor : file.tensors) {
        const auto ends_so = [&](std::string_view ending) { return tensor.name.ends_with(ending); };
        if (std::binary_search(used.begin(), used.end(), tensor.name) ||
            std::any_of(ignorable.begin(), ignorable.end(), ends_so)) {
            continue;
        }
        return Error{ErrorCode::unsupported_architecture,
                     fmt::format("{}: {} has no place in the models of '{}' that this version runs",
                                 path_of(file, tensor), tensor.describe(), formats::printable(file.architecture)),
                     "the model is of a variant that needs more than its architecture's name says"};
    }
    return {};
}

Error malformed_value(const formats::ModelFile& file, std::string_view key, std::string_view problem) {
    return {ErrorCode::file_malformed,
            fmt::format("{}: {} {}", file.metadata_path, file.metadata.describe(key), problem), damaged_hint};
}

Result<std::int64_t> read_integer(const formats::ModelFile& file, const std::string& key, std::int64_t least,
                                  std::int64_t most, std::int64_t fallback) {
    PUNA_TRY(const auto found, named(file, file.metadata.unsigned_integer(key)));
    if (!found && fallback >= 0) return fallback;
    if (!found) return malformed_value(file, key, "is missing");
    if (*found < static_cast<std::uint64_t>(least) || *found > static_cast<std::uint64_t>(most)) {
        return malformed_value(file, key, fmt::format("is {}, which is not in [{}, {}]", *found, least, most));
    }
    return static_cast<std::int64_t>(*found);
}

Result<double> read_positive(const formats::ModelFile& file, const std::string& key, double fallback) {
    PUNA_TRY(const auto found, named(file, file.metadata.number(key)));
    if (!found && fallback > 0) return fallback;
    if (!found) return malformed_value(file, key, "is missing");
    if (!std::isfinite(*found) || *found <= 0) {
        return malformed_value(file, key, fmt::format("is {}, and must be a positive number", *found));
    }
    return *found;
}

}  // namespace puna::models
