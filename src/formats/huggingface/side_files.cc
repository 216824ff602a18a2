#include "formats/huggingface/side_files.h"

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "base/file_mapping.h"
#include "base/try.h"
#include "formats/printable.h"

namespace puna::formats::huggingface {
namespace {

// puna's own, far above what real files hold.
constexpr std::size_t max_text_bytes = std::size_t{16} << 20;

/// The array of the elements that `get` gives; nullopt if one is of another kind.
template <typename T, typename Get>
std::optional<MetadataValue> array_of(const Json& array, Get&& get) {
    std::vector<T> values;
    values.reserve(array.size());
    for (Json element = array.first(); element.exists(); element = element.next()) {
        const std::optional<T> value = get(element);
        if (!value) return std::nullopt;
        values.push_back(*value);
    }
    return MetadataArray(std::move(values));
}

std::optional<MetadataValue> array_value(const Json& array) {
    if (auto values = array_of<std::uint64_t>(array, [](const Json& e) { return e.unsigned_integer(); })) return values;
    if (auto values = array_of<std::int64_t>(array, [](const Json& e) { return e.integer(); })) return values;
    if (auto values = array_of<double>(
            array, [](const Json& e) { return e.is(JsonKind::number) ? std::optional(e.number()) : std::nullopt; })) {
        return values;
    }
    if (auto values = array_of<bool>(
            array, [](const Json& e) { return e.is(JsonKind::boolean) ? std::optional(e.boolean()) : std::nullopt; })) {
        return values;
    }
    return array_of<std::string>(array, [](const Json& e) {
        return e.is(JsonKind::string) ? std::optional(std::string(e.string())) : std::nullopt;
    });
}

std::optional<MetadataValue> value_of(const Json& json) {
    switch (json.kind()) {
        case JsonKind::boolean: return json.boolean();
        case JsonKind::string: return std::string(json.string());
        case JsonKind::array: return array_value(json);
        case JsonKind::number:
            if (const auto number = json.unsigned_integer()) return *number;
            if (const auto number = json.integer()) return *number;
            return json.number();
        case JsonKind::null:
        case JsonKind::object: break;
    }
    return std::nullopt;
}

}  // namespace

bool SideFiles::exists(std::string_view name) const {
    std::error_code ignored;
    return std::filesystem::exists(path(name), ignored);
}

Result<std::optional<JsonDocument>> SideFiles::read_json(std::string_view name) const {
    if (!exists(name)) return std::optional<JsonDocument>();
    PUNA_TRY(const auto mapping, base::FileMapping::open(path(name)));
    PUNA_TRY(JsonDocument document, JsonDocument::parse(mapping->bytes(), mapping->path(), "file"));
    PUNA_CHECK(mapping->check());
    return std::optional(std::move(document));
}

Result<std::optional<std::string>> SideFiles::read_text(std::string_view name) const {
    if (!exists(name)) return std::optional<std::string>();
    PUNA_TRY(const auto mapping, base::FileMapping::open(path(name)));
    const auto bytes = mapping->bytes();
    if (bytes.size() > max_text_bytes) {
        return Error{ErrorCode::file_malformed,
                     fmt::format("{}: the text has {} bytes; at most {} are allowed (at byte 0)",
                                 printable_path(mapping->path()), bytes.size(), max_text_bytes),
                     "the file is damaged, or not what its name says"};
    }
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    PUNA_CHECK(mapping->check());
    if (!is_utf8(text)) {
        return Error{ErrorCode::file_malformed,
                     fmt::format("{}: the text is not UTF-8 (at byte 0)", printable_path(mapping->path())),
                     "the file is damaged, or not what its name says"};
    }
    return std::optional(std::move(text));
}

// Calls itself at most JsonDocument::max_depth deep.
void add_values(const Json& object, const std::string& prefix, Metadata& metadata) {
    for (Json member = object.first(); member.exists(); member = member.next()) {
        std::string key = prefix + std::string(member.key());
        if (member.is(JsonKind::null)) continue;
        metadata.offsets[key] = member.offset();
        if (member.is(JsonKind::object)) add_values(member, key + '.', metadata);
        if (auto value = value_of(member)) {
            metadata.values[std::move(key)] = std::move(*value);
        } else {
            constexpr std::size_t words = 60;
            metadata.unheld[std::move(key)] = member.text(words);
        }
    }
}

}  // namespace puna::formats::huggingface
