#include "models/gguf_form.h"

#include <cassert>
#include <cstring>
#include <utility>

#include "base/try.h"
#include "formats/gguf/gguf_vocabulary.h"

namespace puna::models {
namespace {

using formats::FoundTensor;
using formats::TensorPart;
using formats::gguf::ValueType;
using quant::TensorType;

}  // namespace

Result<GgufForm> GgufForm::start(const formats::ModelFile& source, std::string architecture) {
    GgufForm form;
    form.form_ = std::make_shared<formats::ModelFile>();
    formats::ModelFile& file = *form.form_;
    file.path = source.path;
    file.dialect = formats::Dialect::gguf;
    file.format = source.format;
    file.name = source.name;
    file.architecture = std::move(architecture);
    file.metadata_path = source.metadata_path;
    file.vocabulary = source.vocabulary;
    file.mappings = source.mappings;
    file.file_bytes = source.file_bytes;
    form.set_general("general.architecture", file.architecture, ValueType::string);
    form.set_general("general.type", std::string("model"), ValueType::string);
    if (!file.name.empty()) form.set_general("general.name", file.name, ValueType::string);
    PUNA_CHECK(formats::gguf::put_vocabulary(file.vocabulary, file.metadata));
    return form;
}

void GgufForm::set_general(const std::string& key, formats::MetadataValue value, ValueType type) {
    form_->metadata.values[key] = std::move(value);
    form_->metadata.stored_types[key] = static_cast<std::uint32_t>(type);
}

void GgufForm::set(std::string_view name, std::uint32_t value) {
    set_general(form_->architecture + '.' + std::string(name), std::uint64_t{value}, ValueType::uint32);
}

void GgufForm::set(std::string_view name, float value) {
    set_general(form_->architecture + '.' + std::string(name), static_cast<double>(value), ValueType::float32);
}

void GgufForm::set(std::string_view name, std::string value) {
    set_general(form_->architecture + '.' + std::string(name), std::move(value), ValueType::string);
}

void GgufForm::add(std::string name, const FoundTensor& tensor) {
    form_->tensors.push_back(tensor);
    form_->tensors.back().name = std::move(name);
}

void GgufForm::add_interleaved(std::string name, const FoundTensor& tensor, std::int64_t heads, std::int64_t rotated) {
    add(std::move(name), tensor);
    FoundTensor& turned = form_->tensors.back();
    const auto rows = static_cast<std::size_t>(tensor.shape.front());
    const std::size_t head_rows = rows / static_cast<std::size_t>(heads);
    const std::size_t half = static_cast<std::size_t>(rotated) / 2;
    assert(turned.parts.size() == 1 && !turned.arrange);
    turned.arrange = [=](const std::vector<TensorPart>& parts) {
        const TensorPart& whole = parts.front();
        const std::size_t row_bytes = whole.data.size() / rows;
        std::vector<TensorPart> turned_rows;
        turned_rows.reserve(rows);
        for (std::size_t row = 0; row < rows; ++row) {
            const std::size_t in_head = row % head_rows;
            const std::size_t from = in_head < 2 * half ? row - in_head + in_head / 2 + in_head % 2 * half : row;
            turned_rows.push_back({whole.data.subspan(from * row_bytes, row_bytes), whole.mapping, whole.memory});
        }
        return turned_rows;
    };
}

void GgufForm::add(std::string name, const std::vector<float>& values) {
    auto bytes = std::make_shared<std::vector<std::byte>>(values.size() * sizeof(float));
    std::memcpy(bytes->data(), values.data(), bytes->size());
    FoundTensor tensor = {.name = std::move(name), .type = TensorType::F32, .shape = {values.size()}, .parts = {}};
    tensor.parts.push_back({*bytes, nullptr, bytes});
    form_->tensors.push_back(std::move(tensor));
}

std::shared_ptr<const formats::ModelFile> GgufForm::finish() && {
    form_->index_tensors();
    return std::move(form_);
}

}  // namespace puna::models
