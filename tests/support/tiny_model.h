// A LLaMA small enough for tests, with random weights and a SentencePiece-like vocabulary.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "quant/tensor_type.h"
#include "support/gguf_builder.h"

namespace puna::support {

struct TinyModelOptions {
    std::uint32_t layers = 2;
    std::uint32_t embedding = 64;
    std::uint32_t feed_forward = 96;
    std::uint32_t heads = 4;
    std::uint32_t kv_heads = 2;
    std::uint32_t vocabulary = 300;  // 3 control tokens, 256 bytes, then pieces; at least 259
    std::uint32_t context = 256;
    float rope_base = 10000.0F;
    float norm_epsilon = 1e-5F;
    /// Type of the matrices, `quant::find_type("Q4_0")` and its like; null: F32. Its block must divide the widths
    /// (embedding 256 and feed_forward 256 for the k-quants). Norms are F32 always.
    const quant::TypeInfo* matrix_type = nullptr;
    bool tied = true;  // no output.weight: the embedding serves as the output too
    /// "linear" or "yarn", with its factor; none if empty.
    std::string rope_scaling = {};
    float rope_scaling_factor = 1.0F;
    /// Factors of the rotation frequencies (rope_freqs.weight), embedding / heads / 2 of them; none if empty.
    std::vector<float> rope_frequency_factors = {};
    std::uint64_t seed = 1;
    std::uint32_t gguf_version = 3;
};

/// The model before it is written, for tests that change or remove something. The same options give the same bytes.
GgufBuilder tiny_model_builder(const TinyModelOptions& options = {});
/// The file's bytes.
std::vector<std::byte> tiny_model(const TinyModelOptions& options = {});

}  // namespace puna::support
