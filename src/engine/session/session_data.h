// What a session consists of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/session/fingerprint.h"
#include "kernels/kernel_table.h"
#include "puna/request.h"
#include "puna/session.h"

namespace puna::engine {

/// Where keys and values came from. They mean something to the same model, KV type and law alone.
struct SessionOrigin {
    ModelFingerprint model;
    std::string law;      // id of the numeric law
    std::string kernels;  // for people
    kernels::KvType kv_type = kernels::KvType::f16;
};

/// Keys and values as they are stored, whatever the layout of the cache: a layer holds K [positions][KV head][dim],
/// then V the same, in the KV type (little-endian).
using KvRows = std::vector<std::vector<std::byte>>;  // [layer]

/// What stands behind puna::Session. Cheap to copy but for tokens and logits.
struct SessionData : Session::Impl {
    SessionOrigin origin;
    std::vector<TokenId> tokens;
    std::int64_t evaluated = 0;  // positions [0, evaluated) are in `kv`; at most the number of tokens
    SamplingOptions sampling;    // with its seed
    SamplerState sampler_state;
    std::vector<float> logits;  // [vocabulary] of the last token, if all are evaluated; or empty
    std::shared_ptr<const KvRows> kv = std::make_shared<KvRows>();
    std::string attachment;
    std::uint64_t compressed_bytes = 0;  // of the file that it was read from, if that is compressed
};

/// Bytes of one layer's keys and values in `KvRows`; nullopt if they cannot be counted in 64 bits.
std::optional<std::uint64_t> kv_layer_bytes(const ModelShape& shape, kernels::KvType type, std::int64_t positions);

inline const SessionData& data_of(const Session& session) {
    return static_cast<const SessionData&>(*session.impl());
}

}  // namespace puna::engine
