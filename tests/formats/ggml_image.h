// Files of the formats before GGUF, put together field by field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace puna::formats {

struct GgmlImage {
    std::vector<std::byte> bytes;

    template <typename T>
    GgmlImage& put(T value) {
        const auto* from = reinterpret_cast<const std::byte*>(&value);
        bytes.insert(bytes.end(), from, from + sizeof(T));
        return *this;
    }
    GgmlImage& text(std::string_view value) {
        const auto* from = reinterpret_cast<const std::byte*>(value.data());
        bytes.insert(bytes.end(), from, from + value.size());
        return *this;
    }
    GgmlImage& fill(std::size_t count, int value = 0) {
        bytes.resize(bytes.size() + count, static_cast<std::byte>(value));
        return *this;
    }
    GgmlImage& ints(const std::vector<std::int32_t>& values) {
        for (const std::int32_t value : values)
            put(value);
        return *this;
    }
    GgmlImage& word(std::string_view value) { return put(static_cast<std::uint32_t>(value.size())).text(value); }
    GgmlImage& word(std::string_view value, float score) { return word(value).put(score); }
    /// The record; `dimensions` innermost first.
    GgmlImage& record(std::string_view name, std::int32_t type, const std::vector<std::int32_t>& dimensions) {
        put(static_cast<std::int32_t>(dimensions.size())).put(static_cast<std::int32_t>(name.size())).put(type);
        return ints(dimensions).text(name);
    }
    GgmlImage& align() { return fill((32 - bytes.size() % 32) % 32); }
};

constexpr std::uint32_t ggml_magic = 0x67676d6c;
constexpr std::uint32_t ggmf_magic = 0x67676d66;
constexpr std::uint32_t ggjt_magic = 0x67676a74;

/// GGML without version, of LLaMA's structure: three words, a vector in F32 and a matrix [2][32] in Q4_0. The fields
/// begin at bytes 0 (magic), 4 (n_vocab), 8 (n_embd), ..., 28 (ftype), 32 (the first word's length).
inline GgmlImage small_ggml(std::int32_t ftype = 2) {
    GgmlImage image;
    image.put(ggml_magic).ints({3, 32, 8, 4, 1, 8, ftype});
    image.word("a").word("bc").word("");
    image.record("norm.weight", 0, {32}).fill(128, 0x3c);
    image.record("tok_embeddings.weight", 2, {32, 2}).fill(40, 0x11);
    return image;
}

/// GGJT of the same, with scores and aligned data.
inline GgmlImage small_ggjt(std::uint32_t version, std::size_t q4_0_bytes = 20) {
    GgmlImage image;
    image.put(ggjt_magic).put(version).ints({3, 32, 8, 4, 1, 8, 2});
    image.word("a", 0.0F).word("bc", -1.5F).word("", -2.0F);
    image.record("norm.weight", 0, {32}).align().fill(128, 0x3c);
    image.record("tok_embeddings.weight", 2, {32, 2}).align().fill(2 * q4_0_bytes, 0x11);
    return image;
}

}  // namespace puna::formats
