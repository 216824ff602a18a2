#include "formats/pieces.h"

#include <fmt/format.h>

#include <utility>

#include "formats/malformed.h"

namespace puna::formats {
namespace {

constexpr std::string_view repair = "put all files of one model, and no others, into one folder";

}  // namespace

Result<void> add_pieces(std::vector<FoundTensor> tensors, const std::shared_ptr<const base::FileMapping>& mapping,
                        ModelFile& model) {
    if (tensors.size() != model.tensors.size()) {
        const auto what =
            fmt::format("the file holds {} tensors, and the first part {}", tensors.size(), model.tensors.size());
        return malformed(mapping->path(), what, 0, repair);
    }
    for (FoundTensor& tensor : tensors) {
        const FoundTensor* same = model.find_tensor(tensor.name);
        if (same == nullptr || same->type != tensor.type || same->shape != tensor.shape ||
            same->parts.size() != model.mappings.size()) {
            return malformed(mapping->path(), fmt::format("{} is not as in the first part", tensor.describe()),
                             tensor.record_offset, repair);
        }
        auto& whole = model.tensors[static_cast<std::size_t>(same - model.tensors.data())];
        whole.parts.push_back(std::move(tensor.parts.front()));
    }
    model.file_bytes += mapping->bytes().size();
    model.mappings.push_back(mapping);
    return {};
}

}  // namespace puna::formats
