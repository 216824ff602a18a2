#include "formats/gguf/reader.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "base/try.h"
#include "formats/gguf/layout.h"
#include "formats/printable.h"

namespace puna::formats::gguf {
namespace {

struct Header {
    std::uint32_t version;
    std::uint64_t tensors;
    std::uint64_t keys;
};

constexpr Field header_field(std::string_view part) {
    return {"header", {}, 0, part, {}};
}

Error unsupported_version(std::uint32_t version, std::string_view path) {
    const std::uint32_t swapped = __builtin_bswap32(version);
    const std::string file = printable_path(path);
    if (swapped >= oldest_version && swapped <= newest_version) {
        return {ErrorCode::unsupported_format,
                fmt::format("{}: header, version {} is stored in big-endian byte order (at byte 4)", file, swapped),
                "puna reads little-endian files; convert the model for little-endian machines"};
    }
    const bool newer = version > newest_version;
    return {newer ? ErrorCode::unsupported_format : ErrorCode::file_malformed,
            fmt::format("{}: header, version is {}; puna reads versions {} to {} (at byte 4)", file, version,
                        oldest_version, newest_version),
            newer ? "a newer puna may read it" : "the file is damaged; fetch it again"};
}

/// A count of records of at least `record_bytes` each.
Result<std::uint64_t> read_record_count(Cursor& cursor, std::string_view part, std::uint64_t limit) {
    const std::uint64_t at = cursor.offset();
    const Field field = header_field(part);
    PUNA_TRY(const std::uint64_t count, cursor.count(field));
    if (count > limit) {
        return cursor.malformed(field, fmt::format("is {}; at most {} are allowed", count, limit), at);
    }
    return count;
}

Result<void> check_room(const Cursor& cursor, std::string_view part, std::uint64_t count, std::uint64_t record_bytes) {
    if (count <= cursor.remaining() / record_bytes) return {};
    const auto problem = fmt::format("is {}, but the file ends {} bytes after the header", count, cursor.remaining());
    const std::uint64_t at = part == "n_tensors" ? 8 : 8 + cursor.count_bytes();
    return cursor.malformed(header_field(part), problem, at);
}

Result<Header> read_header(Cursor& cursor, std::string_view path) {
    PUNA_TRY(const auto found_magic, cursor.raw(header_field("magic"), magic.size()));
    if (std::memcmp(found_magic.data(), magic.data(), magic.size()) != 0) {
        return cursor.malformed(header_field("magic"), "is not \"GGUF\"", 0);
    }
    Header header;
    PUNA_TRY(header.version, cursor.number<std::uint32_t>(header_field("version")));
    if (header.version < oldest_version || header.version > newest_version) {
        return unsupported_version(header.version, path);
    }
    cursor.use_narrow_counts(header.version == 1);
    PUNA_TRY(header.tensors, read_record_count(cursor, "n_tensors", max_tensors));
    PUNA_TRY(header.keys, read_record_count(cursor, "n_kv", max_keys));
    // The shortest entries: a name of one byte; a key of one byte with a value of one byte.
    PUNA_CHECK(check_room(cursor, "n_tensors", header.tensors, cursor.count_bytes() + 1 + 4 + 4 + 8));
    PUNA_CHECK(check_room(cursor, "n_kv", header.keys, cursor.count_bytes() + 1 + 4 + 1));
    return header;
}

Result<std::uint64_t> read_alignment(const Metadata& metadata, std::string_view path) {
    constexpr std::string_view key = "general.alignment";
    auto found = metadata.unsigned_integer(key);
    if (!found.ok()) {
        Error error = std::move(found).error();
        error.message = fmt::format("{}: {}", printable_path(path), error.message);
        return error;
    }
    const std::uint64_t alignment = found->value_or(default_alignment);
    if (alignment == 0 || alignment % alignment_multiple != 0 || alignment > max_alignment) {
        return Error{
            ErrorCode::file_malformed,
            fmt::format("{}: {} is {}; it must be a multiple of {} from {} to {}", printable_path(path),
                        metadata.describe(key), alignment, alignment_multiple, alignment_multiple, max_alignment),
            "the file is damaged, or was written by a faulty tool; convert it anew"};
    }
    return alignment;
}

Result<File> read_mapped(const std::shared_ptr<const base::FileMapping>& mapping) {
    Cursor cursor(mapping->bytes(), mapping->path());
    PUNA_TRY(const Header header, read_header(cursor, mapping->path()));
    File file;
    file.mapping = mapping;
    file.version = header.version;
    PUNA_TRY(file.metadata, read_metadata(cursor, header.keys));
    PUNA_TRY(const std::uint64_t alignment, read_alignment(file.metadata, mapping->path()));
    PUNA_TRY(file.tensors, read_tensors(cursor, header.tensors, alignment, mapping));
    return file;
}

}  // namespace

Result<File> read_file(const std::shared_ptr<const base::FileMapping>& mapping) {
    return base::unless_changed(*mapping, read_mapped(mapping));
}

}  // namespace puna::formats::gguf
