// The names that a pickle of tensors may mention (docs/formats/pytorch.md). Nothing behind a name is ever run: each
// stands for something that the reader knows how to read.
#pragma once

#include <cstdint>
#include <string_view>

#include "quant/tensor_type.h"

namespace puna::formats::pytorch {

enum class GlobalKind : std::uint8_t {
    ordered_dict,
    size,               // of a tensor: a tuple
    rebuild_tensor,     // (storage, offset, size, stride)
    rebuild_tensor_v2,  // (storage, offset, size, stride, requires_grad, backward_hooks[, metadata])
    rebuild_tensor_v3,  // (storage, offset, size, stride, requires_grad, backward_hooks, dtype[, metadata])
    rebuild_parameter,  // (tensor, requires_grad, backward_hooks)
    storage,            // the type of a storage, and so of its elements
    untyped_storage,    // of bytes: the tensor says what they are
    dtype,              // the type of a tensor's elements
};

struct Global {
    std::string_view module;
    std::string_view name;
    GlobalKind kind;
    quant::TensorType type = quant::TensorType::U8;  // of storage, untyped_storage and dtype: one element
};

/// Null for a name that is not on the list.
const Global* find_global(std::string_view module, std::string_view name);

}  // namespace puna::formats::pytorch
