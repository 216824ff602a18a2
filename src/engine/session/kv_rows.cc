#include "engine/session/kv_rows.h"

#include <cstring>
#include <span>

#include "quant/half.h"

namespace puna::engine {
namespace {

/// K or V of one position, or of several, as they lie in `KvRows`.
std::size_t element_bytes(kernels::KvType type) {
    return type == kernels::KvType::f16 ? 2 : 4;
}

// The cache hands out floats. An f16 widened and narrowed again is the same f16.
void store(kernels::KvType type, std::span<const float> values, std::byte* to) {
    if (type == kernels::KvType::f32) {
        std::memcpy(to, values.data(), values.size_bytes());
        return;
    }
    auto* const halves = reinterpret_cast<std::uint8_t*>(to);
    for (std::size_t i = 0; i < values.size(); ++i)
        quant::store_u16(halves + 2 * i, quant::f32_to_f16(values[i]));
}

void fetch(kernels::KvType type, const std::byte* from, std::span<float> values) {
    if (type == kernels::KvType::f32) {
        std::memcpy(values.data(), from, values.size_bytes());
        return;
    }
    const auto* const halves = reinterpret_cast<const std::uint8_t*>(from);
    for (std::size_t i = 0; i < values.size(); ++i)
        values[i] = quant::load_f16(halves + 2 * i);
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
    const std::size_t row_bytes = k.size() * element_bytes(type);
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
    const std::size_t row_bytes = k.size() * element_bytes(type);
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
