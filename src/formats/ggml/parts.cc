#include "formats/ggml/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/try.h"
#include "formats/ggml/reader.h"
#include "formats/malformed.h"
#include "formats/pieces.h"

namespace puna::formats::ggml {
namespace {

constexpr std::string_view repair = "put all files of one model, and no others, into one folder";

std::string part_path(const std::string& first, std::uint64_t index) {
    return fmt::format("{}.{}", first, index);
}

/// "FILE" of "FILE.1" where there is one; nullopt for a path that names no later part.
std::optional<std::string> first_of(const std::string& path) {
    const std::size_t dot = path.rfind('.');
    const std::size_t digits = dot == std::string::npos ? 0 : path.size() - dot - 1;
    const bool is_number = digits >= 1 && digits <= 2 && path[dot + 1] != '0' &&
                           std::all_of(path.begin() + static_cast<std::ptrdiff_t>(dot) + 1, path.end(),
                                       [](char c) { return c >= '0' && c <= '9'; });
    std::error_code ignored;
    if (!is_number || !std::filesystem::is_regular_file(path.substr(0, dot), ignored)) return std::nullopt;
    return path.substr(0, dot);
}

/// How often a part's columns of the embedding go into the model's width: 1 for a whole model, and for a file in which
/// that cannot be told.
std::uint64_t count_parts(const File& file) {
    const auto width = file.metadata.unsigned_integer(embedding_length_key);
    const auto embedding = std::find_if(file.tensors.begin(), file.tensors.end(), [&](const FoundTensor& tensor) {
        return tensor.name == file.layout->embedding;
    });
    if (!width.ok() || !*width || embedding == file.tensors.end() || embedding->shape.size() != 2) return 1;
    const std::uint64_t columns = embedding->shape.back();
    const std::uint64_t parts = **width / columns;
    return **width % columns == 0 && parts <= max_parts && parts > 0 ? parts : 1;
}

Error mismatch(const File& part, const std::string& what, std::uint64_t offset) {
    return malformed(part.mapping->path(), what, offset, repair);
}

/// That `part` is of the same model as the first file, `model`.
Result<void> check_alike(const File& first, const ModelFile& model, const File& part) {
    if (part.container != first.container) return mismatch(part, "header, magic is not that of the first part", 0);
    for (const auto& [key, value] : first.metadata.values) {
        const MetadataValue* other = part.metadata.find(key);
        if (other != nullptr && *other == value) continue;
        return mismatch(part, fmt::format("header, {} is not that of the first part", key),
                        first.metadata.offsets.at(key));
    }
    if (part.vocabulary.tokens != model.vocabulary.tokens) {
        return mismatch(part, "the vocabulary is not that of the first part",
                        part.tensors.empty() ? 0 : part.tensors.front().record_offset);
    }
    return {};
}

Error missing_part(const std::string& path, std::uint64_t index, std::uint64_t count, const FoundTensor& embedding) {
    return {ErrorCode::file_not_found,
            fmt::format("{} is missing: the model is in {} parts, and this is part {} ({} holds a part of its columns)",
                        printable_path(path), count, index + 1, embedding.describe()),
            std::string(repair)};
}

Result<void> add_other_parts(const File& first, std::uint64_t count, ModelFile& model) {
    const std::string first_path = first.mapping->path();
    for (std::uint64_t i = 1; i < count; ++i) {
        const std::string path = part_path(first_path, i);
        auto mapping = base::FileMapping::open(path);
        if (!mapping.ok()) {
            if (mapping.error().code != ErrorCode::file_not_found) return std::move(mapping).error();
            return missing_part(path, i, count, *model.find_tensor(first.layout->embedding));
        }
        PUNA_TRY(File part, read_file(*mapping));
        PUNA_CHECK(check_alike(first, model, part));
        PUNA_CHECK(add_pieces(std::move(part.tensors), part.mapping, model));
    }
    for (FoundTensor& tensor : model.tensors)
        tensor.unmerged = true;
    return {};
}

}  // namespace

Result<std::shared_ptr<const ModelFile>> read_model(const std::string& path,
                                                    const std::shared_ptr<const base::FileMapping>& mapping) {
    PUNA_TRY(File first, read_file(mapping));
    const std::optional<std::string> first_path = first_of(mapping->path());
    if (first_path && count_parts(first) > 1) {
        PUNA_TRY(const auto first_mapping, base::FileMapping::open(*first_path));
        PUNA_TRY(first, read_file(first_mapping));
    }
    auto model = std::make_shared<ModelFile>();
    model->path = path;
    model->dialect = Dialect::ggml;
    model->architecture = first.layout->family;
    model->metadata = first.metadata;
    model->metadata_path = first.mapping->path();
    model->vocabulary = std::move(first.vocabulary);
    model->tensors = std::move(first.tensors);
    model->mappings.push_back(first.mapping);
    model->file_bytes = first.mapping->bytes().size();
    if (const FoundTensor* duplicate = nullptr; !model->index_tensors(&duplicate)) {
        return Error{
            ErrorCode::file_malformed,
            fmt::format("{}: {}: the name occurs twice", printable_path(first.mapping->path()), duplicate->describe()),
            "the file is damaged; fetch it again, or convert it anew"};
    }
    first.tensors = model->tensors;
    const std::uint64_t count = count_parts(first);
    if (count > 1) PUNA_CHECK(add_other_parts(first, count, *model));
    model->format = first.container.name();
    if (count > 1) model->format += fmt::format(", {} files", count);
    PUNA_CHECK(model->check_mappings());
    return std::shared_ptr<const ModelFile>(std::move(model));
}

}  // namespace puna::formats::ggml
