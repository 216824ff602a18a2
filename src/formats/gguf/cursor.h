// Reads fields one after another from the bytes of a GGUF file or one of the formats before it, and never beyond their
// end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "puna/error.h"

namespace puna::formats::gguf {

/// What a field is called in messages; put into words only when something is wrong. The views must outlive the call.
struct Field {
    std::string_view owner_kind;  // "key", "tensor", or "header"
    std::string_view owner_name;  // empty before it is known
    std::uint64_t owner_index = 0;
    std::string_view part;                    // "value", "dimension", ...
    std::optional<std::uint64_t> index = {};  // which one, of several

    /// The same field's other part.
    Field with(std::string_view other_part, std::optional<std::uint64_t> other_index = {}) const {
        return {owner_kind, owner_name, owner_index, other_part, other_index};
    }
    /// "key 'general.name', length", "tensor 3, name", "header, version".
    std::string describe() const;
};

/// Values are little-endian and unaligned. For one thread at a time; the bytes and the path must outlive it.
class Cursor {
  public:
    Cursor(std::span<const std::byte> bytes, std::string_view path) : bytes_(bytes), path_(path) {}

    std::uint64_t offset() const { return offset_; }
    std::uint64_t remaining() const { return bytes_.size() - offset_; }
    std::uint64_t size() const { return bytes_.size(); }

    /// Version 1 stores counts, lengths and dimensions in 32 bits, later ones in 64.
    void use_narrow_counts(bool narrow) { narrow_counts_ = narrow; }
    std::uint64_t count_bytes() const { return narrow_counts_ ? 4 : 8; }

    template <typename T>
        requires std::is_arithmetic_v<T>
    Result<T> number(const Field& field) {
        if (remaining() < sizeof(T)) return truncated(field, sizeof(T));
        T value;
        std::memcpy(&value, bytes_.data() + offset_, sizeof(T));
        offset_ += sizeof(T);
        return value;
    }
    Result<std::uint64_t> count(const Field& field);
    /// A length and as many bytes, which stay where they are. A length over `limit` is an error.
    Result<std::string_view> string(const Field& field, std::uint64_t limit);
    /// The next `size` bytes.
    Result<std::span<const std::byte>> raw(const Field& field, std::uint64_t size);

    /// file_malformed: "PATH: FIELD PROBLEM (at byte OFFSET)".
    Error malformed(const Field& field, std::string_view problem, std::uint64_t offset) const;

  private:
    Error truncated(const Field& field, std::uint64_t needed) const;

    std::span<const std::byte> bytes_;
    std::string_view path_;
    std::uint64_t offset_ = 0;
    bool narrow_counts_ = false;
};

}  // namespace puna::formats::gguf
