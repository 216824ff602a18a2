// SHA-256 (FIPS 180-4), by OpenSSL.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "puna/error.h"

namespace puna::store {

/// A digest in the making. For one thread at a time.
class Sha256 {
  public:
    /// Errors: out_of_memory; io_error where the system's OpenSSL refuses the algorithm.
    static Result<Sha256> create();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;
    ~Sha256();

    /// False if OpenSSL fails, which then `finish` reports. Does not throw.
    bool update(std::span<const std::byte> bytes) noexcept;
    /// 64 lower-case hexadecimal digits. Call it once, last. Errors: io_error.
    Result<std::string> finish();

  private:
    struct State;
    explicit Sha256(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

}  // namespace puna::store
