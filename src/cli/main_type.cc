#include "cli/main_type.h"

#include <algorithm>
#include <cstdint>
#include <map>

#include "quant/tensor_type.h"

namespace puna::cli {

std::string_view main_type(std::span<const formats::FoundTensor> tensors) {
    std::map<quant::TensorType, std::uint64_t> bytes;
    for (const formats::FoundTensor& tensor : tensors)
        bytes[tensor.type] += tensor.bytes();
    const auto most = std::ranges::max_element(bytes, {}, [](const auto& share) { return share.second; });
    return most == bytes.end() ? std::string_view() : quant::type_info(most->first).name;
}

}  // namespace puna::cli
