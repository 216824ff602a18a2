// Files of the formats before GGUF that a hostile hand would make: every one gives a typed error that names the field
// and its offset, soon, and without a large allocation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <ostream>
#include <random>

#include "formats/ggml_image.h"
#include "formats/malformed_file.h"
#include "formats/reading.h"

namespace puna::formats {
namespace {

constexpr std::size_t ggml_allowance = std::size_t{1} << 20;

struct MalformedGgml {
    const char* name;
    GgmlImage image;
    std::string says;  // the field, and what is wrong with it
    ErrorCode code = ErrorCode::file_malformed;
};

void PrintTo(const MalformedGgml& malformed, std::ostream* out) {
    *out << malformed.name;
}

/// The small file with the 32 bits at `offset` replaced.
template <typename T>
GgmlImage with(std::size_t offset, T value, GgmlImage image = small_ggml()) {
    std::memcpy(image.bytes.data() + offset, &value, sizeof value);
    return image;
}

constexpr std::int32_t least = std::numeric_limits<std::int32_t>::min();  // 2^31 to who reads it without a sign
constexpr std::int32_t most = std::numeric_limits<std::int32_t>::max();

// Where the fields of small_ggml begin.
constexpr std::size_t first_word = 32;
constexpr std::size_t second_word = first_word + 5;
constexpr std::size_t first_record = second_word + 6 + 4;            // n_dims, name length, type, dimension, name
constexpr std::size_t second_record = first_record + 16 + 11 + 128;  // n_dims, name length, type, two dimensions, name

const std::vector<MalformedGgml>& ggml_cases() {
    static const std::vector<MalformedGgml> list = {
        // The container
        {"ggmf_version_0", with(4, 0U, small_ggjt(1)), "header, version is 0", ErrorCode::unsupported_format},
        {"ggjt_version_4", with(4, 4U, small_ggjt(1)), "header, version is 4", ErrorCode::unsupported_format},
        {"ggjt_version_minus_1", with(4, -1, small_ggjt(1)), "header, version is 4294967295",
         ErrorCode::unsupported_format},
        // Counts
        {"n_vocab_minus_1", with(4, -1), "header, n_vocab is -1"},
        {"n_vocab_0", with(4, 0), "header, n_vocab is 0"},
        {"n_vocab_2_31", with(4, least), "header, n_vocab is -2147483648"},
        {"n_vocab_most", with(4, most), "header, n_vocab is 2147483647; at most 1048576 are allowed"},
        {"n_vocab_over_2_20", with(4, (1 << 20) + 1).fill(std::size_t{8} << 20),
         "header, n_vocab is 1048577; at most 1048576 are allowed"},
        {"n_vocab_too_large", with(4, 1000), "header, n_vocab is 1000, but the file ends"},
        {"n_embd_minus_1", with(8, -1), "header, n_embd is -1"},
        {"n_mult_0", with(12, 0), "header, n_mult is 0"},
        {"n_head_2_31", with(16, least), "header, n_head is -2147483648"},
        {"n_layer_minus_1", with(20, -1), "header, n_layer is -1"},
        {"n_rot_0", with(24, 0), "header, n_rot is 0"},
        // Types
        {"ftype_unknown", with(28, 19), "header, ftype is 19, which names no type"},
        {"ftype_minus_1", with(28, -1), "header, ftype is -1"},
        {"ftype_with_unknown_blocks", with(28, 3002), "header, ftype is 3002"},
        {"ftype_q4_2", with(28, 5), "header, ftype is 5: Q4_2", ErrorCode::unsupported_tensor_type},
        {"ftype_q4_3", with(28, 6), "header, ftype is 6: Q4_3", ErrorCode::unsupported_tensor_type},
        {"ftype_of_other_blocks", with(32, 1002, small_ggjt(3, 18)), "header, ftype is 1002, whose blocks"},
        // Words
        {"word_length_minus_1", with(first_word, -1), "token 0, length has a length of 4294967295 bytes"},
        {"word_length_2_31", with(second_word, least), "token 1, length has a length of 2147483648 bytes"},
        {"word_beyond_the_file", with(first_word, 60'000), "token 0, length has a length of 60000 bytes, but the file"},
        {"score_nan", with(41, std::numeric_limits<float>::quiet_NaN(), small_ggjt(1)),
         "token 0, score is no finite number"},
        // Tensors
        {"n_dims_0", with(first_record, 0), "tensor 0, n_dims is 0; it must be 1 to 4"},
        {"n_dims_minus_1", with(first_record, -1), "tensor 0, n_dims is -1"},
        {"n_dims_5", with(second_record, 5), "tensor 1, n_dims is 5"},
        {"name_length_minus_1", with(first_record + 4, -1), "tensor 0, name length is -1"},
        {"name_length_0", with(second_record + 4, 0), "tensor 1, name length is 0"},
        {"name_length_2_31", with(second_record + 4, least), "tensor 1, name length is -2147483648"},
        {"type_unknown", with(first_record + 8, 77), "tensor 'norm.weight', type is 77"},
        {"type_minus_1", with(first_record + 8, -1), "tensor 'norm.weight', type is 4294967295"},
        {"type_q8_1", with(first_record + 8, 9), "tensor 'norm.weight', type is 9"},
        {"type_k_quant_before_ggjt3", with(first_record + 8, 12), "tensor 'norm.weight', type is 12"},
        {"type_q4_2", with(first_record + 8, 4), "tensor 'norm.weight', type is 4: Q4_2",
         ErrorCode::unsupported_tensor_type},
        {"type_q4_3", with(second_record + 8, 5), "tensor 'tok_embeddings.weight', type is 5: Q4_3",
         ErrorCode::unsupported_tensor_type},
        {"dimension_minus_1", with(first_record + 12, -1), "tensor 0, dimension 0 is -1, and must be positive"},
        {"dimension_0", with(second_record + 16, 0), "tensor 1, dimension 1 is 0, and must be positive"},
        {"dimension_2_31", with(first_record + 12, least), "tensor 0, dimension 0 is -2147483648"},
        {"dimension_most", with(first_record + 12, most), "tensor 'norm.weight', data needs 8589934588 bytes"},
        {"dimension_not_whole_blocks", with(second_record + 12, 33), "blocks of 32 do not divide rows of 33"},
        {"elements_overflow",
         [] {
             GgmlImage image = small_ggml();
             return image.record("huge", 0, {most, most, most});
         }(),
         "tensor 2, dimension 2 is 2147483647: the number of elements overflows"},
        {"name_twice",
         [] {
             GgmlImage image = small_ggml();
             return image.record("norm.weight", 0, {1}).fill(4);
         }(),
         "tensor 'norm.weight' (at byte"},
        {"bytes_left_over", small_ggml().fill(3), "tensor 2, n_dims needs 4 bytes, but the file ends 3 bytes on"},
    };
    return list;
}

class GgmlMalformedTest : public ::testing::TestWithParam<MalformedGgml> {};

TEST_P(GgmlMalformedTest, GivesAnErrorWithFieldAndOffset) {
    const support::TempFolder folder;
    const std::string path = folder.write("bad.bin", GetParam().image.bytes);
    expect_malformed(path, GetParam().code, GetParam().says, "bad.bin", ggml_allowance);
}

INSTANTIATE_TEST_SUITE_P(All, GgmlMalformedTest, ::testing::ValuesIn(ggml_cases()),
                         [](const auto& param) { return param.param.name; });

/// The tensors follow one another to the file's end, so that a file cut between two is whole to this reader.
TEST(GgmlHostileTest, TruncationAtEveryOtherByteIsAnError) {
    const support::TempFolder folder;
    for (const GgmlImage& image : {small_ggml(), small_ggjt(1), small_ggjt(3, 18)}) {
        std::size_t whole = 0;
        for (std::size_t size = 0; size < image.bytes.size(); ++size) {
            const auto result = read_model_file(folder.write("cut.bin", std::span(image.bytes).first(size)));
            if (result.ok()) {
                ++whole;
                continue;
            }
            ASSERT_EQ(result.error().code, ErrorCode::file_malformed) << size;
            ASSERT_THAT(result.error().message, ::testing::ContainsRegex("\\(at byte [0-9]+\\)")) << size;
        }
        EXPECT_EQ(whole, 2U);  // without tensors, and with the first
    }
}

// Whatever bytes change, the answer is a model or an error.
TEST(GgmlHostileTest, RandomMutationsNeverCrash) {
    const support::MemoryFile file;
    std::mt19937_64 random(20'230'519);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    std::size_t read = 0;
    for (int round = 0; round < 10'000; ++round) {
        GgmlImage image = round % 2 == 0 ? small_ggml() : small_ggjt(2);
        for (std::size_t change = 1 + below(3); change > 0; --change) {
            const std::size_t at = 4 + below(image.bytes.size() - 4);
            constexpr int values[] = {0, 1, 2, 4, 32, 127, 128, 255};
            image.bytes[at] = static_cast<std::byte>(values[below(std::size(values))]);
        }
        std::shared_ptr<const ModelFile> model;
        ASSERT_NO_FATAL_FAILURE(expect_model_or_error(file.write(image.bytes), ggml_allowance, model)) << round;
        if (model != nullptr) ++read;
    }
    EXPECT_GT(read, 20U);  // the mutations are not all fatal
}

}  // namespace
}  // namespace puna::formats
