// Tells models apart, without reading them whole.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "models/model.h"
#include "puna/error.h"
#include "text/vocabulary.h"

namespace puna::engine {

struct ModelShape {
    std::int64_t layers = 0;
    std::int64_t embedding = 0;
    std::int64_t feed_forward = 0;
    std::int64_t heads = 0;
    std::int64_t kv_heads = 0;
    std::int64_t head_dim = 0;
    std::int64_t vocabulary = 0;

    bool operator==(const ModelShape&) const = default;
};

/// In parts, so that a difference can be named. The digests are XXH3.
struct ModelFingerprint {
    std::string architecture;
    ModelShape shape;
    std::uint64_t parameters = 0;  // digest of the metadata, but for keys of general.*, which change no bit
    std::uint64_t tokenizer = 0;   // digest of tokens, scores, kinds, merges and special ids
    std::uint64_t tensors = 0;     // digest of names, types, shapes, and `sampled_stretches` of each one's data

    bool operator==(const ModelFingerprint&) const = default;
};

/// Of each part of each tensor, this many stretches of so many bytes are read, the first at its start, the last at its
/// end, the others evenly between. Another training or quantization changes nearly every block of nearly every tensor,
/// so that a few dozen pages tell; a file with single bytes changed by hand is not recognised.
inline constexpr std::uint64_t sampled_stretches = 4;
inline constexpr std::uint64_t stretch_bytes = 256;

/// Errors: file_changed.
Result<ModelFingerprint> fingerprint(const models::Model& model, const text::Vocabulary& vocabulary);

/// What tells the two apart, for people: "its tokenizer"; empty if nothing does.
std::string_view difference(const ModelFingerprint& a, const ModelFingerprint& b);

/// Whether a session of `stored` may be used with `present`. Errors: session_mismatch, with what differs.
Result<void> require_same(const ModelFingerprint& stored, const ModelFingerprint& present);

}  // namespace puna::engine
