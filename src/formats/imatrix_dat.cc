#include "formats/imatrix_dat.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/try.h"
#include "formats/gguf/cursor.h"

namespace puna::formats {
namespace {

using gguf::Cursor;
using gguf::Field;

// puna's own, far above what real files hold.
constexpr std::int32_t max_dat_entries = 65'536;
constexpr std::uint64_t max_dat_name_bytes = 256;
constexpr std::uint64_t max_dat_dataset_bytes = 65'536;
constexpr std::size_t dat_header_bytes = 8;  // the number of entries and the first name's length

constexpr Field dat_header(std::string_view part) {
    return {"header", "", 0, part};
}

/// A number that is at least `least`.
Result<std::int32_t> read_dat_number(Cursor& cursor, const Field& field, std::int32_t least) {
    const std::uint64_t at = cursor.offset();
    PUNA_TRY(const std::int32_t value, cursor.number<std::int32_t>(field));
    if (value >= least) return value;
    return cursor.malformed(field, fmt::format("is {}; it must be {} at least", value, least), at);
}

Result<void> read_dat_entry(Cursor& cursor, std::uint64_t index, Imatrix& matrix) {
    Field field = {"entry", "", index, "name"};
    const std::uint64_t start = cursor.offset();
    PUNA_TRY(const std::string_view name, cursor.string(field, max_dat_name_bytes));
    if (name.empty()) return cursor.malformed(field, "is empty", start);
    field.owner_name = name;
    PUNA_TRY(const std::int32_t chunks, read_dat_number(cursor, field.with("chunks"), 1));
    PUNA_TRY(const std::int32_t count, read_dat_number(cursor, field.with("number of values"), 1));
    const std::uint64_t values_at = cursor.offset();
    PUNA_TRY(const auto bytes, cursor.raw(field.with("values"), sizeof(float) * static_cast<std::uint64_t>(count)));
    ImatrixEntry entry;
    entry.rows = {static_cast<double>(chunks)};
    entry.squares.reserve(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
        float value = 0;
        std::memcpy(&value, bytes.data() + i * sizeof value, sizeof value);
        if (!std::isfinite(value) || value < 0) {
            return cursor.malformed(field.with("value", i), fmt::format("is {}; it must be a sum of squares", value),
                                    values_at + i * sizeof value);
        }
        entry.squares.push_back(double{value});
    }
    if (matrix.entries.emplace(name, std::move(entry)).second) return {};
    return cursor.malformed(field, "occurs twice", start);
}

}  // namespace

bool is_imatrix_dat(std::span<const std::byte> bytes) {
    if (bytes.size() <= dat_header_bytes) return false;
    std::uint32_t length = 0;
    std::memcpy(&length, bytes.data() + sizeof length, sizeof length);
    if (length < 1 || length > max_dat_name_bytes) return false;
    const auto name = bytes.subspan(dat_header_bytes, std::min<std::size_t>(length, bytes.size() - dat_header_bytes));
    return std::ranges::all_of(name, [](std::byte b) { return b > std::byte{' '} && b < std::byte{0x7F}; });
}

Result<Imatrix> read_imatrix_dat(std::span<const std::byte> bytes, std::string_view path) {
    Cursor cursor(bytes, path);
    cursor.use_narrow_counts(true);
    Imatrix matrix;
    matrix.counts_chunks = true;
    PUNA_TRY(const std::int32_t entries, read_dat_number(cursor, dat_header("number of entries"), 1));
    if (entries > max_dat_entries) {
        return cursor.malformed(dat_header("number of entries"),
                                fmt::format("is {}; at most {} are allowed", entries, max_dat_entries), 0);
    }
    for (std::int32_t i = 0; i < entries; ++i)
        PUNA_CHECK(read_dat_entry(cursor, static_cast<std::uint64_t>(i), matrix));
    if (cursor.remaining() == 0) return matrix;  // the first version ends here
    PUNA_TRY(const std::int32_t chunks, read_dat_number(cursor, dat_header("chunks"), 0));
    matrix.chunks = static_cast<std::uint64_t>(chunks);
    PUNA_TRY(const std::string_view dataset, cursor.string(dat_header("dataset"), max_dat_dataset_bytes));
    if (!dataset.empty()) matrix.datasets.emplace_back(dataset);
    if (cursor.remaining() == 0) return matrix;
    return cursor.malformed(dat_header("dataset"), fmt::format("is followed by {} bytes", cursor.remaining()),
                            cursor.offset());
}

}  // namespace puna::formats
