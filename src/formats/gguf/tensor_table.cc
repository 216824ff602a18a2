// The tensor table: names, shapes, types, and where the data lies in the section behind it.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <unordered_set>
#include <utility>

#include "base/checked.h"
#include "base/try.h"
#include "formats/gguf/layout.h"
#include "formats/gguf/reader.h"
#include "formats/printable.h"
#include "quant/tensor_type.h"

namespace puna::formats::gguf {
namespace {

/// An entry of the table, before the end of the table (and with it the start of the data) is known.
struct Entry {
    FoundTensor tensor;
    std::string_view name;          // in the mapped file
    std::uint64_t index = 0;        // in the table
    std::uint64_t bytes = 0;        // of its data
    std::uint64_t data_offset = 0;  // from the start of the data section
    std::uint64_t offset_at = 0;    // where the file says so

    Field field(std::string_view part) const { return {"tensor", name, index, part, {}}; }
};

Result<std::string_view> read_name(Cursor& cursor, std::uint64_t index) {
    const Field unnamed{"tensor", {}, index, "name", {}};
    const std::uint64_t start = cursor.offset();
    PUNA_TRY(const std::string_view name, cursor.string(unnamed, max_tensor_name_bytes));
    if (name.empty()) return cursor.malformed(unnamed, "is empty", start);
    if (!is_utf8(name)) return cursor.malformed(unnamed, "is not UTF-8", start);
    return name;
}

/// Dimensions, innermost first as the file has them. Their product is known to fit into 63 bits.
Result<std::vector<std::uint64_t>> read_dimensions(Cursor& cursor, const Entry& entry) {
    const std::uint64_t start = cursor.offset();
    PUNA_TRY(const auto rank, cursor.number<std::uint32_t>(entry.field("n_dimensions")));
    if (rank > max_dimensions) {
        const auto problem = fmt::format("is {}; at most {} are allowed", rank, max_dimensions);
        return cursor.malformed(entry.field("n_dimensions"), problem, start);
    }
    std::vector<std::uint64_t> dimensions;
    std::optional<std::uint64_t> elements = 1;
    for (std::uint32_t i = 0; i < rank; ++i) {
        const Field field = entry.field("").with("dimension", i);
        const std::uint64_t at = cursor.offset();
        PUNA_TRY(const std::uint64_t dimension, cursor.count(field));
        if (dimension == 0) return cursor.malformed(field, "is 0", at);
        if (dimension > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
            return cursor.malformed(field, fmt::format("is negative ({})", static_cast<std::int64_t>(dimension)), at);
        }
        elements = base::checked_multiply(*elements, dimension);
        if (!elements || *elements > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
            return cursor.malformed(field, fmt::format("is {}: the number of elements overflows", dimension), at);
        }
        dimensions.push_back(dimension);
    }
    return dimensions;
}

Result<const quant::TypeInfo*> read_type(Cursor& cursor, const Entry& entry) {
    const std::uint64_t start = cursor.offset();
    const Field field = entry.field("type");
    PUNA_TRY(const auto id, cursor.number<std::uint32_t>(field));
    if (const quant::TypeInfo* type = quant::find_type(id); type != nullptr && quant::is_gguf_type(type->type))
        return type;
    const std::string_view retired = quant::retired_type_name(id);
    if (retired.empty()) return cursor.malformed(field, fmt::format("is {}, which is no known type", id), start);
    Error error = cursor.malformed(field, fmt::format("is {} ({}), which GGUF has retired", id, retired), start);
    error.code = ErrorCode::unsupported_tensor_type;
    error.hint = "quantize the model anew, from its F16 or F32 weights";
    return error;
}

/// Bytes of the data, from the shape and the type.
Result<std::uint64_t> data_bytes(const Cursor& cursor, const Entry& entry, const quant::TypeInfo& type,
                                 std::uint64_t type_offset) {
    const std::uint64_t row = entry.tensor.shape.empty() ? 1 : entry.tensor.shape.back();
    if (row % type.block_elements != 0) {
        const auto problem = fmt::format("has rows of {} elements, which is not a multiple of {}'s block of {}", row,
                                         type.name, type.block_elements);
        return cursor.malformed(entry.field(""), problem, type_offset);
    }
    const auto bytes = base::checked_multiply(entry.tensor.elements() / type.block_elements, type.block_bytes);
    if (!bytes) return cursor.malformed(entry.field(""), "has a size in bytes that overflows", type_offset);
    return *bytes;
}

Result<Entry> read_entry(Cursor& cursor, std::uint64_t index, std::uint64_t alignment) {
    Entry entry;
    entry.index = index;
    entry.tensor.record_offset = cursor.offset();
    PUNA_TRY(entry.name, read_name(cursor, index));
    entry.tensor.name = std::string(entry.name);
    PUNA_TRY(entry.tensor.shape, read_dimensions(cursor, entry));
    std::reverse(entry.tensor.shape.begin(), entry.tensor.shape.end());
    const std::uint64_t type_offset = cursor.offset();
    PUNA_TRY(const quant::TypeInfo* type, read_type(cursor, entry));
    entry.tensor.type = type->type;
    PUNA_TRY(entry.bytes, data_bytes(cursor, entry, *type, type_offset));
    entry.offset_at = cursor.offset();
    PUNA_TRY(entry.data_offset, cursor.number<std::uint64_t>(entry.field("offset")));
    if (entry.data_offset % alignment != 0) {
        const auto problem =
            fmt::format("is {}, which is not a multiple of the alignment {}", entry.data_offset, alignment);
        return cursor.malformed(entry.field("offset"), problem, entry.offset_at);
    }
    return entry;
}

/// Gives the tensor its bytes in the mapping; `data_start` is where the data section begins.
Result<void> place(const Cursor& cursor, Entry& entry, std::uint64_t data_start,
                   const std::shared_ptr<const base::FileMapping>& mapping) {
    const auto begin = base::checked_add(data_start, entry.data_offset);
    const auto end = begin ? base::checked_add(*begin, entry.bytes) : std::nullopt;
    if (!end) {
        const auto problem = fmt::format("is {}: the end of the data overflows", entry.data_offset);
        return cursor.malformed(entry.field("offset"), problem, entry.offset_at);
    }
    if (*end > cursor.size()) {
        const auto problem =
            fmt::format("is {}: the data, {} bytes, would end at byte {}, but the file ends at byte {}",
                        entry.data_offset, entry.bytes, *end, cursor.size());
        return cursor.malformed(entry.field("offset"), problem, entry.offset_at);
    }
    entry.tensor.parts.push_back({mapping->bytes().subspan(*begin, entry.bytes), mapping});
    return {};
}

Result<void> check_overlaps(const Cursor& cursor, const std::vector<Entry>& entries) {
    std::vector<const Entry*> by_offset;
    by_offset.reserve(entries.size());
    for (const Entry& entry : entries)
        by_offset.push_back(&entry);
    std::sort(by_offset.begin(), by_offset.end(),
              [](const Entry* a, const Entry* b) { return a->data_offset < b->data_offset; });
    for (std::size_t i = 1; i < by_offset.size(); ++i) {
        const Entry& before = *by_offset[i - 1];
        const Entry& entry = *by_offset[i];
        if (entry.data_offset - before.data_offset >= before.bytes) continue;
        const auto problem = fmt::format("is {}, within the data of tensor '{}' ({} bytes from {})", entry.data_offset,
                                         printable(before.name), before.bytes, before.data_offset);
        return cursor.malformed(entry.field("offset"), problem, entry.offset_at);
    }
    return {};
}

}  // namespace

Result<std::vector<FoundTensor>> read_tensors(Cursor& cursor, std::uint64_t count, std::uint64_t alignment,
                                              const std::shared_ptr<const base::FileMapping>& mapping) {
    std::vector<Entry> entries;
    entries.reserve(count);
    std::unordered_set<std::string_view> names;
    for (std::uint64_t i = 0; i < count; ++i) {
        PUNA_TRY(auto entry, read_entry(cursor, i, alignment));
        if (!names.insert(entry.name).second) {
            return cursor.malformed(entry.field("name"), "occurs twice", entry.tensor.record_offset);
        }
        entries.push_back(std::move(entry));
    }
    const std::uint64_t padding = (alignment - cursor.offset() % alignment) % alignment;
    const std::uint64_t data_start = cursor.offset() + padding;
    std::vector<FoundTensor> tensors;
    tensors.reserve(count);
    for (Entry& entry : entries)
        PUNA_CHECK(place(cursor, entry, data_start, mapping));
    PUNA_CHECK(check_overlaps(cursor, entries));
    for (Entry& entry : entries)
        tensors.push_back(std::move(entry.tensor));
    return tensors;
}

}  // namespace puna::formats::gguf
