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
    PUNA_TRY(const std::vector<TensorPart> copies, tensor.parts_in_order());
    for (std::size_t i = 0; i < copies.size(); ++i) {
        if (std::ranges::equal(copies[i].data, copies.front().data)) continue;
        return malformed(file, tensor.parts[i], tensor, "is not the same as in the first part");
    }
    tensor.parts.resize(1);
    return {};
}

/// A part for each piece of a row.
std::vector<TensorPart> interleave_rows(const std::vector<TensorPart>& files, std::size_t rows) {
    const std::size_t piece_bytes = files.front().data.size() / rows;
    std::vector<TensorPart> pieces;
    pieces.reserve(rows * files.size());
    for (std::size_t row = 0; row < rows; ++row) {
        for (const TensorPart& file : files)
            pieces.push_back({file.data.subspan(row * piece_bytes, piece_bytes), file.mapping, file.memory});
    }
    return pieces;
}

using CutOf = Cut (*)(const ModelFile& file, const FoundTensor& tensor);

Result<void> merge_tensor(const ModelFile& file, CutOf cut_of, FoundTensor& tensor) {
    tensor.unmerged = false;
    if (tensor.shape.size() == 1) return merge_copies(file, tensor);
    if (tensor.shape.size() != 2) {
        return malformed(file, tensor.parts.front(), tensor, "is neither a vector nor a matrix");
    }
    if (cut_of(file, tensor) == Cut::rows) {
        tensor.shape.front() *= tensor.parts.size();
        return {};
    }
    const auto rows = static_cast<std::size_t>(tensor.shape.front());
    tensor.shape.back() *= tensor.parts.size();
    if (rows > 0) {
        tensor.arrange = [rows](const std::vector<TensorPart>& files) { return interleave_rows(files, rows); };
    }
    return {};
}

Result<void> assemble(FoundTensor& tensor) {
    PUNA_TRY(std::vector<TensorPart> parts, tensor.parts_in_order());
    if (tensor.arrange) {
        auto memory = std::make_shared<std::vector<std::byte>>();
        memory->reserve(tensor.bytes());
        for (const TensorPart& part : parts)
            memory->insert(memory->end(), part.data.begin(), part.data.end());
        parts.assign(1, TensorPart{*memory, nullptr, memory});
    }
    tensor.arrange = nullptr;
    tensor.parts = std::move(parts);
    return {};
}

Result<MergedFile> merge(const ModelFile& file, CutOf cut_of, SplitRows split_rows) {
    auto whole = std::make_shared<ModelFile>(file);
    MergedFile merged;
    for (FoundTensor& tensor : whole->tensors) {
        if (tensor.unmerged) PUNA_CHECK(merge_tensor(file, cut_of, tensor));
        if (split_rows == SplitRows::in_pieces || tensor.in_order()) continue;
        PUNA_CHECK(assemble(tensor));
        merged.assembled_bytes += tensor.bytes();
    }
    PUNA_CHECK(whole->check_mappings());
    merged.file = std::move(whole);
    return merged;
}

}  // namespace

Result<MergedFile> merge_parts(std::shared_ptr<const ModelFile> file, CutOf cut_of, SplitRows split_rows) {
    const auto needs_work = [&](const FoundTensor& tensor) {
        return tensor.unmerged || (split_rows == SplitRows::assembled && !tensor.in_order());
    };
    if (std::ranges::none_of(file->tensors, needs_work)) return MergedFile{std::move(file), 0};
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
