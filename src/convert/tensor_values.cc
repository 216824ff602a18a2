#include "convert/tensor_values.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "base/try.h"

namespace puna::convert {
namespace {

using quant::TensorType;

template <typename T>
void widen(const std::byte* data, double* out, std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
        T value;
        std::memcpy(&value, data + i * sizeof(T), sizeof(T));
        out[i] = static_cast<double>(value);
    }
}

void decode(const quant::TypeInfo& type, const std::byte* data, double* out, std::uint64_t count) {
    constexpr std::uint64_t step = 256;  // a multiple of every block
    float values[step];
    for (std::uint64_t begin = 0; begin < count; begin += step) {
        const std::uint64_t n = std::min(step, count - begin);
        type.to_float(data + bytes_of(type, begin), values, n);
        std::copy_n(values, n, out + begin);
    }
}

}  // namespace

bool has_values(TensorType type) {
    switch (type) {
        case TensorType::F64:
        case TensorType::I8:
        case TensorType::I16:
        case TensorType::I32:
        case TensorType::I64: return true;
        default: return quant::type_info(type).computes();
    }
}

void read_values(TensorType type, const std::byte* data, double* out, std::uint64_t count) {
    switch (type) {
        case TensorType::F64: return widen<double>(data, out, count);
        case TensorType::I8: return widen<std::int8_t>(data, out, count);
        case TensorType::I16: return widen<std::int16_t>(data, out, count);
        case TensorType::I32: return widen<std::int32_t>(data, out, count);
        case TensorType::I64: return widen<std::int64_t>(data, out, count);
        default: return decode(quant::type_info(type), data, out, count);
    }
}

Result<TensorElements> TensorElements::open(const formats::FoundTensor& tensor) {
    PUNA_TRY(std::vector<formats::TensorPart> parts, tensor.parts_in_order());
    return TensorElements(quant::type_info(tensor.type), std::move(parts));
}

TensorElements::TensorElements(const quant::TypeInfo& type, std::vector<formats::TensorPart> parts)
    : type_(type), parts_(std::move(parts)) {
    std::uint64_t end = 0;
    ends_.reserve(parts_.size());
    for (const formats::TensorPart& part : parts_) {
        end += part.data.size() / type_.block_bytes * type_.block_elements;
        ends_.push_back(end);
    }
}

void TensorElements::read(std::uint64_t first, std::uint64_t count, double* out) const {
    for_each_stretch(first, count, [&](std::span<const std::byte> data, std::size_t) {
        const std::uint64_t size = data.size() / type_.block_bytes * type_.block_elements;
        read_values(type_.type, data.data(), out, size);
        out += size;
    });
}

void TensorElements::release(std::uint64_t first, std::uint64_t count) const {
    std::vector<std::pair<std::span<const std::byte>, const base::FileMapping*>> stretches;
    for_each_stretch(first, count, [&](std::span<const std::byte> bytes, std::size_t part) {
        const base::FileMapping* mapping = parts_[part].mapping.get();
        if (mapping != nullptr) stretches.emplace_back(bytes, mapping);
    });
    std::sort(stretches.begin(), stretches.end(),
              [](const auto& a, const auto& b) { return a.first.data() < b.first.data(); });
    for (std::size_t i = 0; i < stretches.size();) {
        auto [bytes, mapping] = stretches[i++];
        while (i < stretches.size() && stretches[i].second == mapping &&
               stretches[i].first.data() == bytes.data() + bytes.size()) {
            bytes = {bytes.data(), bytes.size() + stretches[i++].first.size()};
        }
        mapping->release_pages(bytes);
    }
}

}  // namespace puna::convert
