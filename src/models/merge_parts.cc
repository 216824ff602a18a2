#include "models/merge_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/try.h"
#include "formats/printable.h"

namespace puna::models {
namespace {

using formats::FoundTensor;
using formats::ModelFile;
using formats::TensorPart;

Error malformed(const ModelFile& file, const TensorPart& part, const FoundTensor& tensor, const char* problem) {
    const std::string& path = part.mapping == nullptr ? file.path : part.mapping->path();
    return {ErrorCode::file_malformed,
            fmt::format("{}: {} {}", formats::printable_path(path), tensor.describe(), problem),
            "put all files of one model, and no others, into one folder"};
}

Result<void> merge_copies(const ModelFile& file, FoundTensor& tensor) {
    const TensorPart& first = tensor.parts.front();
    for (const TensorPart& part : tensor.parts) {
        if (std::ranges::equal(part.data, first.data)) continue;
        return malformed(file, part, tensor, "is not the same as in the first part");
    }
    tensor.parts.resize(1);
    return {};
}

/// A part for each piece of a row.
void merge_columns(FoundTensor& tensor) {
    const std::vector<TensorPart> files = std::move(tensor.parts);
    const auto rows = static_cast<std::size_t>(tensor.shape.front());
    const std::size_t piece_bytes = files.front().data.size() / rows;
    tensor.parts.clear();
    tensor.parts.reserve(rows * files.size());
    for (std::size_t row = 0; row < rows; ++row) {
        for (const TensorPart& file : files)
            tensor.parts.push_back({file.data.subspan(row * piece_bytes, piece_bytes), file.mapping, file.memory});
    }
    tensor.shape.back() *= files.size();
}

void assemble(FoundTensor& tensor) {
    auto memory = std::make_shared<std::vector<std::byte>>();
    memory->reserve(tensor.bytes());
    for (const TensorPart& part : tensor.parts)
        memory->insert(memory->end(), part.data.begin(), part.data.end());
    tensor.parts.assign(1, TensorPart{*memory, nullptr, memory});
}

using CutOf = Cut (*)(const ModelFile& file, const FoundTensor& tensor);

Result<MergedFile> merge(const ModelFile& file, CutOf cut_of, SplitRows split_rows) {
    auto whole = std::make_shared<ModelFile>(file);
    MergedFile merged;
    for (FoundTensor& tensor : whole->tensors) {
        if (!tensor.unmerged) continue;
        tensor.unmerged = false;
        if (tensor.shape.size() == 1) {
            PUNA_CHECK(merge_copies(file, tensor));
        } else if (tensor.shape.size() != 2) {
            return malformed(file, tensor.parts.front(), tensor, "is neither a vector nor a matrix");
        } else if (cut_of(file, tensor) == Cut::rows) {
            tensor.shape.front() *= tensor.parts.size();
        } else {
            merge_columns(tensor);
            if (split_rows == SplitRows::in_pieces) continue;
            assemble(tensor);
            merged.assembled_bytes += tensor.bytes();
        }
    }
    PUNA_CHECK(whole->check_mappings());
    merged.file = std::move(whole);
    return merged;
}

}  // namespace

Result<MergedFile> merge_parts(std::shared_ptr<const ModelFile> file, CutOf cut_of, SplitRows split_rows) {
    const auto is_unmerged = [](const FoundTensor& tensor) { return tensor.unmerged; };
    if (std::ranges::none_of(file->tensors, is_unmerged)) return MergedFile{std::move(file), 0};
    try {
        return merge(*file, cut_of, split_rows);
    } catch (const std::bad_alloc&) {
    } catch (const std::length_error&) {
    }
    return Error{ErrorCode::out_of_memory,
                 fmt::format("{}: not enough memory to put its matrices together", formats::printable_path(file->path)),
                 "`puna convert` needs little memory, and makes one file that is used in place"};
}

}  // namespace puna::models
