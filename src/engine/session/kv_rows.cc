#include "engine/session/kv_rows.h"

#include <cstring>
#include <span>

#include "kernels/kv_storage.h"
#include "quant/half.h"

namespace puna::engine {
namespace {

// The cache hands out floats. What was stored, read and stored again is the same bits, whatever the type. Under q8_0 a
// row is scale and integers of 32 values, and so on.

constexpr std::size_t scaled_values = kernels::kv_scaled_values;
constexpr std::size_t scaled_bytes = sizeof(float) + scaled_values;

void store(kernels::KvType type, std::span<const float> values, std::byte* to) {
    auto* const bytes = reinterpret_cast<std::uint8_t*>(to);
    switch (type) {
        case kernels::KvType::f32: std::memcpy(to, values.data(), values.size_bytes()); return;
        case kernels::KvType::f16:
            for (std::size_t i = 0; i < values.size(); ++i)
                quant::store_u16(bytes + 2 * i, quant::f32_to_f16(values[i]));
            return;
        case kernels::KvType::q8_0:
            for (std::size_t i = 0; i < values.size(); i += scaled_values, to += scaled_bytes) {
                auto* const integers = reinterpret_cast<std::int8_t*>(to + sizeof(float));
                const float scale = kernels::quantize_kv(values.data() + i, integers, 1);
                std::memcpy(to, &scale, sizeof(scale));
            }
            return;
    }
}

void fetch(kernels::KvType type, const std::byte* from, std::span<float> values) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(from);
    switch (type) {
        case kernels::KvType::f32: std::memcpy(values.data(), from, values.size_bytes()); return;
        case kernels::KvType::f16:
            for (std::size_t i = 0; i < values.size(); ++i)
                values[i] = quant::load_f16(bytes + 2 * i);
            return;
        case kernels::KvType::q8_0:
            for (std::size_t i = 0; i < values.size(); ++i) {
                const std::byte* const block = from + i / scaled_values * scaled_bytes;
                float scale = 0;
                std::memcpy(&scale, block, sizeof(scale));
                const auto* const integers = reinterpret_cast<const std::int8_t*>(block + sizeof(scale));
                values[i] = static_cast<float>(integers[i % scaled_values]) * scale;
            }
            return;
    }
}

std::size_t row_values(const nn::KvCache::Shape& shape) {
    return static_cast<std::size_t>(shape.layer.kv_heads * shape.layer.head_dim);
}

}  // namespace

std::shared_ptr<const KvRows> copy_rows(const nn::KvCache& cache, std::int32_t sequence, std::int64_t positions) {
    const nn::KvCache::Shape& shape = cache.shape();
    const kernels::KvType type = shape.layer.type;
    std::vector<float> k(row_values(shape));
    std::vector<float> v(row_values(shape));
    const std::size_t row_bytes = kernels::kv_bytes(type, k.size());
    const std::size_t half = row_bytes * static_cast<std::size_t>(positions);  // where V begins
    auto rows = std::make_shared<KvRows>();
    for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
        std::byte* const to = rows->emplace_back(2 * half).data();
        for (std::int64_t position = 0; position < positions; ++position) {
            cache.read(sequence, layer, position, k.data(), v.data());
            const std::size_t at = row_bytes * static_cast<std::size_t>(position);
            store(type, k, to + at);
            store(type, v, to + half + at);
        }
    }
    return rows;
}

void restore_rows(nn::KvCache& cache, std::int32_t sequence, const KvRows& rows, std::int64_t stored,
                  std::int64_t positions) {
    const nn::KvCache::Shape& shape = cache.shape();
    const kernels::KvType type = shape.layer.type;
    std::vector<float> k(row_values(shape));
    std::vector<float> v(row_values(shape));
    const std::size_t row_bytes = kernels::kv_bytes(type, k.size());
    const std::size_t half = row_bytes * static_cast<std::size_t>(stored);
    for (std::int64_t layer = 0; layer < shape.layers; ++layer) {
        const std::byte* const from = rows[static_cast<std::size_t>(layer)].data();
        for (std::int64_t position = 0; position < positions; ++position) {
            const std::size_t at = row_bytes * static_cast<std::size_t>(position);
            fetch(type, from + at, k);
            fetch(type, from + half + at, v);
            cache.write(sequence, layer, position, k.data(), v.data());
        }
    }
}

}  // namespace puna::engine
