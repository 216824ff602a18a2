#include "support/gguf_builder.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace puna::support {

std::size_t GgufImage::at(const std::string& field) const {
    const auto found = fields.find(field);
    if (found == fields.end()) throw std::out_of_range("no field " + field);
    return found->second;
}

GgufImage& GgufImage::patch_text(const std::string& field, std::string_view text) {
    std::memcpy(bytes.data() + at(field), text.data(), text.size());
    return *this;
}

GgufImage& GgufImage::truncate(std::size_t size) {
    bytes.resize(size);
    return *this;
}

/// Appends fields and notes where they are.
class GgufBuilder::Writer {
  public:
    explicit Writer(bool narrow) : narrow_(narrow) {}

    void mark(const std::string& field) { image_.fields[field] = image_.bytes.size(); }
    template <typename T>
    void number(const std::string& field, T value) {
        mark(field);
        append(image_.bytes, value);
    }
    void count(const std::string& field, std::uint64_t value) {
        if (narrow_) {
            number(field, static_cast<std::uint32_t>(value));
        } else {
            number(field, value);
        }
    }
    void text(const std::string& field, std::string_view value) {
        count(field + "_length", value.size());
        mark(field);
        for (const char c : value)
            image_.bytes.push_back(static_cast<std::byte>(c));
    }
    void bytes(const std::string& field, const std::vector<std::byte>& value) {
        mark(field);
        image_.bytes.insert(image_.bytes.end(), value.begin(), value.end());
    }
    void pad(std::size_t alignment) {
        while (image_.bytes.size() % alignment != 0)
            image_.bytes.push_back(std::byte{0});
    }
    GgufImage take() { return std::move(image_); }

  private:
    bool narrow_;
    GgufImage image_;
};

GgufBuilder& GgufBuilder::string(std::string_view key, std::string_view text) {
    Value value{.key = std::string(key), .type = GgufType::string, .count = text.size(), .payload = {}};
    for (const char c : text)
        value.payload.push_back(static_cast<std::byte>(c));
    return set(std::move(value));
}

GgufBuilder& GgufBuilder::strings(std::string_view key, const std::vector<std::string>& texts) {
    Value value = array_value(key, GgufType::string, texts.size());
    value.texts = texts;
    return set(std::move(value));
}

GgufBuilder& GgufBuilder::raw(std::string_view key, std::uint32_t type, const std::vector<std::byte>& bytes) {
    Value value{.key = std::string(key), .type = static_cast<GgufType>(type), .raw = true, .payload = bytes};
    return set(std::move(value));
}

GgufBuilder& GgufBuilder::repeat(std::string_view key) {
    const auto found = std::find_if(values_.begin(), values_.end(), [&](const Value& v) { return v.key == key; });
    if (found == values_.end()) throw std::out_of_range("no key " + std::string(key));
    values_.push_back(Value(*found));
    return *this;
}

GgufBuilder& GgufBuilder::remove(std::string_view key) {
    std::erase_if(values_, [&](const Value& v) { return v.key == key; });
    return *this;
}

GgufBuilder& GgufBuilder::tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions,
                                 std::uint32_t type, const std::vector<std::byte>& data) {
    tensors_.push_back({std::string(name), dimensions, type, data});
    return *this;
}

GgufBuilder& GgufBuilder::f32_tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions,
                                     const std::vector<float>& values) {
    const auto* bytes = reinterpret_cast<const std::byte*>(values.data());
    return tensor(name, dimensions, 0, {bytes, bytes + values.size() * sizeof(float)});
}

GgufBuilder& GgufBuilder::remove_tensor(std::string_view name) {
    std::erase_if(tensors_, [&](const Tensor& t) { return t.name == name; });
    return *this;
}

bool GgufBuilder::has_tensor(std::string_view name) const {
    return std::any_of(tensors_.begin(), tensors_.end(), [&](const Tensor& t) { return t.name == name; });
}

GgufBuilder& GgufBuilder::alignment(std::uint32_t alignment) {
    alignment_ = alignment;
    return *this;
}

GgufBuilder::Value GgufBuilder::array_value(std::string_view key, GgufType type, std::size_t count) {
    return {.key = std::string(key), .type = GgufType::array, .array_type = type, .count = count, .payload = {}};
}

GgufBuilder& GgufBuilder::set(Value value) {
    const auto found = std::find_if(values_.begin(), values_.end(), [&](const Value& v) { return v.key == value.key; });
    if (found == values_.end()) {
        values_.push_back(std::move(value));
    } else {
        *found = std::move(value);
    }
    return *this;
}

GgufImage GgufBuilder::build() const {
    Writer out(version_ == 1);
    out.bytes("magic", {std::byte{'G'}, std::byte{'G'}, std::byte{'U'}, std::byte{'F'}});
    out.number("version", version_);
    out.count("n_tensors", tensors_.size());
    out.count("n_kv", values_.size());
    for (const Value& value : values_) {
        out.text(value.key + "/name", value.key);
        out.number(value.key + "/type", value.type);
        if (value.array_type) {
            out.number(value.key + "/array_type", *value.array_type);
            out.count(value.key + "/array_count", value.count);
        } else if (value.type == GgufType::string && !value.raw) {
            out.count(value.key + "/value_length", value.count);
        }
        out.bytes(value.key + "/value", value.payload);
        for (std::size_t i = 0; i < value.texts.size(); ++i) {
            out.text(value.key + "/value" + std::to_string(i), value.texts[i]);
        }
    }
    std::uint64_t offset = 0;
    for (const Tensor& tensor : tensors_) {
        out.text(tensor.name + "/name", tensor.name);
        out.number(tensor.name + "/n_dims", static_cast<std::uint32_t>(tensor.dimensions.size()));
        for (std::size_t i = 0; i < tensor.dimensions.size(); ++i) {
            out.count(tensor.name + "/dim" + std::to_string(i), tensor.dimensions[i]);
        }
        out.number(tensor.name + "/tensor_type", tensor.type);
        out.number(tensor.name + "/offset", offset);
        offset += (tensor.data.size() + alignment_ - 1) / alignment_ * alignment_;
    }
    out.mark("metadata_end");
    for (const Tensor& tensor : tensors_) {
        out.pad(alignment_);
        out.bytes(tensor.name + "/data", tensor.data);
    }
    return out.take();
}

}  // namespace puna::support
