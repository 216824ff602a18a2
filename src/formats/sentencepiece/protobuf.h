// Protocol Buffers' wire format, read field by field: as much of it as SentencePiece's models need.
//
// Source: the encoding's description in the Protocol Buffers documentation. Nothing is nested here: a message within a
// message is bytes, over which the caller sets up a reader of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "puna/error.h"

namespace puna::formats::sentencepiece {

enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct ProtobufField {
    std::uint32_t number = 0;
    WireType type = WireType::varint;
    std::uint64_t value = 0;           // varint, fixed64, fixed32
    std::span<const std::byte> bytes;  // of a field of that type; they stay where they are
    std::uint64_t offset = 0;          // bytes from the file's start to the field
};

/// The fields of one message, in order. For one thread at a time; the bytes and the path must outlive it.
class ProtobufReader {
  public:
    /// `base`: of the message in its file; `what` names the message in errors.
    ProtobufReader(std::span<const std::byte> bytes, std::string_view path, std::string_view what,
                   std::uint64_t base = 0)
        : bytes_(bytes), path_(path), what_(what), base_(base) {}

    /// Nullopt at the message's end. Errors: file_malformed.
    Result<std::optional<ProtobufField>> next();
    /// The reader over the message that a field of type bytes holds; an error for any other type.
    Result<ProtobufReader> message(const ProtobufField& field, std::string_view what) const;
    /// A field's text. Errors: file_malformed (not bytes, not UTF-8).
    Result<std::string> text(const ProtobufField& field, std::string_view name) const;
    /// A number, a bool or an enumerator. Errors: file_malformed (not a varint).
    Result<std::uint64_t> varint(const ProtobufField& field, std::string_view name) const;
    /// Errors: file_malformed (not of 32 bits).
    Result<float> float32(const ProtobufField& field, std::string_view name) const;

    /// file_malformed: "PATH: WHAT, NAME PROBLEM (at byte OFFSET)".
    Error malformed(std::string_view name, std::string_view problem, std::uint64_t offset) const;

  private:
    Result<std::uint64_t> read_varint(std::string_view name);
    Result<std::span<const std::byte>> read_bytes(std::uint64_t size, std::string_view name);
    std::uint64_t here() const { return base_ + at_; }

    std::span<const std::byte> bytes_;
    std::string_view path_;
    std::string_view what_;
    std::uint64_t base_;
    std::size_t at_ = 0;
};

}  // namespace puna::formats::sentencepiece
