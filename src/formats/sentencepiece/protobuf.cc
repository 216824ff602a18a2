#include "formats/sentencepiece/protobuf.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>
#include <limits>

#include "base/try.h"
#include "formats/printable.h"

namespace puna::formats::sentencepiece {
namespace {

static_assert(std::endian::native == std::endian::little, "fields are copied as they lie in the file");

template <typename T>
std::uint64_t load(std::span<const std::byte> bytes) {
    T value;
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
}

}  // namespace

Error ProtobufReader::malformed(std::string_view name, std::string_view problem, std::uint64_t offset) const {
    return {ErrorCode::file_malformed,
            fmt::format("{}: {}, {} {} (at byte {})", printable_path(path_), what_, name, problem, offset),
            "the file is damaged or incomplete, or not what its name says; fetch it again"};
}

Result<std::uint64_t> ProtobufReader::read_varint(std::string_view name) {
    const std::uint64_t start = here();
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        if (at_ == bytes_.size()) return malformed(name, "is cut off", start);
        const auto byte = std::to_integer<std::uint64_t>(bytes_[at_++]);
        const std::uint64_t bits = byte & 0x7F;
        if (shift == 63 && bits > 1) break;
        value |= bits << shift;
        if (byte < 0x80) return value;
    }
    return malformed(name, "has more than 64 bits", start);
}

Result<std::span<const std::byte>> ProtobufReader::read_bytes(std::uint64_t size, std::string_view name) {
    if (size > bytes_.size() - at_) {
        return malformed(name, fmt::format("needs {} bytes, and {} are left", size, bytes_.size() - at_), here());
    }
    const auto bytes = bytes_.subspan(at_, size);
    at_ += size;
    return bytes;
}

Result<std::optional<ProtobufField>> ProtobufReader::next() {
    if (at_ == bytes_.size()) return std::optional<ProtobufField>();
    ProtobufField field;
    field.offset = here();
    PUNA_TRY(const std::uint64_t tag, read_varint("tag"));
    const std::uint64_t number = tag >> 3;
    if (number == 0 || number > (1U << 29) - 1) {
        return malformed("tag", fmt::format("names field {}", number), field.offset);
    }
    field.number = static_cast<std::uint32_t>(number);
    field.type = static_cast<WireType>(tag & 7);
    const std::string name = fmt::format("field {}", number);
    switch (field.type) {
        case WireType::varint: {
            PUNA_TRY(field.value, read_varint(name));
            break;
        }
        case WireType::fixed64: {
            PUNA_TRY(const auto bytes, read_bytes(8, name));
            field.value = load<std::uint64_t>(bytes);
            break;
        }
        case WireType::fixed32: {
            PUNA_TRY(const auto bytes, read_bytes(4, name));
            field.value = load<std::uint32_t>(bytes);
            break;
        }
        case WireType::bytes: {
            PUNA_TRY(const std::uint64_t size, read_varint(name));
            PUNA_TRY(field.bytes, read_bytes(size, name));
            break;
        }
        default: return malformed(name, fmt::format("has the wire type {}", tag & 7), field.offset);
    }
    return std::optional(field);
}

Result<ProtobufReader> ProtobufReader::message(const ProtobufField& field, std::string_view what) const {
    if (field.type != WireType::bytes) return malformed(what, "is no message", field.offset);
    const auto at = static_cast<std::uint64_t>(field.bytes.data() - bytes_.data());
    return ProtobufReader(field.bytes, path_, what, base_ + at);
}

Result<std::string> ProtobufReader::text(const ProtobufField& field, std::string_view name) const {
    if (field.type != WireType::bytes) return malformed(name, "is no text", field.offset);
    std::string text(reinterpret_cast<const char*>(field.bytes.data()), field.bytes.size());
    if (!is_utf8(text)) return malformed(name, "is not UTF-8", field.offset);
    return text;
}

Result<std::uint64_t> ProtobufReader::varint(const ProtobufField& field, std::string_view name) const {
    if (field.type != WireType::varint) return malformed(name, "is no integer", field.offset);
    return field.value;
}

Result<float> ProtobufReader::float32(const ProtobufField& field, std::string_view name) const {
    if (field.type != WireType::fixed32) return malformed(name, "is no 32-bit number", field.offset);
    return std::bit_cast<float>(static_cast<std::uint32_t>(field.value));
}

}  // namespace puna::formats::sentencepiece
