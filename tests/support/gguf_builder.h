// Makes GGUF files in memory: good ones, and ones with a fault at a chosen field.
//
// Nothing is checked here: what is asked for is written, so that a test can build what a hostile hand would.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace puna::support {

/// Ids of value types in the file.
enum class GgufType : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// The bytes of a file, and where its fields are. Fields are named
///   "magic", "version", "n_tensors", "n_kv";
///   "KEY/name_length", "KEY/name", "KEY/type", "KEY/value", and for arrays "KEY/array_type", "KEY/array_count",
///   "KEY/value" (the first element); "TENSOR/name_length", "TENSOR/name", "TENSOR/n_dims", "TENSOR/dim0" (innermost)
///   ..., "TENSOR/tensor_type", "TENSOR/offset", "TENSOR/data"; "metadata_end" is where the tensor table ends.
struct GgufImage {
    std::vector<std::byte> bytes;
    std::map<std::string, std::size_t> fields;  // name -> offset

    std::size_t at(const std::string& field) const;
    /// Overwrites the field's first bytes with `value`.
    template <typename T>
    GgufImage& patch(const std::string& field, T value) {
        static_assert(std::is_trivially_copyable_v<T>);
        std::memcpy(bytes.data() + at(field), &value, sizeof(T));
        return *this;
    }
    GgufImage& patch_text(const std::string& field, std::string_view text);
    GgufImage& truncate(std::size_t size);
    /// Cuts `count` bytes off the end.
    GgufImage& shorten(std::size_t count) { return truncate(bytes.size() - count); }
};

class GgufBuilder {
  public:
    /// `version` decides the width of counts: 1 has 32 bits, all others 64.
    explicit GgufBuilder(std::uint32_t version = 3) : version_(version) {}

    GgufBuilder& u8(std::string_view key, std::uint8_t v) { return scalar(key, GgufType::u8, v); }
    GgufBuilder& i8(std::string_view key, std::int8_t v) { return scalar(key, GgufType::i8, v); }
    GgufBuilder& u16(std::string_view key, std::uint16_t v) { return scalar(key, GgufType::u16, v); }
    GgufBuilder& i16(std::string_view key, std::int16_t v) { return scalar(key, GgufType::i16, v); }
    GgufBuilder& u32(std::string_view key, std::uint32_t v) { return scalar(key, GgufType::u32, v); }
    GgufBuilder& i32(std::string_view key, std::int32_t v) { return scalar(key, GgufType::i32, v); }
    GgufBuilder& u64(std::string_view key, std::uint64_t v) { return scalar(key, GgufType::u64, v); }
    GgufBuilder& i64(std::string_view key, std::int64_t v) { return scalar(key, GgufType::i64, v); }
    GgufBuilder& f32(std::string_view key, float v) { return scalar(key, GgufType::f32, v); }
    GgufBuilder& f64(std::string_view key, double v) { return scalar(key, GgufType::f64, v); }
    GgufBuilder& boolean(std::string_view key, bool v) {
        return scalar(key, GgufType::boolean, static_cast<std::uint8_t>(v));
    }
    GgufBuilder& string(std::string_view key, std::string_view value);

    /// An array of numbers that lie in the file as they do in `values`; `type` names their type.
    template <typename T>
    GgufBuilder& array(std::string_view key, GgufType type, const std::vector<T>& values) {
        Value value = array_value(key, type, values.size());
        for (const T v : values)
            append(value.payload, v);
        return set(std::move(value));
    }
    GgufBuilder& strings(std::string_view key, const std::vector<std::string>& values);

    /// Any value type with any bytes for its value.
    GgufBuilder& raw(std::string_view key, std::uint32_t type, const std::vector<std::byte>& value);
    /// A second pair of a key that is there already; the other methods replace.
    GgufBuilder& repeat(std::string_view key);
    GgufBuilder& remove(std::string_view key);

    /// `dimensions` innermost first, as in the file. The data go behind the others, at the next multiple of the
    /// alignment.
    GgufBuilder& tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions, std::uint32_t type,
                        const std::vector<std::byte>& data);
    GgufBuilder& f32_tensor(std::string_view name, const std::vector<std::uint64_t>& dimensions,
                            const std::vector<float>& values);
    GgufBuilder& remove_tensor(std::string_view name);
    bool has_tensor(std::string_view name) const;

    /// Padding of the data section; does not write the key general.alignment.
    GgufBuilder& alignment(std::uint32_t alignment);

    GgufImage build() const;

  private:
    struct Value {
        std::string key;
        GgufType type = GgufType::u8;
        bool raw = false;  // the payload is all that follows the type
        std::optional<GgufType> array_type = {};
        std::uint64_t count = 0;         // elements or, for a string, bytes
        std::vector<std::byte> payload;  // what follows; strings in arrays are kept in `texts`
        std::vector<std::string> texts = {};
    };
    struct Tensor {
        std::string name;
        std::vector<std::uint64_t> dimensions;
        std::uint32_t type;
        std::vector<std::byte> data;
    };
    class Writer;

    template <typename T>
    static void append(std::vector<std::byte>& out, T value) {
        const auto* bytes = reinterpret_cast<const std::byte*>(&value);
        out.insert(out.end(), bytes, bytes + sizeof(T));
    }
    template <typename T>
    GgufBuilder& scalar(std::string_view key, GgufType type, T v) {
        Value value{.key = std::string(key), .type = type, .payload = {}};
        append(value.payload, v);
        return set(std::move(value));
    }
    static Value array_value(std::string_view key, GgufType type, std::size_t count);
    GgufBuilder& set(Value value);  // replaces the key's value, in place

    std::uint32_t version_;
    std::uint32_t alignment_ = 32;
    std::vector<Value> values_;
    std::vector<Tensor> tensors_;
};

}  // namespace puna::support
