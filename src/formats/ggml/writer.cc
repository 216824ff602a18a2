#include "formats/ggml/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <limits>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/try.h"
#include "formats/ggml/vocabulary.h"
#include "formats/printable.h"
#include "quant/tensor_type.h"

namespace puna::formats::ggml {
namespace {

using quant::TensorType;

constexpr std::uint64_t largest_field = std::numeric_limits<std::int32_t>::max();

Error cannot_write(const Container& container, std::string_view what) {
    return {ErrorCode::invalid_argument, fmt::format("a file in {} cannot hold {}", container.name(), what), ""};
}

template <typename T>
void put(std::vector<std::byte>& out, T value) {
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof(T));
}
void put(std::vector<std::byte>& out, std::string_view text) {
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    out.insert(out.end(), bytes, bytes + text.size());
}

/// The file's type: that of most matrices, F16 if any is.
std::uint32_t file_type(std::span<const gguf::TensorEntry> tensors) {
    const bool halves = std::any_of(tensors.begin(), tensors.end(),
                                    [](const gguf::TensorEntry& tensor) { return tensor.type == TensorType::F16; });
    return halves ? 1 : 0;
}

Result<void> write_header(const Container& container, const ModelFile& model, std::uint32_t type,
                          std::vector<std::byte>& out) {
    put(out, container.magic);
    if (container.version > 0) put(out, container.version);
    const auto layout = std::find_if(all_layouts().begin(), all_layouts().end(),
                                     [&](const Layout& l) { return l.family == model.architecture; });
    assert(layout != all_layouts().end() && layout->sentencepiece);
    for (const HeaderField& field : layout->fields) {
        if (field.kind == FieldKind::file_type) {
            put(out, type);
            continue;
        }
        PUNA_TRY(const auto value, model.metadata.unsigned_integer(field.name));
        if (!value || *value > largest_field) {
            return cannot_write(container, fmt::format("{} of {}", field.name, value.value_or(0)));
        }
        put(out, static_cast<std::uint32_t>(*value));
    }
    return {};
}

Result<void> write_words(const Container& container, const ModelFile& model, std::vector<std::byte>& out) {
    PUNA_TRY(const std::vector<std::string> words, words_of(model.vocabulary));
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i].size() > max_token_bytes)
            return cannot_write(container, fmt::format("token {}, which is too long", i));
        put(out, static_cast<std::uint32_t>(words[i].size()));
        put(out, std::string_view(words[i]));
        if (container.has_scores()) put(out, model.vocabulary.scores[i]);
    }
    return {};
}

Result<std::vector<std::byte>> make_record(const Container& container, const gguf::TensorEntry& tensor) {
    const bool holdable = !tensor.shape.empty() && tensor.shape.size() <= max_dimensions && !tensor.name.empty() &&
                          tensor.name.size() <= max_name_bytes &&
                          std::all_of(tensor.shape.begin(), tensor.shape.end(),
                                      [](std::uint64_t d) { return d > 0 && d <= largest_field; }) &&
                          (tensor.type == TensorType::F32 || tensor.type == TensorType::F16);
    if (!holdable) {
        return cannot_write(container, fmt::format("tensor '{}' with this name and shape in {}", printable(tensor.name),
                                                   quant::type_info(tensor.type).name));
    }
    std::vector<std::byte> record;
    put(record, static_cast<std::uint32_t>(tensor.shape.size()));
    put(record, static_cast<std::uint32_t>(tensor.name.size()));
    put(record, static_cast<std::uint32_t>(tensor.type));  // 0 and 1, as in GGUF
    for (auto dimension = tensor.shape.rbegin(); dimension != tensor.shape.rend(); ++dimension)
        put(record, static_cast<std::uint32_t>(*dimension));
    put(record, std::string_view(tensor.name));
    return record;
}

}  // namespace

Result<FileLayout> lay_out_file(const Container& container, const ModelFile& model,
                                std::span<const gguf::TensorEntry> tensors) {
    assert(!container.is_aligned());
    FileLayout layout;
    PUNA_CHECK(write_header(container, model, file_type(tensors), layout.head));
    PUNA_CHECK(write_words(container, model, layout.head));
    layout.file_bytes = layout.head.size();
    for (const gguf::TensorEntry& tensor : tensors) {
        PUNA_TRY(auto record, make_record(container, tensor));
        PUNA_TRY(const gguf::TensorSize size, gguf::size_of_tensor(tensor));
        const auto end = base::checked_add(layout.file_bytes + record.size(), size.data);
        if (!end) return cannot_write(container, "this much data");
        layout.file_bytes = *end;
        layout.records.push_back(std::move(record));
        layout.tensor_bytes.push_back(size.data);
    }
    return layout;
}

Result<Writer> Writer::create(const std::string& path, FileLayout layout) {
    PUNA_TRY(base::AtomicFile file, base::AtomicFile::create(path, base::AtomicFile::Access::as_usual));
    PUNA_CHECK(file.write(layout.head));
    return Writer(std::move(file), std::move(layout));
}

Result<void> Writer::write(std::span<const std::byte> data) {
    while (!data.empty()) {
        assert(tensor_ < layout_.tensor_bytes.size());
        if (written_ == 0) PUNA_CHECK(file_.write(layout_.records[tensor_]));
        const std::uint64_t count = std::min<std::uint64_t>(data.size(), layout_.tensor_bytes[tensor_] - written_);
        PUNA_CHECK(file_.write(data.first(count)));
        data = data.subspan(count);
        written_ += count;
        if (written_ < layout_.tensor_bytes[tensor_]) continue;
        ++tensor_;
        written_ = 0;
    }
    return {};
}

Result<void> Writer::commit() {
    assert(tensor_ == layout_.tensor_bytes.size());
    return file_.commit();
}

}  // namespace puna::formats::ggml
