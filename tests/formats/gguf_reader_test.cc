#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <ostream>
#include <span>
#include <vector>

#include "formats/model_file.h"
#include "formats/reading.h"

namespace puna::formats {
namespace {

using support::GgufBuilder;
using support::GgufType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class GgufReaderTest : public ::testing::Test {
  protected:
    Result<std::shared_ptr<const ModelFile>> read(const GgufBuilder& builder) {
        return read_model_file(folder_.write("model.gguf", builder.build().bytes));
    }

    support::TempFolder folder_;
};

class GgufVersionTest : public GgufReaderTest, public ::testing::WithParamInterface<std::uint32_t> {};

TEST_P(GgufVersionTest, EveryVersionYieldsTheSame) {
    const auto file = must(read(good_builder(GetParam())));
    EXPECT_EQ(file->format, "GGUF v" + std::to_string(GetParam()));
    EXPECT_EQ(file->architecture, "llama");
    EXPECT_EQ(file->dialect, Dialect::gguf);
    EXPECT_EQ(must(file->metadata.string("general.name")), "good");
    EXPECT_EQ(must(file->metadata.boolean("a.bool")), true);
    EXPECT_EQ(must(file->metadata.number("a.float")), 0.25);
    EXPECT_THAT(must(file->metadata.numbers("a.numbers")).value(), ElementsAre(-1, 2, -3));
    EXPECT_THAT(file->vocabulary.tokens, ElementsAre("<unk>", "<s>", "</s>", "a", "b", "ab"));

    ASSERT_EQ(file->tensors.size(), 3U);
    EXPECT_EQ(file->tensors[1].name, "matrix");
    EXPECT_EQ(file->tensors[1].type, quant::TensorType::Q4_0);
    EXPECT_THAT(file->tensors[1].shape, ElementsAre(2, 64));  // two rows of 64: outermost first
    EXPECT_EQ(file->tensors[1].elements(), 128U);
    EXPECT_EQ(file->tensors[1].bytes(), 72U);
    const FoundTensor* last = file->find_tensor("last");
    ASSERT_EQ(last, &file->tensors[2]);
    EXPECT_THAT(last->shape, ElementsAre(3, 2));
    ASSERT_EQ(last->parts.size(), 1U);
    std::vector<float> values(6);
    std::memcpy(values.data(), last->parts[0].data.data(), last->parts[0].data.size());
    EXPECT_THAT(values, ElementsAre(1, 2, 3, 4, 5, 6));
    EXPECT_EQ(file->find_tensor("nothing"), nullptr);
    EXPECT_EQ(file->file_bytes, good_builder(GetParam()).build().bytes.size());
    EXPECT_TRUE(file->check_mappings().ok());
}

INSTANTIATE_TEST_SUITE_P(AllVersions, GgufVersionTest, ::testing::Values(1U, 2U, 3U));

TEST_F(GgufReaderTest, ScalarsOfEveryTypeKeepTheirValues) {
    GgufBuilder builder;
    builder.u8("u8", 255).i8("i8", -128).u16("u16", 65535).i16("i16", -32768);
    builder.u32("u32", 4294967295U).i32("i32", std::numeric_limits<std::int32_t>::min());
    builder.u64("u64", ~std::uint64_t{0}).i64("i64", std::numeric_limits<std::int64_t>::min());
    builder.f32("f32", 0.1F).f64("f64", 0.1).boolean("no", false).boolean("yes", true).string("empty", "");
    const auto file = must(read(builder));
    const auto& values = file->metadata.values;
    EXPECT_EQ(values.at("u8"), MetadataValue(std::uint64_t{255}));
    EXPECT_EQ(values.at("i8"), MetadataValue(std::int64_t{-128}));
    EXPECT_EQ(values.at("u16"), MetadataValue(std::uint64_t{65535}));
    EXPECT_EQ(values.at("i16"), MetadataValue(std::int64_t{-32768}));
    EXPECT_EQ(values.at("u32"), MetadataValue(std::uint64_t{4294967295U}));
    EXPECT_EQ(values.at("i32"), MetadataValue(std::int64_t{-2147483648LL}));
    EXPECT_EQ(values.at("u64"), MetadataValue(~std::uint64_t{0}));
    EXPECT_EQ(values.at("i64"), MetadataValue(std::numeric_limits<std::int64_t>::min()));
    EXPECT_EQ(values.at("f32"), MetadataValue(static_cast<double>(0.1F)));
    EXPECT_EQ(values.at("f64"), MetadataValue(0.1));
    EXPECT_EQ(values.at("no"), MetadataValue(false));
    EXPECT_EQ(values.at("yes"), MetadataValue(true));
    EXPECT_EQ(values.at("empty"), MetadataValue(std::string()));
}

TEST_F(GgufReaderTest, ArraysOfEveryTypeKeepTheirValues) {
    GgufBuilder builder;
    builder.array<std::uint8_t>("u8", GgufType::u8, {0, 255}).array<std::int8_t>("i8", GgufType::i8, {-128, 127});
    builder.array<std::uint16_t>("u16", GgufType::u16, {65535}).array<std::int16_t>("i16", GgufType::i16, {-32768});
    builder.array<std::uint32_t>("u32", GgufType::u32, {4294967295U}).array<std::int32_t>("i32", GgufType::i32, {-7});
    builder.array<std::uint64_t>("u64", GgufType::u64, {~0ULL}).array<std::int64_t>("i64", GgufType::i64, {-7});
    builder.array<float>("f32", GgufType::f32, {0.1F, -2}).array<double>("f64", GgufType::f64, {1e300});
    builder.array<std::uint8_t>("bool", GgufType::boolean, {1, 0}).strings("string", {"", "x\ny"});
    builder.array<std::uint32_t>("none", GgufType::u32, {});
    const auto file = must(read(builder));
    const auto array = [&](const char* key) { return std::get<MetadataArray>(file->metadata.values.at(key)); };
    using Unsigned = std::vector<std::uint64_t>;
    using Signed = std::vector<std::int64_t>;
    EXPECT_EQ(array("u8"), MetadataArray(Unsigned{0, 255}));
    EXPECT_EQ(array("i8"), MetadataArray(Signed{-128, 127}));
    EXPECT_EQ(array("u16"), MetadataArray(Unsigned{65535}));
    EXPECT_EQ(array("i16"), MetadataArray(Signed{-32768}));
    EXPECT_EQ(array("u32"), MetadataArray(Unsigned{4294967295U}));
    EXPECT_EQ(array("i32"), MetadataArray(Signed{-7}));
    EXPECT_EQ(array("u64"), MetadataArray(Unsigned{~0ULL}));
    EXPECT_EQ(array("i64"), MetadataArray(Signed{-7}));
    EXPECT_EQ(array("f32"), MetadataArray(std::vector<double>{0.1F, -2}));
    EXPECT_EQ(array("f64"), MetadataArray(std::vector<double>{1e300}));
    EXPECT_EQ(array("bool"), MetadataArray(std::vector<bool>{true, false}));
    EXPECT_EQ(array("string"), MetadataArray(std::vector<std::string>{"", "x\ny"}));
    EXPECT_EQ(array("none"), MetadataArray(Unsigned{}));
}

TEST_F(GgufReaderTest, GettersAcceptWhatFitsAndRefuseTheRest) {
    GgufBuilder builder;
    builder.i32("seven", 7).i32("minus", -7).f32("half", 0.5F).string("text", "x").boolean("flag", true);
    builder.array<std::uint8_t>("flags", GgufType::boolean, {1}).array<std::uint32_t>("list", GgufType::u32, {3, 4});
    const auto file = must(read(builder));
    const Metadata& metadata = file->metadata;
    EXPECT_EQ(must(metadata.unsigned_integer("seven")), 7U);
    EXPECT_EQ(must(metadata.number("seven")), 7.0);
    EXPECT_EQ(must(metadata.number("minus")), -7.0);
    EXPECT_THAT(must(metadata.numbers("half")).value(), ElementsAre(0.5));
    EXPECT_THAT(must(metadata.numbers("list")).value(), ElementsAre(3, 4));
    EXPECT_EQ(must(metadata.unsigned_integer("absent")), std::nullopt);
    EXPECT_EQ(must(metadata.number("absent")), std::nullopt);
    EXPECT_EQ(must(metadata.numbers("absent")), std::nullopt);
    EXPECT_EQ(must(metadata.string("absent")), std::nullopt);
    EXPECT_EQ(must(metadata.boolean("absent")), std::nullopt);

    EXPECT_THAT(metadata.unsigned_integer("minus").error().message, HasSubstr("key 'minus' (at byte "));
    EXPECT_FALSE(metadata.unsigned_integer("half").ok());
    EXPECT_FALSE(metadata.unsigned_integer("flag").ok());
    EXPECT_FALSE(metadata.number("text").ok());
    EXPECT_FALSE(metadata.number("flag").ok());
    EXPECT_FALSE(metadata.numbers("flags").ok());
    EXPECT_FALSE(metadata.numbers("text").ok());
    EXPECT_FALSE(metadata.string("seven").ok());
    EXPECT_FALSE(metadata.boolean("seven").ok());
    EXPECT_EQ(metadata.boolean("seven").error().code, ErrorCode::file_malformed);
}

TEST_F(GgufReaderTest, OffsetsPointToTheValues) {
    const auto image = good_builder().build();
    const auto file = must(read_model_file(folder_.write("model.gguf", image.bytes)));
    EXPECT_EQ(file->metadata.offsets.at("a.float"), image.at("a.float/value"));
    EXPECT_EQ(file->metadata.describe("a.float"),
              "key 'a.float' (at byte " + std::to_string(image.at("a.float/value")) + ")");
    EXPECT_EQ(file->metadata.describe("absent"), "key 'absent'");
    EXPECT_EQ(file->find_tensor("norm")->record_offset, image.at("norm/name_length"));
}

TEST_F(GgufReaderTest, AlignmentIsWhatTheFileSays) {
    for (const std::uint32_t alignment : {8U, 24U, 64U, 4096U}) {
        GgufBuilder builder = good_builder();
        builder.u32("general.alignment", alignment).alignment(alignment);
        const auto file = must(read(builder));
        float first = 0;
        std::memcpy(&first, file->find_tensor("last")->parts[0].data.data(), sizeof first);
        EXPECT_EQ(first, 1.0F) << alignment;
    }
}

TEST_F(GgufReaderTest, ScalarsAreTensorsOfOneElement) {
    GgufBuilder builder;
    builder.f32_tensor("scalar", {}, {2.5F});
    const auto file = must(read(builder));
    EXPECT_TRUE(file->tensors[0].shape.empty());
    EXPECT_EQ(file->tensors[0].elements(), 1U);
    EXPECT_EQ(file->tensors[0].bytes(), 4U);
}

TEST_F(GgufReaderTest, EveryTensorTypeIsKnownByNameAndSize) {
    GgufBuilder builder;
    std::vector<quant::TypeInfo> types;
    for (const quant::TypeInfo& type : quant::all_types()) {
        if (quant::is_gguf_type(type.type)) types.push_back(type);
    }
    for (const quant::TypeInfo& type : types) {
        builder.tensor(type.name, {type.block_elements * 2, 3}, static_cast<std::uint32_t>(type.type),
                       std::vector<std::byte>(std::size_t{type.block_bytes} * 6));
    }
    const auto file = must(read(builder));
    ASSERT_EQ(file->tensors.size(), types.size());
    for (const quant::TypeInfo& type : types) {
        const FoundTensor* tensor = file->find_tensor(type.name);
        ASSERT_NE(tensor, nullptr) << type.name;
        EXPECT_EQ(tensor->type, type.type);
        EXPECT_EQ(tensor->bytes(), std::uint64_t{type.block_bytes} * 6);
    }
}

TEST_F(GgufReaderTest, NamesOfSixtyFourBytesAndManyTensorsAreFound) {
    GgufBuilder builder;
    std::vector<std::string> names;
    for (int i = 0; i < 3000; ++i) {
        std::string name = fmt::format("t{}", i * 7919 % 3001);
        name.resize(64, '.');
        names.push_back(name);
        builder.f32_tensor(name, {1}, {static_cast<float>(i)});
    }
    const auto file = must(read(builder));
    for (int i = 0; i < 3000; ++i) {
        const FoundTensor* tensor = file->find_tensor(names[static_cast<std::size_t>(i)]);
        ASSERT_EQ(tensor, &file->tensors[static_cast<std::size_t>(i)]);
    }
}

TEST_F(GgufReaderTest, AFileWithoutTensorsIsRead) {
    GgufBuilder builder;
    builder.string("general.architecture", "llama");
    const auto file = must(read(builder));
    EXPECT_TRUE(file->tensors.empty());
    EXPECT_EQ(file->vocabulary.family, text::TokenizerFamily::none);
}

TEST_F(GgufReaderTest, ATruncatedFileUnderOurFeetIsReported) {
    const auto image = good_builder().build();
    const std::string path = folder_.write("model.gguf", image.bytes);
    const auto file = must(read_model_file(path));
    std::filesystem::resize_file(path, 16);
    const auto check = file->check_mappings();
    ASSERT_FALSE(check.ok());
    EXPECT_EQ(check.error().code, ErrorCode::file_changed);
}

TEST_F(GgufReaderTest, MissingFilesAndFoldersAreErrors) {
    EXPECT_EQ(read_model_file(folder_.path("absent.gguf")).error().code, ErrorCode::file_not_found);
    EXPECT_EQ(read_model_file(folder_.path("")).error().code, ErrorCode::unsupported_format);
}

struct Recognized {
    const char* name;
    std::string bytes;
    ErrorCode code;
    const char* says;
};

void PrintTo(const Recognized& recognized, std::ostream* out) {
    *out << recognized.name;
}

class RecognizeTest : public GgufReaderTest, public ::testing::WithParamInterface<Recognized> {};

TEST_P(RecognizeTest, NamesTheFormat) {
    const auto result = read_model_file(folder_.write("model", GetParam().bytes));
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, GetParam().code);
    EXPECT_THAT(result.error().message, HasSubstr(GetParam().says));
    EXPECT_THAT(result.error().message, HasSubstr(folder_.path("model")));
    EXPECT_NE(result.error().hint, "");
}

INSTANTIATE_TEST_SUITE_P(
    Formats, RecognizeTest,
    ::testing::Values(Recognized{"ggml", std::string("lmgg\x00\x7d\x00\x00", 8), ErrorCode::file_malformed, "n_vocab"},
                      Recognized{"ggmf", std::string("fmgg\2\0\0\0", 8), ErrorCode::unsupported_format, "version is 2"},
                      Recognized{"ggjt", std::string("tjgg\4\0\0\0", 8), ErrorCode::unsupported_format, "version is 4"},
                      Recognized{"lora", "algg\1\0\0\0", ErrorCode::unsupported_format, "LoRA"},
                      Recognized{"zip", "PK\3\4....", ErrorCode::file_malformed, "end of central directory"},
                      Recognized{"pickle", "\x80\x02}.", ErrorCode::unsupported_format, "PyTorch's magic number"},
                      Recognized{"lfs", "version https://git-lfs", ErrorCode::unsupported_format, "Git LFS pointer"},
                      Recognized{"page", "<!DOCTYPE html><html>", ErrorCode::unsupported_format, "web page"},
                      Recognized{"unknown", "\x1b[2Jhello", ErrorCode::unsupported_format, "magic is '\\x1B[2J'"},
                      Recognized{"big_endian_ggml", "ggml\0\0\x7d\0", ErrorCode::unsupported_format, "big-endian"},
                      Recognized{"big_endian_ggjt", "ggjt\0\0\0\1", ErrorCode::unsupported_format, "big-endian"},
                      Recognized{"gguf_backwards", "FUGG\0\0\0\3", ErrorCode::unsupported_format, "big-endian"},
                      Recognized{"empty", "", ErrorCode::file_malformed, "the file has 0"},
                      Recognized{"cut", "GGU", ErrorCode::file_malformed, "the file has 3"}),
    [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace puna::formats
