// The GGUF format's constants, and the limits that puna sets to what it reads (docs/formats/gguf.md).
//
// Source: the GGUF specification of the ggml project; versions 1 and 2 differ from 3 in the width of counts alone.
#pragma once

#include <cstdint>
#include <string_view>

namespace puna::formats::gguf {

inline constexpr std::string_view magic = "GGUF";
inline constexpr std::uint32_t oldest_version = 1;
inline constexpr std::uint32_t newest_version = 3;

/// Types of metadata values.
enum class ValueType : std::uint32_t {
    uint8 = 0,
    int8 = 1,
    uint16 = 2,
    int16 = 3,
    uint32 = 4,
    int32 = 5,
    float32 = 6,
    boolean = 7,
    string = 8,
    array = 9,
    uint64 = 10,
    int64 = 11,
    float64 = 12,
};
inline constexpr std::uint32_t value_type_count = 13;

inline constexpr std::uint32_t default_alignment = 32;
/// Of the keys that say which shard of a model a file is.
inline constexpr std::string_view shard_prefix = "split.";
inline constexpr std::string_view shard_number_key = "split.no";
inline constexpr std::string_view shard_count_key = "split.count";
inline constexpr std::string_view shard_tensors_key = "split.tensors.count";  // of the whole model

// From the specification.
inline constexpr std::uint64_t max_key_bytes = 65'535;
inline constexpr std::uint64_t max_tensor_name_bytes = 64;
inline constexpr std::uint32_t max_dimensions = 4;
inline constexpr std::uint32_t alignment_multiple = 8;

// puna's own, far above what real files hold: they bound time and memory for hostile ones.
inline constexpr std::uint64_t max_keys = 65'536;
inline constexpr std::uint64_t max_tensors = 65'536;
inline constexpr std::uint64_t max_array_elements = std::uint64_t{1} << 24;
inline constexpr std::uint64_t max_metadata_memory = std::uint64_t{256} << 20;  // bytes of all values, once read
inline constexpr std::uint64_t max_alignment = std::uint64_t{1} << 20;
inline constexpr std::uint64_t max_shards = 512;

}  // namespace puna::formats::gguf
