// A tensor's elements as numbers, whatever type they are stored in.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/tensor_type.h"

namespace puna::convert {

/// Elements that one task looks at: a multiple of every block, and small enough for a core's cache as numbers.
constexpr std::uint64_t piece_elements = std::uint64_t{1} << 15;

/// Bytes of `elements` elements, which are whole blocks.
constexpr std::uint64_t bytes_of(const quant::TypeInfo& type, std::uint64_t elements) {
    return elements / type.block_elements * type.block_bytes;
}

/// Whether the elements can be read: they are integers, F64, or of a type that this build decodes.
bool has_values(quant::TensorType type);

/// The `count` elements (whole blocks) at `data` as doubles, which is exact but for integers beyond 2^53.
void read_values(quant::TensorType type, const std::byte* data, double* out, std::uint64_t count);

}  // namespace puna::convert
