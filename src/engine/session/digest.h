// XXH3, 64 bits, seed 0 (Yann Collet's xxHash, as its specification has it): fast, and not against malice.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>

namespace puna::engine {

std::uint64_t digest_of(std::span<const std::byte> bytes);

/// Of bytes that come in pieces; how they were cut does not show. For one thread at a time.
class Digest {
  public:
    Digest();
    ~Digest();
    void add(std::span<const std::byte> bytes);
    /// Little-endian, as it lies.
    template <typename T>
        requires std::is_arithmetic_v<T>
    void add_number(T value) {
        add(std::as_bytes(std::span(&value, 1)));
    }
    /// With its length before it, so that neighbours cannot trade bytes.
    void add_text(std::string_view text) {
        add_number<std::uint64_t>(text.size());
        add(std::as_bytes(std::span(text)));
    }
    std::uint64_t value() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace puna::engine
