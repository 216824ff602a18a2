// Metadata: a list of pairs of a key, a value's type, and the value (docs/formats/gguf.md has the byte layout).
#include <fmt/format.h>

#include <string>
#include <type_traits>
#include <utility>

#include "base/try.h"
#include "formats/gguf/layout.h"
#include "formats/gguf/reader.h"
#include "formats/printable.h"

namespace puna::formats::gguf {
namespace {

/// What values may still occupy once read: a hostile file must not make us allocate without bound.
class Budget {
  public:
    bool take(std::uint64_t bytes) {
        if (bytes > left_) return false;
        left_ -= bytes;
        return true;
    }

  private:
    std::uint64_t left_ = max_metadata_memory;
};

/// The type that values of type T are kept in.
template <typename T>
using Widened = std::conditional_t<std::is_floating_point_v<T>, double,
                                   std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>>;

class MetadataReader {
  public:
    explicit MetadataReader(Cursor& cursor) : cursor_(cursor) {}

    Result<void> read_pair(std::uint64_t index, Metadata& metadata) {
        const Field unnamed{"key", {}, index, "name", {}};
        const std::uint64_t start = cursor_.offset();
        PUNA_TRY(const std::string_view key, cursor_.string(unnamed, max_key_bytes));
        if (key.empty()) return cursor_.malformed(unnamed, "is empty", start);
        if (!is_utf8(key)) return cursor_.malformed(unnamed.with("name"), "is not UTF-8", start);
        const Field field{"key", key, index, "value", {}};
        PUNA_CHECK(take(field, 2 * key.size() + 192));  // the maps' nodes
        const std::uint64_t type_offset = cursor_.offset();
        PUNA_TRY(const auto type_id, cursor_.number<std::uint32_t>(field.with("value type")));
        const std::uint64_t value_offset = cursor_.offset();
        PUNA_TRY(auto value, read_value(field, type_id, type_offset));
        const bool is_array = static_cast<ValueType>(type_id) == ValueType::array;
        metadata.stored_types.emplace(std::string(key), is_array ? element_type_ : type_id);
        if (!metadata.values.emplace(std::string(key), std::move(value)).second) {
            return cursor_.malformed(field.with("name"), "occurs twice", start);
        }
        metadata.offsets.emplace(std::string(key), value_offset);
        return {};
    }

  private:
    Result<MetadataValue> read_value(const Field& field, std::uint32_t type_id, std::uint64_t type_offset) {
        switch (static_cast<ValueType>(type_id)) {
            case ValueType::uint8: return scalar<std::uint8_t>(field);
            case ValueType::int8: return scalar<std::int8_t>(field);
            case ValueType::uint16: return scalar<std::uint16_t>(field);
            case ValueType::int16: return scalar<std::int16_t>(field);
            case ValueType::uint32: return scalar<std::uint32_t>(field);
            case ValueType::int32: return scalar<std::int32_t>(field);
            case ValueType::uint64: return scalar<std::uint64_t>(field);
            case ValueType::int64: return scalar<std::int64_t>(field);
            case ValueType::float32: return scalar<float>(field);
            case ValueType::float64: return scalar<double>(field);
            case ValueType::boolean: {
                PUNA_TRY(const bool value, boolean(field));
                return MetadataValue(value);
            }
            case ValueType::string: {
                PUNA_TRY(auto value, string(field));
                return MetadataValue(std::move(value));
            }
            case ValueType::array: return array(field);
        }
        return unknown_type(field.with("value type"), type_id, type_offset);
    }

    Result<MetadataValue> array(const Field& field) {
        const std::uint64_t type_offset = cursor_.offset();
        PUNA_TRY(const auto type_id, cursor_.number<std::uint32_t>(field.with("array type")));
        element_type_ = type_id;
        const std::uint64_t count_offset = cursor_.offset();
        PUNA_TRY(const std::uint64_t count, cursor_.count(field.with("array count")));
        if (count > max_array_elements) {
            const auto problem = fmt::format("is {}; at most {} are allowed", count, max_array_elements);
            return cursor_.malformed(field.with("array count"), problem, count_offset);
        }
        switch (static_cast<ValueType>(type_id)) {
            case ValueType::uint8: return numbers<std::uint8_t>(field, count, count_offset);
            case ValueType::int8: return numbers<std::int8_t>(field, count, count_offset);
            case ValueType::uint16: return numbers<std::uint16_t>(field, count, count_offset);
            case ValueType::int16: return numbers<std::int16_t>(field, count, count_offset);
            case ValueType::uint32: return numbers<std::uint32_t>(field, count, count_offset);
            case ValueType::int32: return numbers<std::int32_t>(field, count, count_offset);
            case ValueType::uint64: return numbers<std::uint64_t>(field, count, count_offset);
            case ValueType::int64: return numbers<std::int64_t>(field, count, count_offset);
            case ValueType::float32: return numbers<float>(field, count, count_offset);
            case ValueType::float64: return numbers<double>(field, count, count_offset);
            case ValueType::boolean: return booleans(field, count, count_offset);
            case ValueType::string: return strings(field, count, count_offset);
            case ValueType::array:
                return cursor_.malformed(field.with("array type"), "is array: puna reads no arrays of arrays",
                                         type_offset);
        }
        return unknown_type(field.with("array type"), type_id, type_offset);
    }

    template <typename T>
    Result<MetadataValue> scalar(const Field& field) {
        PUNA_TRY(const T value, cursor_.number<T>(field));
        return MetadataValue(static_cast<Widened<T>>(value));
    }

    Result<bool> boolean(const Field& field) {
        const std::uint64_t at = cursor_.offset();
        PUNA_TRY(const auto value, cursor_.number<std::uint8_t>(field));
        if (value > 1) return cursor_.malformed(field, fmt::format("is {}; a bool is 0 or 1", value), at);
        return value == 1;
    }

    Result<std::string> string(const Field& field) {
        const std::uint64_t at = cursor_.offset();
        PUNA_TRY(const std::string_view value, cursor_.string(field, max_metadata_memory));
        if (!budget_.take(value.size())) return over_budget(field, at);
        return std::string(value);
    }

    template <typename T>
    Result<MetadataValue> numbers(const Field& field, std::uint64_t count, std::uint64_t count_offset) {
        using Wide = Widened<T>;
        PUNA_CHECK(check_count(field, count, count_offset, sizeof(T), sizeof(Wide)));
        PUNA_TRY(const auto bytes, cursor_.raw(field, count * sizeof(T)));
        std::vector<Wide> values(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            T value;
            std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
            values[i] = static_cast<Wide>(value);
        }
        return MetadataValue(MetadataArray(std::move(values)));
    }

    Result<MetadataValue> booleans(const Field& field, std::uint64_t count, std::uint64_t count_offset) {
        PUNA_CHECK(check_count(field, count, count_offset, 1, 1));
        std::vector<bool> values(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            PUNA_TRY(values[i], boolean(field.with("element", i)));
        }
        return MetadataValue(MetadataArray(std::move(values)));
    }

    Result<MetadataValue> strings(const Field& field, std::uint64_t count, std::uint64_t count_offset) {
        PUNA_CHECK(check_count(field, count, count_offset, cursor_.count_bytes(), sizeof(std::string)));
        std::vector<std::string> values;
        values.reserve(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            PUNA_TRY(auto value, string(field.with("element", i)));
            values.push_back(std::move(value));
        }
        return MetadataValue(MetadataArray(std::move(values)));
    }

    /// Before anything is allocated: the file holds `count` elements of at least `file_bytes` each, and the budget has
    /// `memory_bytes` for each.
    Result<void> check_count(const Field& field, std::uint64_t count, std::uint64_t count_offset,
                             std::uint64_t file_bytes, std::uint64_t memory_bytes) {
        if (count > cursor_.remaining() / file_bytes) {
            const auto problem = fmt::format("is {}, but the file ends {} bytes on", count, cursor_.remaining());
            return cursor_.malformed(field.with("array count"), problem, count_offset);
        }
        if (!budget_.take(count * memory_bytes)) return over_budget(field.with("array count"), count_offset);
        return {};
    }

    Result<void> take(const Field& field, std::uint64_t bytes) {
        if (!budget_.take(bytes)) return over_budget(field, cursor_.offset());
        return {};
    }

    Error over_budget(const Field& field, std::uint64_t offset) const {
        const auto problem =
            fmt::format("brings the metadata over {} bytes, the most that puna reads", max_metadata_memory);
        return cursor_.malformed(field, problem, offset);
    }

    Error unknown_type(const Field& field, std::uint32_t type_id, std::uint64_t offset) const {
        const auto problem = fmt::format("is {}; known are 0 to {}", type_id, value_type_count - 1);
        return cursor_.malformed(field, problem, offset);
    }

    Cursor& cursor_;
    Budget budget_;
    std::uint32_t element_type_ = 0;  // of the array read last
};

}  // namespace

Result<Metadata> read_metadata(Cursor& cursor, std::uint64_t count) {
    Metadata metadata;
    MetadataReader reader(cursor);
    for (std::uint64_t i = 0; i < count; ++i) {
        PUNA_CHECK(reader.read_pair(i, metadata));
    }
    return metadata;
}

}  // namespace puna::formats::gguf
