#include "convert/tensor_values.h"

#include <algorithm>
#include <cstring>

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

}  // namespace puna::convert
