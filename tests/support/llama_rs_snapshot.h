// Snapshots as LLaMA-rs wrote them.
#pragma once

#include <zstd.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace puna::support {

struct LlamaRsSnapshot {
    std::uint64_t past = 0;
    std::uint64_t window = 64;
    std::uint32_t key_type = 0;  // 0: F16, 1: F32
    std::uint32_t value_type = 0;
    std::vector<std::int32_t> tokens;
    std::uint64_t logits = 0;
    std::uint64_t key_bytes = 0;
    std::uint64_t value_bytes = 0;
    std::string behind;

    /// What is compressed.
    std::string plain() const {
        std::string out;
        const auto put = [&](const auto& value) { out.append(reinterpret_cast<const char*>(&value), sizeof(value)); };
        put(past);
        put(window);
        put(key_type);
        put(value_type);
        put(std::uint64_t{tokens.size()});
        for (const std::int32_t token : tokens)
            put(token);
        put(logits);
        out.append(logits * 4, '\1');
        put(key_bytes);
        out.append(key_bytes, '\2');
        put(value_bytes);
        out.append(value_bytes, '\3');
        out.append(behind);
        return out;
    }
};

inline std::string zstd_compressed(const std::string& plain) {
    std::string out(ZSTD_compressBound(plain.size()), '\0');
    out.resize(ZSTD_compress(out.data(), out.size(), plain.data(), plain.size(), 1));
    return out;
}

}  // namespace puna::support
