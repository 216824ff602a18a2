#include "formats/gguf/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "base/checked.h"
#include "base/try.h"
#include "formats/gguf/layout.h"
#include "formats/gguf/vocabulary_keys.h"
#include "formats/printable.h"

namespace puna::formats::gguf {
namespace {

constexpr std::string_view alignment_key = "general.alignment";

Error cannot_write(std::string_view what) {
    return {ErrorCode::invalid_argument, fmt::format("a GGUF file cannot hold {}", what), ""};
}

std::uint64_t padding(std::uint64_t offset, std::uint64_t alignment) {
    return (alignment - offset % alignment) % alignment;
}

/// Bytes of a file's head, one field after another.
class Head {
  public:
    template <typename T>
    void number(T value) {
        const auto* bytes = reinterpret_cast<const std::byte*>(&value);
        bytes_.insert(bytes_.end(), bytes, bytes + sizeof(T));
    }
    void text(std::string_view value) {
        number<std::uint64_t>(value.size());
        raw(value);
    }
    void raw(std::string_view value) {
        const auto* bytes = reinterpret_cast<const std::byte*>(value.data());
        bytes_.insert(bytes_.end(), bytes, bytes + value.size());
    }
    void pad(std::uint64_t alignment) { bytes_.resize(bytes_.size() + padding(bytes_.size(), alignment)); }
    std::vector<std::byte> take() { return std::move(bytes_); }

  private:
    std::vector<std::byte> bytes_;
};

// ---- Values ----

/// The type for values that no file has stored yet.
ValueType natural_type(const std::vector<std::uint64_t>& values) {
    const bool narrow = std::all_of(values.begin(), values.end(),
                                    [](std::uint64_t v) { return v <= std::numeric_limits<std::uint32_t>::max(); });
    return narrow ? ValueType::uint32 : ValueType::uint64;
}
ValueType natural_type(const std::vector<std::int64_t>& values) {
    const bool narrow = std::all_of(values.begin(), values.end(), [](std::int64_t v) {
        return v >= std::numeric_limits<std::int32_t>::min() && v <= std::numeric_limits<std::int32_t>::max();
    });
    return narrow ? ValueType::int32 : ValueType::int64;
}
ValueType natural_type(const std::vector<double>& values) {
    const bool narrow = std::all_of(values.begin(), values.end(), [](double v) {
        return std::isnan(v) || std::isinf(v) ||
               (std::abs(v) <= std::numeric_limits<float>::max() && static_cast<double>(static_cast<float>(v)) == v);
    });
    return narrow ? ValueType::float32 : ValueType::float64;
}
ValueType natural_type(const std::vector<bool>&) {
    return ValueType::boolean;
}
ValueType natural_type(const std::vector<std::string>&) {
    return ValueType::string;
}

/// Whether T, a type of the file, holds `value` as it is. Doubles may be rounded to F32, as any F32 in a file was.
template <typename T, typename Wide>
bool holds(Wide value) {
    if constexpr (std::is_floating_point_v<T> && std::is_floating_point_v<Wide>) {
        return true;
    } else if constexpr (std::is_floating_point_v<T>) {
        constexpr std::int64_t exact = std::int64_t{1} << 24;  // F32 has all integers up to here
        return std::cmp_less_equal(value, exact) && std::cmp_greater_equal(value, -exact);
    } else if constexpr (std::is_floating_point_v<Wide>) {
        // 2^53 at most, so that the conversion is exact and defined.
        return std::abs(value) <= 0x1p53 && value == std::floor(value) &&
               std::in_range<T>(static_cast<std::int64_t>(value));
    } else {
        return std::in_range<T>(value);
    }
}

/// Writes elements of one type; false if one does not fit.
template <typename T, typename Wide>
bool put_numbers(Head& head, const std::vector<Wide>& values) {
    for (const Wide value : values) {
        if (!holds<T>(value)) return false;
        head.number(static_cast<T>(value));
    }
    return true;
}

template <typename Wide>
bool put_values(Head& head, ValueType type, const std::vector<Wide>& values) {
    switch (type) {
        case ValueType::uint8: return put_numbers<std::uint8_t>(head, values);
        case ValueType::int8: return put_numbers<std::int8_t>(head, values);
        case ValueType::uint16: return put_numbers<std::uint16_t>(head, values);
        case ValueType::int16: return put_numbers<std::int16_t>(head, values);
        case ValueType::uint32: return put_numbers<std::uint32_t>(head, values);
        case ValueType::int32: return put_numbers<std::int32_t>(head, values);
        case ValueType::uint64: return put_numbers<std::uint64_t>(head, values);
        case ValueType::int64: return put_numbers<std::int64_t>(head, values);
        case ValueType::float32: return put_numbers<float>(head, values);
        case ValueType::float64: return put_numbers<double>(head, values);
        case ValueType::boolean:
        case ValueType::string:
        case ValueType::array: return false;
    }
    return false;
}
bool put_values(Head& head, ValueType type, const std::vector<bool>& values) {
    if (type != ValueType::boolean) return false;
    for (const bool value : values)
        head.number<std::uint8_t>(value ? 1 : 0);
    return true;
}
bool put_values(Head& head, ValueType type, const std::vector<std::string>& values) {
    if (type != ValueType::string) return false;
    for (const std::string& value : values)
        head.text(value);
    return true;
}

// ---- Pairs ----

class PairWriter {
  public:
    PairWriter(Head& head, const Metadata& metadata) : head_(head), metadata_(metadata) {}

    Result<void> write(const std::string& key, const MetadataValue& value) {
        return std::visit(
            [&](const auto& v) -> Result<void> {
                using Value = std::decay_t<decltype(v)>;
                if constexpr (std::is_same_v<Value, MetadataArray>) {
                    return std::visit([&](const auto& elements) { return array(key, elements); }, v);
                } else {
                    return scalar(key, std::vector<Value>{v});
                }
            },
            value);
    }

    template <typename T>
    Result<void> array(const std::string& key, const std::vector<T>& elements) {
        PUNA_CHECK(put_key(key));
        if (elements.size() > max_array_elements) {
            return cannot_write(fmt::format("{} elements under key '{}'", elements.size(), printable(key)));
        }
        const ValueType type = type_of(key, elements);
        head_.number(ValueType::array);
        head_.number(type);
        head_.number<std::uint64_t>(elements.size());
        return check(key, put_values(head_, type, elements));
    }

  private:
    template <typename T>
    Result<void> scalar(const std::string& key, const std::vector<T>& value) {
        PUNA_CHECK(put_key(key));
        const ValueType type = type_of(key, value);
        head_.number(type);
        return check(key, put_values(head_, type, value));
    }

    Result<void> put_key(const std::string& key) {
        if (key.empty() || key.size() > max_key_bytes || !is_utf8(key)) {
            return cannot_write(fmt::format("the key '{}'", printable(key)));
        }
        head_.text(key);
        return {};
    }

    template <typename T>
    ValueType type_of(const std::string& key, const std::vector<T>& values) const {
        const auto stored = metadata_.stored_types.find(key);
        return stored == metadata_.stored_types.end() ? natural_type(values) : static_cast<ValueType>(stored->second);
    }

    Result<void> check(const std::string& key, bool fits) const {
        if (fits) return {};
        return cannot_write(fmt::format("the value of key '{}' in the type that is named for it", printable(key)));
    }

    Head& head_;
    const Metadata& metadata_;
};

/// A key, with its value in the metadata or, if that is null, in the vocabulary.
struct Pair {
    std::uint64_t offset;  // in the file that was read
    std::string key;
    const MetadataValue* value;
};

bool in_vocabulary(std::string_view key, const text::Vocabulary& vocabulary) {
    return (key == tokens_key && !vocabulary.tokens.empty()) || (key == scores_key && !vocabulary.scores.empty()) ||
           (key == kinds_key && !vocabulary.kinds.empty()) || (key == merges_key && !vocabulary.merges.empty());
}

std::vector<Pair> collect_pairs(const Metadata& metadata, const text::Vocabulary& vocabulary) {
    constexpr std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
    const auto offset_of = [&](const std::string& key) {
        const auto found = metadata.offsets.find(key);
        return found == metadata.offsets.end() ? last : found->second;
    };
    std::vector<Pair> pairs;
    for (const auto& [key, value] : metadata.values) {
        if (!key.starts_with(shard_prefix)) pairs.push_back({offset_of(key), key, &value});
    }
    for (const std::string_view view : {tokens_key, scores_key, kinds_key, merges_key}) {
        const std::string key(view);
        // An array may also be empty in the file: then its key alone tells that it was there.
        const bool was_read = metadata.stored_types.contains(key);
        if (metadata.find(key) == nullptr && (was_read || in_vocabulary(key, vocabulary))) {
            pairs.push_back({offset_of(key), key, nullptr});
        }
    }
    std::sort(pairs.begin(), pairs.end(),
              [](const Pair& a, const Pair& b) { return std::tie(a.offset, a.key) < std::tie(b.offset, b.key); });
    return pairs;
}

Result<void> write_vocabulary_array(PairWriter& writer, const std::string& key, const text::Vocabulary& vocabulary) {
    if (key == tokens_key) return writer.array(key, vocabulary.tokens);
    if (key == merges_key) return writer.array(key, vocabulary.merges);
    if (key == scores_key) {
        return writer.array(key, std::vector<double>(vocabulary.scores.begin(), vocabulary.scores.end()));
    }
    std::vector<std::int64_t> kinds;
    for (const text::TokenKind kind : vocabulary.kinds)
        kinds.push_back(static_cast<std::int64_t>(kind));
    return writer.array(key, kinds);
}

constexpr std::uint64_t shard_keys = 3;

/// In the types that other tools write and expect.
Result<void> write_place(Head& head, const ShardPlace& place) {
    if (place.count > max_shards) {
        return cannot_write(fmt::format("{} shards of a model, more than {}", place.count, max_shards));
    }
    head.text(shard_number_key);
    head.number(ValueType::uint16);
    head.number(static_cast<std::uint16_t>(place.number));
    head.text(shard_count_key);
    head.number(ValueType::uint16);
    head.number(static_cast<std::uint16_t>(place.count));
    head.text(shard_tensors_key);
    head.number(ValueType::int32);
    head.number(static_cast<std::int32_t>(place.tensors));
    return {};
}

// ---- Tensors ----

Result<std::uint64_t> alignment_of(const Metadata& metadata) {
    PUNA_TRY(const auto found, metadata.unsigned_integer(alignment_key));
    const std::uint64_t alignment = found.value_or(default_alignment);
    if (alignment == 0 || alignment % alignment_multiple != 0 || alignment > max_alignment) {
        return cannot_write(fmt::format("an alignment of {}", alignment));
    }
    return alignment;
}

Result<std::uint64_t> data_bytes(const TensorEntry& tensor) {
    const quant::TypeInfo& type = quant::type_info(tensor.type);
    std::optional<std::uint64_t> elements = 1;
    for (const std::uint64_t dimension : tensor.shape) {
        elements = base::checked_multiply(*elements, dimension);
        if (!elements || dimension == 0) break;
    }
    const std::uint64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
    const bool well_formed = elements && *elements > 0 && row % type.block_elements == 0;
    const auto bytes =
        well_formed ? base::checked_multiply(*elements / type.block_elements, type.block_bytes) : std::nullopt;
    const bool named = !tensor.name.empty() && tensor.name.size() <= max_tensor_name_bytes && is_utf8(tensor.name);
    if (!bytes || !named || tensor.shape.size() > max_dimensions || !quant::is_gguf_type(tensor.type)) {
        return cannot_write(
            fmt::format("tensor '{}' with this name and shape in {}", printable(tensor.name), type.name));
    }
    return *bytes;
}

/// The tensor table; fills the layout's sizes. Returns the bytes of the data section, padding included.
Result<std::uint64_t> write_table(Head& head, std::span<const TensorEntry> tensors, FileLayout& layout) {
    std::uint64_t offset = 0;
    for (const TensorEntry& tensor : tensors) {
        PUNA_TRY(const std::uint64_t bytes, data_bytes(tensor));
        head.text(tensor.name);
        head.number(static_cast<std::uint32_t>(tensor.shape.size()));
        for (auto dimension = tensor.shape.rbegin(); dimension != tensor.shape.rend(); ++dimension)
            head.number<std::uint64_t>(*dimension);
        head.number(tensor.type);
        head.number<std::uint64_t>(offset);
        layout.tensor_bytes.push_back(bytes);
        const auto end = base::checked_add(offset, bytes);
        const auto next = end ? base::checked_add(*end, padding(*end, layout.alignment)) : std::nullopt;
        if (!next) return cannot_write(fmt::format("tensor '{}': its end overflows", printable(tensor.name)));
        offset = *next;
    }
    return offset;
}

}  // namespace

Result<FileLayout> lay_out_file(const Metadata& metadata, const text::Vocabulary& vocabulary,
                                std::span<const TensorEntry> tensors, const ShardPlace* place) {
    FileLayout layout;
    PUNA_TRY(layout.alignment, alignment_of(metadata));
    const std::vector<Pair> pairs = collect_pairs(metadata, vocabulary);
    if (tensors.size() > max_tensors) return cannot_write(fmt::format("{} tensors", tensors.size()));
    const std::uint64_t keys = pairs.size() + (place != nullptr ? shard_keys : 0);
    if (keys > max_keys) return cannot_write(fmt::format("{} keys", keys));

    Head head;
    head.raw(magic);
    head.number(newest_version);
    head.number<std::uint64_t>(tensors.size());
    head.number<std::uint64_t>(keys);
    PairWriter writer(head, metadata);
    for (const Pair& pair : pairs) {
        PUNA_CHECK(pair.value != nullptr ? writer.write(pair.key, *pair.value)
                                         : write_vocabulary_array(writer, pair.key, vocabulary));
    }
    if (place != nullptr) PUNA_CHECK(write_place(head, *place));
    PUNA_TRY(const std::uint64_t data_bytes, write_table(head, tensors, layout));
    head.pad(layout.alignment);
    layout.head = head.take();
    const auto total = base::checked_add(layout.head.size(), data_bytes);
    if (!total) return cannot_write("this much data");
    layout.file_bytes = *total;
    return layout;
}

Result<TensorSize> size_of_tensor(const TensorEntry& tensor) {
    PUNA_TRY(const std::uint64_t data, data_bytes(tensor));
    return TensorSize{8 + tensor.name.size() + 4 + 8 * tensor.shape.size() + 4 + 8, data};
}

Writer::Writer(base::AtomicFile file, FileLayout layout) : file_(std::move(file)), layout_(std::move(layout)) {}

Result<Writer> Writer::create(const std::string& path, FileLayout layout) {
    PUNA_TRY(base::AtomicFile file, base::AtomicFile::create(path, base::AtomicFile::Access::as_usual));
    PUNA_CHECK(file.write(layout.head));
    layout.head = {};
    Writer writer(std::move(file), std::move(layout));
    return writer;
}

Result<void> Writer::finish_tensors() {
    while (tensor_ < layout_.tensor_bytes.size() && written_ == layout_.tensor_bytes[tensor_]) {
        const std::vector<std::byte> zeros(padding(written_, layout_.alignment));
        PUNA_CHECK(file_.write(zeros));
        ++tensor_;
        written_ = 0;
    }
    return {};
}

Result<void> Writer::write(std::span<const std::byte> data) {
    while (!data.empty()) {
        assert(tensor_ < layout_.tensor_bytes.size());
        const std::uint64_t count = std::min<std::uint64_t>(data.size(), layout_.tensor_bytes[tensor_] - written_);
        PUNA_CHECK(file_.write(data.first(count)));
        data = data.subspan(count);
        written_ += count;
        PUNA_CHECK(finish_tensors());
    }
    return {};
}

Result<void> Writer::commit() {
    assert(tensor_ == layout_.tensor_bytes.size());
    return file_.commit();
}

}  // namespace puna::formats::gguf
