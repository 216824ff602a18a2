#include "formats/safetensors/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/checked.h"
#include "base/try.h"
#include "formats/json.h"
#include "formats/malformed.h"
#include "quant/tensor_type.h"

namespace puna::formats::safetensors {
namespace {

static_assert(std::endian::native == std::endian::little, "fields are copied as they lie in the file");

using quant::TensorType;

constexpr std::string_view metadata_key = "__metadata__";
constexpr std::uint64_t size_bytes = sizeof(std::uint64_t);  // of the header's size
// In the header, keys too: room for the most tensors in up to five dimensions each.
constexpr std::size_t max_values = std::size_t{1} << 21;
static_assert(max_values / max_tensors >= 11 + 5);

constexpr std::array<std::pair<std::string_view, TensorType>, 15> types = {{
    {"F64", TensorType::F64},
    {"F32", TensorType::F32},
    {"F16", TensorType::F16},
    {"BF16", TensorType::BF16},
    {"F8_E4M3", TensorType::F8_E4M3},
    {"F8_E5M2", TensorType::F8_E5M2},
    {"I64", TensorType::I64},
    {"I32", TensorType::I32},
    {"I16", TensorType::I16},
    {"I8", TensorType::I8},
    {"U64", TensorType::U64},
    {"U32", TensorType::U32},
    {"U16", TensorType::U16},
    {"U8", TensorType::U8},
    {"BOOL", TensorType::BOOL},
}};

/// A tensor's place among the data.
struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t offset_at = 0;  // where the file says so
};

struct Entry {
    FoundTensor tensor;
    Range range;
};

Error malformed(const base::FileMapping& file, std::string_view what, std::uint64_t offset) {
    return formats::malformed(file.path(), what, offset);
}

/// The JSON text of the header.
Result<std::span<const std::byte>> find_header(const base::FileMapping& file) {
    const std::span<const std::byte> bytes = file.bytes();
    if (bytes.size() < size_bytes) {
        return malformed(file, fmt::format("header size needs 8 bytes, but the file has {}", bytes.size()), 0);
    }
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data(), size_bytes);
    if (size > max_header_bytes) {
        return malformed(file, fmt::format("header size is {}; at most {} are allowed", size, max_header_bytes), 0);
    }
    if (size > bytes.size() - size_bytes) {
        const std::uint64_t left = bytes.size() - size_bytes;
        return malformed(file, fmt::format("header size is {}, but the file ends {} bytes on", size, left), 0);
    }
    const std::span<const std::byte> header = bytes.subspan(size_bytes, size);
    if (header.empty() || header.front() != std::byte{'{'}) {
        return malformed(file, "header does not begin with '{'", size_bytes);
    }
    return header;
}

class EntryReader {
  public:
    EntryReader(std::string_view name, const Json& json)
        : json_(json), field_(fmt::format("tensor '{}'", printable(name))) {
        entry_.tensor.name = name;
        entry_.tensor.record_offset = json.offset();
    }

    Result<Entry> read() {
        if (!json_.is(JsonKind::object)) return json_.malformed(field_, "is not an object");
        for (Json member = json_.first(); member.exists(); member = member.next()) {
            if (member.key() == "dtype" || member.key() == "shape" || member.key() == "data_offsets") continue;
            return member.malformed(field_, fmt::format("has an unknown field '{}'", printable(member.key())));
        }
        PUNA_CHECK(read_type());
        PUNA_CHECK(read_shape());
        PUNA_CHECK(read_range());
        return std::move(entry_);
    }

  private:
    std::string part(std::string_view name) const { return fmt::format("{}, {}", field_, name); }

    Result<Json> member(std::string_view name, JsonKind kind, std::string_view kind_name) const {
        const auto found = json_.find(name);
        if (!found) return json_.malformed(field_, fmt::format("has no {}", name));
        if (!found->is(kind)) return found->malformed(part(name), fmt::format("is not {}", kind_name));
        return *found;
    }

    Result<void> read_type() {
        PUNA_TRY(const Json dtype, member("dtype", JsonKind::string, "a string"));
        const auto* found =
            std::find_if(types.begin(), types.end(), [&](const auto& type) { return type.first == dtype.string(); });
        if (found == types.end()) {
            Error error = dtype.malformed(
                part("dtype"), fmt::format("is '{}', a type that puna does not know", printable(dtype.string())));
            error.code = ErrorCode::unsupported_tensor_type;
            error.hint = "take the model in another type, such as BF16 or F16";
            return error;
        }
        entry_.tensor.type = found->second;
        return {};
    }

    Result<void> read_shape() {
        PUNA_TRY(const Json shape, member("shape", JsonKind::array, "an array"));
        if (shape.size() > max_dimensions) {
            const auto problem = fmt::format("has {} dimensions; at most {} are allowed", shape.size(), max_dimensions);
            return shape.malformed(part("shape"), problem);
        }
        elements_ = 1;
        for (Json dimension = shape.first(); dimension.exists(); dimension = dimension.next()) {
            const auto size = dimension.unsigned_integer();
            if (!size) {
                return dimension.malformed(part("shape"), fmt::format("holds {}, which is no size", dimension.text()));
            }
            const auto product = base::checked_multiply(elements_, *size);
            if (!product || *product > std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
                return dimension.malformed(part("shape"),
                                           fmt::format("holds {}: the number of elements overflows", *size));
            }
            elements_ = *product;
            entry_.tensor.shape.push_back(*size);
        }
        return {};
    }

    static std::optional<Range> range_of(const Json& offsets) {
        if (offsets.size() != 2) return std::nullopt;
        const auto begin = offsets.first().unsigned_integer();
        const auto end = offsets.first().next().unsigned_integer();
        if (!begin || !end) return std::nullopt;
        return Range{*begin, *end, offsets.offset()};
    }

    Result<void> read_range() {
        PUNA_TRY(const Json offsets, member("data_offsets", JsonKind::array, "an array"));
        const auto range = range_of(offsets);
        if (!range) {
            return offsets.malformed(part("data_offsets"), fmt::format("is {}, not two offsets", offsets.text()));
        }
        if (range->begin > range->end) {
            return offsets.malformed(part("data_offsets"),
                                     fmt::format("is {}: it begins behind its end", offsets.text()));
        }
        const auto bytes = base::checked_multiply(elements_, quant::type_info(entry_.tensor.type).block_bytes);
        if (!bytes || range->end - range->begin != *bytes) {
            const auto needed = bytes ? fmt::format("{}", *bytes) : std::string("more than 2^64");
            return offsets.malformed(part("data_offsets"),
                                     fmt::format("is {}: {} bytes, but shape and dtype make {}", offsets.text(),
                                                 range->end - range->begin, needed));
        }
        entry_.range = *range;
        return {};
    }

    Json json_;
    std::string field_;
    std::uint64_t elements_ = 0;
    Entry entry_;
};

/// Nothing in it is needed.
Result<void> check_metadata(const Json& json) {
    if (!json.is(JsonKind::object)) return json.malformed(metadata_key, "is not an object");
    for (Json value = json.first(); value.exists(); value = value.next()) {
        if (value.is(JsonKind::string)) continue;
        return value.malformed(metadata_key,
                               fmt::format("holds a value under '{}' that is no string", printable(value.key())));
    }
    return {};
}

/// Gives the tensors their bytes: they must fill the data, in some order, without gaps.
Result<void> place(std::vector<Entry>& entries, std::uint64_t data_begin,
                   const std::shared_ptr<const base::FileMapping>& mapping) {
    std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
        return std::pair(a.range.begin, a.range.end) < std::pair(b.range.begin, b.range.end);
    });
    const auto data = mapping->bytes().subspan(data_begin);
    std::uint64_t filled = 0;
    for (Entry& entry : entries) {
        const auto& [begin, end, at] = entry.range;
        const auto field = fmt::format("tensor '{}', data_offsets", printable(entry.tensor.name));
        if (begin != filled) {
            const auto problem = begin < filled ? "within the data of another tensor" : "behind a gap";
            return malformed(*mapping,
                             fmt::format("{} begins at {}, {} (data are used up to {})", field, begin, problem, filled),
                             at);
        }
        if (end > data.size()) {
            return malformed(*mapping,
                             fmt::format("{} ends at {}, but the file holds {} bytes of data", field, end, data.size()),
                             at);
        }
        entry.tensor.parts.push_back({data.subspan(begin, end - begin), mapping});
        filled = end;
    }
    if (filled != data.size()) {
        return malformed(*mapping,
                         fmt::format("data: the file holds {} bytes, but its tensors take {}", data.size(), filled),
                         data_begin + filled);
    }
    return {};
}

Result<TensorFile> read_mapped(const std::shared_ptr<const base::FileMapping>& mapping) {
    PUNA_TRY(const auto header, find_header(*mapping));
    PUNA_TRY(const JsonDocument document,
             JsonDocument::parse(header, mapping->path(), "header", size_bytes, max_values));
    TensorFile file = {.mapping = mapping, .format = "safetensors", .tensors = {}};
    std::vector<Entry> entries;
    const Json root = document.root();
    entries.reserve(std::min(root.size(), max_tensors));
    for (Json member = root.first(); member.exists(); member = member.next()) {
        if (member.key() == metadata_key) {
            PUNA_CHECK(check_metadata(member));
            continue;
        }
        if (entries.size() == max_tensors) {
            return member.malformed("header", fmt::format("holds more than {} tensors", max_tensors));
        }
        PUNA_TRY(Entry entry, EntryReader(member.key(), member).read());
        entries.push_back(std::move(entry));
    }
    PUNA_CHECK(place(entries, size_bytes + header.size(), mapping));
    file.tensors.reserve(entries.size());
    for (Entry& entry : entries)
        file.tensors.push_back(std::move(entry.tensor));
    return file;
}

}  // namespace

Result<TensorFile> read_file(const std::shared_ptr<const base::FileMapping>& mapping) {
    return base::unless_changed(*mapping, read_mapped(mapping));
}

}  // namespace puna::formats::safetensors
