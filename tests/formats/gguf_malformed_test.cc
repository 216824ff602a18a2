// Files that a hostile hand would make, each built from a good one: every one gives a typed error that names the field
// and its offset, soon, and without a large allocation.
//
// This program replaces operator new to see the largest allocation.
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>
#include <new>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "formats/largest_allocation.h"
#include "formats/malformed_file.h"
#include "formats/reading.h"

namespace puna::formats {

std::atomic<std::size_t> largest_allocation{0};

}  // namespace puna::formats

namespace {

using puna::formats::largest_allocation;

void* counted_allocation(std::size_t size) noexcept {
    std::size_t seen = largest_allocation.load();
    while (size > seen && !largest_allocation.compare_exchange_weak(seen, size)) {
    }
    return std::malloc(size == 0 ? 1 : size);
}

void* counted_allocation_or_throw(std::size_t size) {
    if (void* memory = counted_allocation(size)) return memory;
    throw std::bad_alloc();
}

}  // namespace

void* operator new(std::size_t size) {
    return counted_allocation_or_throw(size);
}
void* operator new[](std::size_t size) {
    return counted_allocation_or_throw(size);
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return counted_allocation(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return counted_allocation(size);
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete[](void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, const std::nothrow_t&) noexcept {
    std::free(memory);
}

namespace puna::formats {
namespace {

using support::GgufBuilder;
using support::GgufImage;
using support::GgufType;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr std::uint64_t huge = ~std::uint64_t{0};

constexpr std::size_t gguf_allowance = std::size_t{1} << 20;

struct MalformedGguf {
    const char* name;
    std::function<GgufImage()> make;
    std::string says;  // the field, and what is wrong with it
    ErrorCode code = ErrorCode::file_malformed;
};

void PrintTo(const MalformedGguf& malformed, std::ostream* out) {
    *out << malformed.name;
}

GgufImage good() {
    return good_builder().build();
}

/// A good file with `value` written over a field.
template <typename T>
std::function<GgufImage()> patched(const char* field, T value) {
    return [=] { return good().patch(field, value); };
}
std::function<GgufImage()> changed(const std::function<void(GgufBuilder&)>& change) {
    return [=] {
        GgufBuilder builder = good_builder();
        change(builder);
        return builder.build();
    };
}
/// A good file whose first tensor has other dimensions in its table.
std::function<GgufImage()> with_dimensions(const std::vector<std::uint64_t>& dimensions, std::uint32_t type = 0) {
    return changed([=](GgufBuilder& b) {
        b.remove_tensor("norm").tensor("shaped", dimensions, type, std::vector<std::byte>(64));
    });
}

const std::vector<MalformedGguf>& gguf_cases() {
    static const std::string long_key(65'536, 'k');
    static const std::vector<MalformedGguf> list = {
        // Header
        {"shorter_than_a_header", [] { return good().truncate(20); }, "header, n_kv needs 8 bytes"},
        {"shorter_than_the_magic", [] { return good().truncate(3); }, "header, magic"},
        {"bad_magic", patched("magic", std::uint8_t{'X'}), "header, magic is 'XGUF'", ErrorCode::unsupported_format},
        {"version_0", patched("version", 0U), "header, version is 0"},
        {"version_4", patched("version", 4U), "header, version is 4", ErrorCode::unsupported_format},
        {"version_byte_swapped", patched("version", 3U << 24), "header, version 3 is stored in big-endian",
         ErrorCode::unsupported_format},
        {"n_tensors_max", patched("n_tensors", huge), "header, n_tensors is 18446744073709551615"},
        {"n_kv_max", patched("n_kv", huge), "header, n_kv is 18446744073709551615"},
        {"n_tensors_beyond_the_file", patched("n_tensors", std::uint64_t{60'000}), "header, n_tensors is 60000"},
        {"n_kv_beyond_the_file", patched("n_kv", std::uint64_t{60'000}), "header, n_kv is 60000"},
        {"n_kv_one_too_many", patched("n_kv", std::uint64_t{14}), "tensor 0, name"},
        // Keys and values
        {"key_of_length_0", patched("a.bool/name_length", std::uint64_t{0}), "key 3, name is empty"},
        {"key_of_length_2_63", patched("a.bool/name_length", std::uint64_t{1} << 63),
         "key 3, name has a length of 9223372036854775808"},
        {"key_longer_than_the_file", patched("a.bool/name_length", std::uint64_t{60'000}),
         "key 3, name has a length of 60000"},
        {"key_over_the_limit", changed([](GgufBuilder& b) { b.u32(long_key, 1); }), "name has a length of 65536"},
        {"key_not_utf8", patched("a.bool/name", std::uint8_t{0xFF}), "key 3, name is not UTF-8"},
        {"key_overlong_utf8", patched("a.bool/name", std::uint16_t{0x80C0}), "key 3, name is not UTF-8"},
        {"key_duplicate", changed([](GgufBuilder& b) { b.repeat("a.bool"); }), "key 'a.bool', name occurs twice"},
        {"unknown_value_type", patched("a.bool/type", 13U), "key 'a.bool', value type is 13"},
        {"unknown_value_type_max", patched("a.bool/type", ~0U), "key 'a.bool', value type is 4294967295"},
        {"string_past_the_end", patched("general.name/value_length", std::uint64_t{100'000}),
         "key 'general.name', value has a length of 100000"},
        {"string_length_max", patched("general.name/value_length", huge), "key 'general.name', value has a length of"},
        {"array_count_2_61", patched("a.numbers/array_count", std::uint64_t{1} << 61),
         "key 'a.numbers', array count is 2305843009213693952"},
        {"array_count_beyond_the_file", patched("a.numbers/array_count", std::uint64_t{1} << 20),
         "key 'a.numbers', array count is 1048576"},
        {"string_array_count_beyond_the_file", patched("tokenizer.ggml.tokens/array_count", std::uint64_t{1} << 24),
         "key 'tokenizer.ggml.tokens', array count is 16777216"},
        {"array_of_arrays", patched("a.numbers/array_type", 9U), "key 'a.numbers', array type is array"},
        {"array_of_unknown_type", patched("a.numbers/array_type", 77U), "key 'a.numbers', array type is 77"},
        {"string_in_array_past_the_end", patched("tokenizer.ggml.tokens/value2_length", huge),
         "key 'tokenizer.ggml.tokens', element 2 has a length of"},
        {"bool_2", patched("a.bool/value", std::uint8_t{2}), "key 'a.bool', value is 2"},
        {"bool_2_in_array", patched("a.bools/value", std::uint8_t{2}), "key 'a.bools', element 0 is 2"},
        {"alignment_0", patched("general.alignment/value", 0U), "key 'general.alignment' (at byte"},
        {"alignment_13", patched("general.alignment/value", 13U), "key 'general.alignment' (at byte"},
        {"alignment_2_31", patched("general.alignment/value", 1U << 31), "key 'general.alignment' (at byte"},
        {"alignment_no_integer", changed([](GgufBuilder& b) { b.string("general.alignment", "32"); }),
         "key 'general.alignment' (at byte"},
        {"architecture_no_string", changed([](GgufBuilder& b) { b.u32("general.architecture", 7); }),
         "key 'general.architecture' (at byte"},
        // Tensors
        {"tensor_duplicate", changed([](GgufBuilder& b) { b.f32_tensor("norm", {1}, {1}); }),
         "tensor 'norm', name occurs twice"},
        {"tensor_name_over_64_bytes", changed([](GgufBuilder& b) { b.f32_tensor(std::string(65, 'n'), {1}, {1}); }),
         "tensor 3, name has a length of 65"},
        {"tensor_name_empty", changed([](GgufBuilder& b) { b.f32_tensor("", {1}, {1}); }), "tensor 3, name is empty"},
        {"tensor_name_not_utf8", patched("norm/name", std::uint8_t{0x80}), "tensor 0, name is not UTF-8"},
        {"five_dimensions", with_dimensions({1, 1, 1, 1, 1}), "tensor 'shaped', n_dimensions is 5"},
        {"dimensions_max", patched("norm/n_dims", ~0U), "tensor 'norm', n_dimensions is 4294967295"},
        {"dimension_negative", patched("norm/dim0", std::int64_t{-8}), "tensor 'norm', dimension 0 is negative (-8)"},
        {"dimension_zero", patched("matrix/dim1", std::uint64_t{0}), "tensor 'matrix', dimension 1 is 0"},
        {"elements_overflow", with_dimensions({1ULL << 32, 1ULL << 32}), "number of elements overflows"},
        {"elements_wrap_to_few", with_dimensions({1ULL << 33, 1ULL << 31, 1, 1}), "number of elements overflows"},
        {"bytes_overflow", with_dimensions({1ULL << 62}), "tensor 'shaped' has a size in bytes that overflows"},
        {"row_not_a_multiple_of_the_block", with_dimensions({48, 2}, 2), "tensor 'shaped' has rows of 48 elements"},
        {"retired_type_Q4_2", patched("norm/tensor_type", 4U), "tensor 'norm', type is 4 (Q4_2)",
         ErrorCode::unsupported_tensor_type},
        {"retired_type_Q4_0_4_4", patched("norm/tensor_type", 31U), "tensor 'norm', type is 31 (Q4_0_4_4)",
         ErrorCode::unsupported_tensor_type},
        {"unknown_type", patched("norm/tensor_type", 99U), "tensor 'norm', type is 99"},
        {"offset_misaligned", patched("matrix/offset", std::uint64_t{33}), "tensor 'matrix', offset is 33"},
        {"offset_wrapping", patched("matrix/offset", huge - 31), "tensor 'matrix', offset is 18446744073709551584"},
        {"offset_beyond_the_file", patched("last/offset", std::uint64_t{1} << 40),
         "tensor 'last', offset is 1099511627776"},
        {"offset_overlapping", patched("last/offset", std::uint64_t{32}), "within the data of tensor 'matrix'"},
        {"offset_the_same_twice", patched("matrix/offset", std::uint64_t{0}), "within the data of tensor"},
        {"data_one_byte_short", [] { return good().shorten(1); }, "tensor 'last', offset is 128: the data"},
        {"data_missing",
         [] {
             GgufImage image = good();
             return image.truncate(image.at("metadata_end"));
         },
         "tensor 'norm', offset is 0"},
        // Vocabulary
        {"tokens_missing", changed([](GgufBuilder& b) { b.remove("tokenizer.ggml.tokens"); }),
         "needs a key 'tokenizer.ggml.tokens'"},
        {"tokens_empty", changed([](GgufBuilder& b) { b.strings("tokenizer.ggml.tokens", {}); }),
         "key 'tokenizer.ggml.tokens' (at byte"},
        {"tokens_no_strings",
         changed([](GgufBuilder& b) { b.array<std::int32_t>("tokenizer.ggml.tokens", GgufType::i32, {1}); }),
         "key 'tokenizer.ggml.tokens' (at byte"},
        {"tokenizer_model_no_string", changed([](GgufBuilder& b) { b.u32("tokenizer.ggml.model", 1); }),
         "key 'tokenizer.ggml.model' (at byte"},
        {"scores_too_short",
         changed([](GgufBuilder& b) { b.array<float>("tokenizer.ggml.scores", GgufType::f32, {0, 0, 0, 0, 0}); }),
         "key 'tokenizer.ggml.scores' (at byte"},
        {"scores_too_long",
         changed([](GgufBuilder& b) { b.array<float>("tokenizer.ggml.scores", GgufType::f32, {0, 0, 0, 0, 0, 0, 0}); }),
         "key 'tokenizer.ggml.scores' (at byte"},
        {"score_nan", patched("tokenizer.ggml.scores/value", std::numeric_limits<float>::quiet_NaN()),
         "key 'tokenizer.ggml.scores' (at byte"},
        {"token_types_too_short",
         changed([](GgufBuilder& b) { b.array<std::int32_t>("tokenizer.ggml.token_type", GgufType::i32, {1}); }),
         "key 'tokenizer.ggml.token_type' (at byte"},
        {"token_type_7", patched("tokenizer.ggml.token_type/value", 7), "key 'tokenizer.ggml.token_type' (at byte"},
        {"token_type_negative", patched("tokenizer.ggml.token_type/value", -1),
         "key 'tokenizer.ggml.token_type' (at byte"},
        {"bos_beyond_the_vocabulary", patched("tokenizer.ggml.bos_token_id/value", 6U),
         "key 'tokenizer.ggml.bos_token_id' (at byte"},
        {"bos_max", patched("tokenizer.ggml.bos_token_id/value", ~0U), "key 'tokenizer.ggml.bos_token_id' (at byte"},
        {"bos_negative", changed([](GgufBuilder& b) { b.i32("tokenizer.ggml.bos_token_id", -1); }),
         "key 'tokenizer.ggml.bos_token_id' (at byte"},
        {"eos_beyond_the_vocabulary", patched("tokenizer.ggml.eos_token_id/value", 6U),
         "key 'tokenizer.ggml.eos_token_id' (at byte"},
        {"padding_beyond_the_vocabulary", changed([](GgufBuilder& b) { b.u32("tokenizer.ggml.padding_token_id", 6); }),
         "key 'tokenizer.ggml.padding_token_id' (at byte"},
        // Shards
        {"shard_count_million", changed([](GgufBuilder& b) { b.u16("split.no", 0).u32("split.count", 1'000'000); }),
         "key 'split.count' (at byte"},
        {"shard_missing", changed([](GgufBuilder& b) { b.u16("split.no", 0).u16("split.count", 2); }),
         "shard 2 of 2 is missing", ErrorCode::file_not_found},
        {"shard_named_with_dots", changed([](GgufBuilder& b) {
             b.u16("split.no", 0).u16("split.count", 2).strings("split.names", {"../a.gguf", "../b.gguf"});
         }),
         "shard 2 of 2 is missing", ErrorCode::file_not_found},
    };
    return list;
}

class GgufMalformedTest : public ::testing::TestWithParam<MalformedGguf> {
  protected:
    support::TempFolder folder_;
};

TEST(GgufHostileTest, TheFileThatTheyAreMadeOfIsGood) {
    const support::TempFolder folder;
    for (const std::uint32_t version : {1U, 2U, 3U}) {
        const auto result = read_model_file(folder.write("good.gguf", good_builder(version).build().bytes));
        EXPECT_TRUE(result.ok()) << result.error().message;
    }
}

TEST_P(GgufMalformedTest, GivesAnErrorWithFieldAndOffset) {
    const std::string path = folder_.write("bad-00001-of-00002.gguf", GetParam().make().bytes);
    expect_malformed(path, GetParam().code, GetParam().says, "bad-0000", gguf_allowance);
}

INSTANTIATE_TEST_SUITE_P(All, GgufMalformedTest, ::testing::ValuesIn(gguf_cases()),
                         [](const auto& param) { return param.param.name; });

TEST(GgufHostileTest, TruncationAtEveryByteIsAnError) {
    const support::MemoryFile file;
    for (const std::uint32_t version : {1U, 2U, 3U}) {
        const GgufImage image = good_builder(version).build();
        for (std::size_t size = 0; size < image.bytes.size(); ++size) {
            largest_allocation = 0;
            const auto bytes = std::span(image.bytes).first(size);
            const auto result = read_model_file(file.write(bytes));
            ASSERT_FALSE(result.ok()) << size;
            ASSERT_EQ(result.error().code, ErrorCode::file_malformed) << size;
            ASSERT_THAT(result.error().message, ContainsRegex("\\(at byte [0-9]+\\)")) << size;
            ASSERT_LT(largest_allocation, gguf_allowance) << size;
        }
    }
}

// A sparse file has room for what its counts claim: there the limits alone keep memory within bounds.
TEST(GgufHostileTest, LargeFilesDoNotMakeUsAllocateWithoutBound) {
    const support::TempFolder folder;
    const auto error_of = [&](GgufType type, std::uint64_t count) {
        GgufImage image = GgufBuilder().array<std::uint8_t>("big", type, {}).build();
        image.patch("n_kv", std::uint64_t{60'000}).patch("big/array_count", count);
        const std::string path = folder.write("sparse.gguf", image.bytes);
        std::filesystem::resize_file(path, std::uintmax_t{1} << 40);
        largest_allocation = 0;
        const auto result = read_model_file(path);
        return result.ok() ? std::string() : result.error().message;
    };
    EXPECT_THAT(error_of(GgufType::u8, std::uint64_t{1} << 36), HasSubstr("key 'big', array count is 68719476736"));
    EXPECT_LT(largest_allocation, gguf_allowance);
    EXPECT_THAT(error_of(GgufType::string, std::uint64_t{1} << 24), HasSubstr("array count brings the metadata over"));
    EXPECT_LT(largest_allocation, gguf_allowance);
    // What is within the limits is read, and the zeros behind it are no key.
    EXPECT_THAT(error_of(GgufType::string, 1000), HasSubstr("key 1, name is empty"));
}

TEST(GgufHostileTest, NamesFromFilesCannotWriteToATerminal) {
    const support::TempFolder folder;
    GgufBuilder builder = good_builder();
    builder.f32_tensor("\x1b[31m\r\nred", {1}, {1}).f32_tensor("\x1b[31m\r\nred", {1}, {1});
    const auto result = read_model_file(folder.write("bad.gguf", builder.build().bytes));
    ASSERT_FALSE(result.ok());
    EXPECT_THAT(result.error().message, HasSubstr("tensor '\\x1B[31m\\x0D\\x0Ared'"));
}

// Whatever bytes change, the answer is a model or an error.
TEST(GgufHostileTest, RandomMutationsNeverCrash) {
    const support::MemoryFile file;
    std::mt19937_64 random(20'240'229);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    constexpr std::uint64_t values[] = {0, 1, 2, 7, 8, 9, 63, 127, 128, 255, 1 << 16, 1U << 31, ~0U, huge >> 1, huge};
    std::size_t read = 0;
    for (int round = 0; round < 20'000; ++round) {
        GgufImage image = good_builder(1 + static_cast<std::uint32_t>(below(3))).build();
        const std::size_t metadata_bytes = image.at("metadata_end");
        for (std::size_t change = 1 + below(4); change > 0; --change) {
            const std::size_t at = below(metadata_bytes);
            const std::size_t width = std::min<std::size_t>(std::size_t{1} << below(4), image.bytes.size() - at);
            switch (below(4)) {
                case 0: image.bytes[at] ^= static_cast<std::byte>(1U << below(8)); break;
                case 1: std::memcpy(&image.bytes[at], &values[below(std::size(values))], width); break;
                case 2: image.bytes.erase(image.bytes.begin() + static_cast<std::ptrdiff_t>(at)); break;
                default: image.bytes.insert(image.bytes.begin() + static_cast<std::ptrdiff_t>(at), std::byte{1}); break;
            }
        }
        std::shared_ptr<const ModelFile> model;
        ASSERT_NO_FATAL_FAILURE(expect_model_or_error(file.write(image.bytes), gguf_allowance, model)) << round;
        if (model == nullptr) continue;
        ++read;
        for (const FoundTensor& tensor : model->tensors) {
            const auto whole = tensor.parts[0].mapping->bytes();
            ASSERT_GE(tensor.parts[0].data.data(), whole.data());
            ASSERT_LE(tensor.parts[0].data.data() + tensor.bytes(), whole.data() + whole.size());
        }
    }
    EXPECT_GT(read, 100U);  // the mutations are not all fatal
}

}  // namespace
}  // namespace puna::formats
