// The small sections of a session file: numbers and texts, one after another.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "puna/error.h"

namespace puna::engine {

/// Little-endian, unaligned; a text is a u32 length and its bytes.
class FieldWriter {
  public:
    template <typename T>
        requires std::is_arithmetic_v<T>
    void number(T value) {
        raw(std::as_bytes(std::span(&value, 1)));
    }
    void text(std::string_view value) {
        number(static_cast<std::uint32_t>(value.size()));
        raw(std::as_bytes(std::span(value)));
    }
    void raw(std::span<const std::byte> bytes) {
        bytes_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    std::span<const std::byte> bytes() const { return std::as_bytes(std::span(bytes_)); }

  private:
    std::string bytes_;
};

/// Reads what FieldWriter wrote, and never beyond the end. The first failure sticks, and what is read from then on is
/// zero or empty: ask `done` at the end. For one thread at a time; the bytes must outlive it.
class FieldReader {
  public:
    FieldReader(std::span<const std::byte> bytes, std::string_view section) : bytes_(bytes), section_(section) {}

    template <typename T>
        requires std::is_arithmetic_v<T>
    T number() {
        T value{};
        const std::span<const std::byte> got = take(sizeof(T));
        if (!got.empty()) std::memcpy(&value, got.data(), sizeof(T));
        return value;
    }
    std::string text() {
        const std::span<const std::byte> got = take(number<std::uint32_t>());
        return {reinterpret_cast<const char*>(got.data()), got.size()};
    }
    std::uint64_t remaining() const { return bytes_.size() - offset_; }
    void fail(std::string problem) {
        if (problem_.empty()) problem_ = std::move(problem);
        offset_ = bytes_.size();
    }
    /// Whether all was read and nothing was wrong; else what, for people: "section state: ...".
    Result<void> done(const std::string& path) {
        if (remaining() != 0) fail(fmt::format("{} bytes stand behind its last field", remaining()));
        if (problem_.empty()) return {};
        return Error{ErrorCode::file_malformed, fmt::format("\"{}\": section {}: {}", path, section_, problem_),
                     "the session was written by something else than puna, or by a version that is not this one"};
    }

  private:
    std::span<const std::byte> take(std::uint64_t size) {
        if (remaining() < size) {
            fail(fmt::format("it ends within the field at byte {}", offset_));
            return {};
        }
        const auto got = bytes_.subspan(offset_, size);
        offset_ += size;
        return got;
    }

    std::span<const std::byte> bytes_;
    std::string_view section_;
    std::size_t offset_ = 0;
    std::string problem_;
};

}  // namespace puna::engine
