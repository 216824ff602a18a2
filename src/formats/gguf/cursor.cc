#include "formats/gguf/cursor.h"

#include <fmt/format.h>

#include <bit>

#include "base/try.h"
#include "formats/printable.h"

namespace puna::formats::gguf {

static_assert(std::endian::native == std::endian::little, "fields are copied as they lie in the file");

std::string Field::describe() const {
    std::string text(owner_kind);
    if (!owner_name.empty()) {
        text += fmt::format(" '{}'", printable(owner_name));
    } else if (owner_kind != "header") {
        text += fmt::format(" {}", owner_index);
    }
    if (!part.empty()) text += fmt::format(", {}", part);
    if (index) text += fmt::format(" {}", *index);
    return text;
}

Result<std::uint64_t> Cursor::count(const Field& field) {
    if (!narrow_counts_) return number<std::uint64_t>(field);
    PUNA_TRY(const std::uint32_t value, number<std::uint32_t>(field));
    return std::uint64_t{value};
}

Result<std::string_view> Cursor::string(const Field& field, std::uint64_t limit) {
    const std::uint64_t start = offset_;
    PUNA_TRY(const std::uint64_t length, count(field));
    if (length > limit) {
        return malformed(field, fmt::format("has a length of {} bytes; at most {} are allowed", length, limit), start);
    }
    if (length > remaining()) {
        return malformed(
            field, fmt::format("has a length of {} bytes, but the file ends {} bytes on", length, remaining()), start);
    }
    const char* text = reinterpret_cast<const char*>(bytes_.data() + offset_);
    offset_ += length;
    return std::string_view(text, length);
}

Result<std::span<const std::byte>> Cursor::raw(const Field& field, std::uint64_t size) {
    if (size > remaining()) return truncated(field, size);
    const auto bytes = bytes_.subspan(offset_, size);
    offset_ += size;
    return bytes;
}

Error Cursor::malformed(const Field& field, std::string_view problem, std::uint64_t offset) const {
    return {ErrorCode::file_malformed,
            fmt::format("{}: {} {} (at byte {})", printable_path(path_), field.describe(), problem, offset),
            "the file is damaged or incomplete; fetch it again, or convert it anew"};
}

Error Cursor::truncated(const Field& field, std::uint64_t needed) const {
    return malformed(field, fmt::format("needs {} bytes, but the file ends {} bytes on", needed, remaining()), offset_);
}

}  // namespace puna::formats::gguf
