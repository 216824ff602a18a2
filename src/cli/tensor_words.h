// Tensors for people.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "quant/tensor_type.h"

namespace puna::cli {

inline std::string_view type_name(quant::TensorType type) {
    return quant::type_info(type).name;
}

/// {576, 1536} -> "576 x 1536", the outermost dimension first.
inline std::string shape_words(const std::vector<std::uint64_t>& shape) {
    return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, " x "));
}

}  // namespace puna::cli
