// The tensors that a pickle of PyTorch's describes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/file_mapping.h"
#include "formats/model_file.h"
#include "formats/pytorch/pickle.h"
#include "puna/error.h"
#include "quant/tensor_type.h"

namespace puna::formats::pytorch {

/// The memory that tensors are views of.
struct Storage {
    const Global* type = nullptr;          // of its elements
    std::uint64_t elements = 0;            // whole, as the pickle says
    std::uint64_t bytes = 0;               // that these take
    std::uint64_t record_offset = 0;       // of a mention; for messages
    std::span<const std::byte> data = {};  // for whoever knows where it lies
};
/// By key.
using Storages = std::unordered_map<std::string_view, Storage>;

/// The storages that a pickle mentions. `field` names it in messages. Errors: file_malformed, unsupported_format.
Result<Storages> collect_storages(const Pickle& pickle, std::string_view path, std::string_view field);

/// The tensors of the dict that the pickle is, or that it holds under 'state_dict' or 'model', in its order. `storages`
/// have their data, in `mapping`. Tensors whose elements do not lie in row-major order have a view.
/// Errors: file_malformed, unsupported_format.
Result<std::vector<FoundTensor>> read_tensors(const Pickle& pickle, const Storages& storages,
                                              const std::shared_ptr<const base::FileMapping>& mapping,
                                              std::string_view field);

}  // namespace puna::formats::pytorch
