// Safetensors files that a hostile hand would make: every one gives a typed error that names the field and its offset,
// soon, and without a large allocation.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <ostream>
#include <random>

#include "formats/malformed_file.h"
#include "formats/reading.h"
#include "formats/safetensors_image.h"

namespace puna::formats {
namespace {

using ::testing::ContainsRegex;

constexpr std::size_t safetensors_allowance = std::size_t{4} << 20;

struct MalformedSafetensors {
    const char* name;
    std::string header;
    std::string says;  // the field, and what is wrong with it
    std::size_t data_bytes = 24;
    std::int64_t header_size = -1;
    ErrorCode code = ErrorCode::file_malformed;
};

void PrintTo(const MalformedSafetensors& malformed, std::ostream* out) {
    *out << malformed.name;
}

/// The good header with the text `from` replaced.
std::string changed(std::string_view from, std::string_view to) {
    std::string header(good_header);
    const std::size_t at = header.find(from);
    if (at == std::string::npos) throw std::logic_error("no such text");
    return header.replace(at, from.size(), to);
}

std::string nested(std::size_t depth, char open) {
    return R"({"a":)" + std::string(depth, open);
}

const std::vector<MalformedSafetensors>& safetensors_cases() {
    static const std::vector<MalformedSafetensors> list = {
        // The size
        {"header_over_100_mb", std::string(good_header), "header size is 100000001; at most 100000000", 24,
         100'000'001},
        {"header_size_minus_1", std::string(good_header), "header size is 18446744073709551615", 24, INT64_C(-1)},
        {"header_size_2_63", std::string(good_header), "header size is 9223372036854775807", 24, INT64_MAX},
        {"header_beyond_the_file", std::string(good_header), "header size is 5000, but the file ends", 24, 5000},
        {"header_of_0_bytes", std::string(good_header), "header does not begin with '{'", 24, 0},
        {"header_cut", std::string(good_header), "header is no JSON", 24, 60},
        {"header_too_long", std::string(good_header), "header", 24, static_cast<std::int64_t>(good_header.size()) + 3},
        // The JSON
        {"no_object", R"([1])", "header does not begin with '{'"},
        {"space_first", " " + std::string(good_header), "header does not begin with '{'"},
        {"no_json", R"({"a":})", "header is no JSON"},
        {"no_json_2", R"({"a" 1})", "header is no JSON"},
        {"no_json_3", R"({a:1})", "header is no JSON"},
        {"comma_last", R"({"a":{"dtype":"U8","shape":[1,],"data_offsets":[0,1]}})", "header is no JSON"},
        {"text_behind", std::string(good_header) + "x", "header"},
        {"object_behind", std::string(good_header) + "{}", "header"},
        {"not_utf8", changed("pt", "\xFF"), "header is no JSON"},
        {"control_in_string", changed("pt", "\n"), "header is no JSON"},
        {"lone_surrogate", changed("pt", "\\ud800"), "header is no JSON"},
        {"key_twice",
         R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
         R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
         "header has the key 'a' twice", 1},
        {"key_twice_when_unescaped",
         R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
         R"("\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
         "header has the key 'a' twice", 2},
        {"field_twice", changed(R"("dtype":"F32")", R"("dtype":"F32","dtype":"F32")"), "has the key 'dtype' twice"},
        {"metadata_twice", changed(R"("a":{)", R"("__metadata__":{},"a":{)"), "has the key '__metadata__' twice"},
        {"arrays_100000_deep", nested(100'000, '['), "header"},
        {"arrays_100000_deep_and_closed", nested(100'000, '[') + std::string(100'000, ']') + "}",
         "header is nested more than 64 deep"},
        {"objects_100000_deep",
         [] {
             std::string text;
             for (int i = 0; i < 100'000; ++i)
                 text += R"({"a":)";
             return text + "1" + std::string(100'000, '}');
         }(),
         "header is nested more than 64 deep"},
        // Metadata and entries
        {"metadata_no_object", changed(R"({"format":"pt"})", "[]"), "__metadata__ is not an object"},
        {"metadata_no_string", changed(R"("pt")", "1"), "__metadata__ holds a value under 'format'"},
        {"entry_no_object", R"({"a":[]})", "tensor 'a' is not an object"},
        {"entry_null", R"({"a":null})", "tensor 'a' is not an object"},
        {"field_unknown", changed(R"("dtype":"F32")", R"("dtype":"F32","scale":1)"), "has an unknown field 'scale'"},
        {"dtype_missing", changed(R"("dtype":"F32",)", ""), "tensor 'a' has no dtype"},
        {"dtype_no_string", changed(R"("F32")", "32"), "tensor 'a', dtype is not a string"},
        {"dtype_unknown", changed(R"("F32")", R"("F31")"), "tensor 'a', dtype is 'F31'", 24, -1,
         ErrorCode::unsupported_tensor_type},
        {"shape_missing", changed(R"("shape":[2,2],)", ""), "tensor 'a' has no shape"},
        {"shape_no_array", changed("[2,2]", "4"), "tensor 'a', shape is not an array"},
        {"dimension_minus_1", changed("[2,2]", "[-1,2]"), "tensor 'a', shape holds -1"},
        {"dimension_real", changed("[2,2]", "[2.0,2]"), "tensor 'a', shape holds"},
        {"dimension_no_number", changed("[2,2]", R"(["2",2])"), "tensor 'a', shape holds \"2\""},
        {"dimension_2_64", changed("[2,2]", "[18446744073709551616,2]"), "tensor 'a', shape holds"},
        {"shape_overflows", changed("[2,2]", "[4294967296,4294967296]"),
         "tensor 'a', shape holds 4294967296: the number"},
        {"shape_of_17", changed("[2,2]", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,2,2]"), "tensor 'a', shape has 17 dimensions"},
        {"bytes_overflow", changed("[2,2]", "[4611686018427387904,2]"), "tensor 'a', shape holds 2: the number"},
        {"dimension_2_31", changed("[2,2]", "[2147483648]"), "16 bytes, but shape and dtype make 8589934592"},
        {"offsets_missing", changed(R"(,"data_offsets":[8,24])", ""), "tensor 'a' has no data_offsets"},
        {"offsets_no_array", changed("[8,24]", "8"), "tensor 'a', data_offsets is not an array"},
        {"offsets_one", changed("[8,24]", "[8]"), "tensor 'a', data_offsets is [8], not two offsets"},
        {"offsets_three", changed("[8,24]", "[8,24,24]"), "tensor 'a', data_offsets is [8, 24, 24], not two"},
        {"offsets_negative", changed("[8,24]", "[-8,8]"), "tensor 'a', data_offsets is [-8, 8], not two offsets"},
        {"offsets_real", changed("[8,24]", "[8.5,24]"), "not two offsets"},
        {"begin_behind_end", changed("[8,24]", "[24,8]"), "tensor 'a', data_offsets is [24, 8]: it begins behind"},
        {"size_too_small", changed("[8,24]", "[8,23]"), "15 bytes, but shape and dtype make 16"},
        {"size_too_large", changed("[8,24]", "[8,25]"), "17 bytes, but shape and dtype make 16", 25},
        // The data
        {"overlap", changed("[8,24]", "[7,23]"), "tensor 'a', data_offsets begins at 7, within the data of another"},
        {"same_place_twice", changed("[0,8]", "[8,16]"), "begins at 8, behind a gap"},
        {"gap", changed("[8,24]", "[9,25]"), "tensor 'a', data_offsets begins at 9, behind a gap", 25},
        {"gap_first", changed("[0,8]", "[1,9]"), "begins at 1, behind a gap"},
        {"beyond_the_file", std::string(good_header), "tensor 'a', data_offsets ends at 24, but the file holds 23", 23},
        {"offsets_2_63", changed("[8,24]", "[9223372036854775808,9223372036854775824]"), "behind a gap"},
        {"bytes_left_over", std::string(good_header), "data: the file holds 25 bytes, but its tensors take 24", 25},
        {"tensors_without_data", std::string(good_header), "tensor 'b', data_offsets ends at 8", 0},
    };
    return list;
}

class SafetensorsMalformedTest : public ::testing::TestWithParam<MalformedSafetensors> {};

std::vector<std::byte> image_of(const MalformedSafetensors& m) {
    auto image = safetensors_image(m.header, m.data_bytes, m.header_size);
    if (std::string_view(m.name) == "header_size_minus_1") std::fill_n(image.begin(), 8, std::byte{0xFF});
    return image;
}

TEST_P(SafetensorsMalformedTest, GivesAnErrorWithFieldAndOffset) {
    const support::TempFolder folder;
    const std::string path = folder.write("bad.safetensors", image_of(GetParam()));
    expect_malformed(path, GetParam().code, GetParam().says, "bad.safetensors", safetensors_allowance);
}

INSTANTIATE_TEST_SUITE_P(All, SafetensorsMalformedTest, ::testing::ValuesIn(safetensors_cases()),
                         [](const auto& param) { return param.param.name; });

TEST(SafetensorsHostileTest, TruncationAtEveryByteIsAnError) {
    const support::TempFolder folder;
    const auto image = safetensors_image(good_header, good_data_bytes);
    for (std::size_t size = 0; size < image.size(); ++size) {
        const auto result = read_model_file(folder.write("cut.safetensors", std::span(image).first(size)));
        ASSERT_FALSE(result.ok()) << size;
        ASSERT_EQ(result.error().code, ErrorCode::file_malformed) << size;
        ASSERT_THAT(result.error().message, ContainsRegex("\\(at byte [0-9]+\\)")) << size;
    }
}

/// A header of `count` empty tensors that are one like another.
std::string empty_tensors(std::size_t count) {
    std::string header = "{";
    for (std::size_t i = 0; i < count; ++i) {
        if (i > 0) header += ',';
        header += fmt::format(R"("{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", i);
    }
    return header + '}';
}

TEST(SafetensorsHostileTest, MoreTensorsThanAnyModelHasAreRefused) {
    const support::TempFolder folder;
    const auto write = [&](const std::string& header) {
        return folder.write("many.safetensors", safetensors_image(header, 0));
    };
    // The header's values take 32 bytes each.
    expect_malformed(write(empty_tensors(131'073)), ErrorCode::file_malformed, "header holds more than 131072 tensors",
                     "many.safetensors", std::size_t{128} << 20);
    EXPECT_EQ(must(read_model_file(write(empty_tensors(131'072))))->tensors.size(), 131'072U);
}

// Nothing is made of a header before its values are counted: neither of this one's 3 million, nor of its last key.
TEST(SafetensorsHostileTest, MoreValuesThanTheMostTensorsHaveAreRefused) {
    const support::TempFolder folder;
    std::string tensors = empty_tensors(300'000);
    tensors.replace(tensors.size() - 1, 1, R"(,"0":{}})");
    for (const std::string& header : {tensors, R"({"a":[)" + std::string(3'000'000, ',') + "]}"}) {
        expect_malformed(folder.write("many.safetensors", safetensors_image(header, 0)), ErrorCode::file_malformed,
                         "header holds more than 2097152 values", "many.safetensors", safetensors_allowance);
    }
}

TEST(SafetensorsHostileTest, WhatLooksLikeValuesInATextCountsAsOne) {
    const support::TempFolder folder;
    std::string text;
    for (std::size_t i = 0; i < 1'000'000; ++i)
        text += R"(\",{[:)";
    const std::string header =
        R"({"__metadata__":{"x":")" + text + R"("},"a":{"dtype":"U8","shape":[1],)" + R"("data_offsets":[0,1]}})";
    EXPECT_EQ(must(read_model_file(folder.write("text.safetensors", safetensors_image(header, 1))))->tensors.size(),
              1U);
}

// A sparse file has room for what it claims.
TEST(SafetensorsHostileTest, AHeaderOf100MillionZerosIsRefusedSoon) {
    const support::TempFolder folder;
    const std::string path = folder.write("sparse.safetensors", safetensors_image("{", 0, 100'000'000));
    std::filesystem::resize_file(path, 100'000'008);
    const auto start = std::chrono::steady_clock::now();
    const auto result = read_model_file(path);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::file_malformed);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
}

// Whatever bytes change, the answer is a model or an error.
TEST(SafetensorsHostileTest, RandomMutationsNeverCrash) {
    const support::MemoryFile file;
    std::mt19937_64 random(20'221'103);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    constexpr std::string_view pieces[] = {"{",     "}", "[", "]", ",", ":",    "\"",   "\\",
                                           "-",     "1", "0", "e", ".", "null", "\xFF", "18446744073709551615",
                                           "\"a\"", " "};
    std::size_t read = 0;
    for (int round = 0; round < 20'000; ++round) {
        std::string header(good_header);
        for (std::size_t change = 1 + below(3); change > 0; --change) {
            const std::size_t at = 1 + below(header.size() - 1);
            const std::string_view piece = pieces[below(std::size(pieces))];
            switch (below(4)) {
                case 0: header[at] = static_cast<char>(header[at] ^ (1 << below(8))); break;
                case 1: header.erase(at, 1 + below(4)); break;
                case 2: header.replace(at, 1, piece); break;
                default: header.insert(at, piece); break;
            }
        }
        std::shared_ptr<const ModelFile> model;
        ASSERT_NO_FATAL_FAILURE(
            expect_model_or_error(file.write(safetensors_image(header, good_data_bytes)), safetensors_allowance, model))
            << round;
        if (model != nullptr) ++read;
    }
    EXPECT_GT(read, 20U);  // the mutations are not all fatal
}

}  // namespace
}  // namespace puna::formats
