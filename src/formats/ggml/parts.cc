#include "formats/ggml/parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
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

/// A path that may name a later part of a model.
struct LaterPart {
    std::string first;    // "FILE" of "FILE.1"
    std::uint64_t index;  // 1
};

/// Nullopt for a path whose name does not end so.
std::optional<LaterPart> as_later_part(const std::string& path) {
    const std::size_t dot = path.rfind('.');
    const std::size_t digits = dot == std::string::npos ? 0 : path.size() - dot - 1;
    if (digits < 1 || digits > 2 || path[dot + 1] == '0') return std::nullopt;
    std::uint64_t index = 0;
    const auto [end, error] = std::from_chars(path.data() + dot + 1, path.data() + path.size(), index);
    if (error != std::errc() || end != path.data() + path.size()) return std::nullopt;
    return LaterPart{path.substr(0, dot), index};
}

bool is_file(const std::string& path) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored);
}

/// Null if there is none.
const FoundTensor* embedding_of(const File& file) {
    const auto found = std::find_if(file.tensors.begin(), file.tensors.end(),
                                    [&](const FoundTensor& tensor) { return tensor.name == file.layout->embedding; });
    return found == file.tensors.end() ? nullptr : &*found;
}

/// How often a part's columns of the embedding go into the model's width: 1 for a whole model, and for a file in which
/// that cannot be told.
std::uint64_t count_parts(const File& file) {
    const auto width = file.metadata.unsigned_integer(embedding_length_key);
    const FoundTensor* embedding = embedding_of(file);
    if (!width.ok() || !*width || embedding == nullptr || embedding->shape.size() != 2) return 1;
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

/// `file` becomes the first part of its model, whichever it was. A first part whose own name looks like that of a later
/// one ("13b.1") is told by what there is beside it.
Result<void> go_to_first_part(File& file) {
    const std::string path = file.mapping->path();
    const std::optional<LaterPart> later = as_later_part(path);
    const std::uint64_t count = count_parts(file);
    if (!later || count < 2) return {};
    if (is_file(later->first)) {
        PUNA_TRY(const auto mapping, base::FileMapping::open(later->first));
        PUNA_TRY(file, read_file(mapping));
        return {};
    }
    if (later->index >= count || is_file(part_path(path, 1))) return {};
    return missing_part(later->first, 0, count, *embedding_of(file));
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
    PUNA_CHECK(go_to_first_part(first));
    auto model = std::make_shared<ModelFile>();
    model->path = path;
    model->dialect = Dialect::ggml;
    model->architecture = first.layout->family;
    model->metadata = first.metadata;
    model->metadata_path = first.mapping->path();
    model->vocabulary = std::move(first.vocabulary);
    model->vocabulary.origin = printable_path(model->metadata_path);
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
