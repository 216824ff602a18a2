// The types that hold plain numbers.
#include <array>
#include <cstring>

#include "quant/families.h"
#include "quant/half.h"

namespace puna::quant {
namespace {

void f32_to_float(const std::byte* blocks, float* out, std::size_t count) {
    if (count > 0) std::memcpy(out, blocks, count * sizeof(float));
}

void f32_from_float(const float* values, std::byte* blocks, std::size_t count) {
    if (count > 0) std::memcpy(blocks, values, count * sizeof(float));
}

template <float (*widen)(std::uint16_t)>
void two_byte_to_float(const std::byte* blocks, float* out, std::size_t count) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(blocks);
    for (std::size_t i = 0; i < count; ++i)
        out[i] = widen(load_u16(bytes + 2 * i));
}

template <std::uint16_t (*narrow)(float)>
void two_byte_from_float(const float* values, std::byte* blocks, std::size_t count) {
    auto* bytes = reinterpret_cast<std::uint8_t*>(blocks);
    for (std::size_t i = 0; i < count; ++i)
        store_u16(bytes + 2 * i, narrow(values[i]));
}

constexpr TypeInfo computing_type(TensorType type, std::string_view name, std::uint32_t bytes,
                                  decltype(TypeInfo::to_float) to_float, decltype(TypeInfo::from_float) from_float) {
    TypeInfo info = known_type(type, name, 1, bytes);
    info.to_float = to_float;
    info.from_float = from_float;
    return info;
}

void f64_to_float(const std::byte* blocks, float* out, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        double value;
        std::memcpy(&value, blocks + i * sizeof value, sizeof value);
        out[i] = static_cast<float>(value);
    }
}

template <float (*widen)(std::uint8_t)>
void one_byte_to_float(const std::byte* blocks, float* out, std::size_t count) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(blocks);
    for (std::size_t i = 0; i < count; ++i)
        out[i] = widen(bytes[i]);
}

/// For files that come from elsewhere: read, not written.
constexpr TypeInfo decoded_type(TensorType type, std::string_view name, std::uint32_t bytes,
                                decltype(TypeInfo::to_float) to_float) {
    TypeInfo info = computing_type(type, name, bytes, to_float, nullptr);
    info.decoded_only = true;
    return info;
}

constexpr std::array float_table = {
    computing_type(TensorType::F32, "F32", 4, f32_to_float, f32_from_float),
    computing_type(TensorType::F16, "F16", 2, two_byte_to_float<f16_to_f32>, two_byte_from_float<f32_to_f16>),
    computing_type(TensorType::BF16, "BF16", 2, two_byte_to_float<bf16_to_f32>, two_byte_from_float<f32_to_bf16>),
    decoded_type(TensorType::F64, "F64", 8, f64_to_float),
    decoded_type(TensorType::F8_E4M3, "F8_E4M3", 1, one_byte_to_float<f8_e4m3_to_f32>),
    decoded_type(TensorType::F8_E5M2, "F8_E5M2", 1, one_byte_to_float<f8_e5m2_to_f32>),
    known_type(TensorType::I8, "I8", 1, 1),
    known_type(TensorType::I16, "I16", 1, 2),
    known_type(TensorType::I32, "I32", 1, 4),
    known_type(TensorType::I64, "I64", 1, 8),
    known_type(TensorType::BOOL, "BOOL", 1, 1),
    known_type(TensorType::U8, "U8", 1, 1),
    known_type(TensorType::U16, "U16", 1, 2),
    known_type(TensorType::U32, "U32", 1, 4),
    known_type(TensorType::U64, "U64", 1, 8),
};

}  // namespace

std::span<const TypeInfo> float_types() {
    return float_table;
}

}  // namespace puna::quant
