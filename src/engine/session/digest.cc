#include "engine/session/digest.h"

#define XXH_INLINE_ALL  // from its header alone: nothing to link, for us and for who links the static library
#include <xxhash.h>

namespace puna::engine {

struct Digest::State {
    XXH3_state_t xxh3;
};

Digest::Digest() : state_(std::make_unique<State>()) {
    XXH3_64bits_reset(&state_->xxh3);
}

Digest::~Digest() = default;

void Digest::add(std::span<const std::byte> bytes) {
    XXH3_64bits_update(&state_->xxh3, bytes.data(), bytes.size());
}

std::uint64_t Digest::value() const {
    return XXH3_64bits_digest(&state_->xxh3);
}

std::uint64_t digest_of(std::span<const std::byte> bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
}

}  // namespace puna::engine
