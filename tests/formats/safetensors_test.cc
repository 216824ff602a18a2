// Safetensors files and their index, read.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "formats/reading.h"
#include "formats/safetensors_image.h"

namespace puna::formats {
namespace {

using quant::TensorType;
using support::TempFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Shape = std::vector<std::uint64_t>;

TEST(Safetensors, TensorsLieInTheFile) {
    const TempFolder folder;
    const auto model =
        must(read_model_file(folder.write("model.safetensors", safetensors_image(good_header, good_data_bytes))));
    EXPECT_EQ(model->dialect, Dialect::huggingface);
    EXPECT_EQ(model->format, "safetensors");
    ASSERT_EQ(model->tensors.size(), 2U);
    EXPECT_EQ(model->tensors[0].name, "b");  // in the order of the data
    EXPECT_EQ(model->tensors[0].type, TensorType::I64);
    EXPECT_EQ(model->tensors[0].shape, Shape());
    const FoundTensor& a = *model->find_tensor("a");
    EXPECT_EQ(a.type, TensorType::F32);
    EXPECT_EQ(a.shape, (Shape{2, 2}));
    const auto file = model->mappings[0]->bytes();
    EXPECT_EQ(a.parts[0].data.data(), file.data() + 8 + good_header.size() + 8);
    EXPECT_EQ(a.bytes(), 16U);
    EXPECT_EQ(std::memcmp(file.data() + a.record_offset, R"({"dtype":"F32")", 14), 0);
    EXPECT_EQ(model->file_bytes, file.size());
}

TEST(Safetensors, EveryTypeHasItsSize) {
    const std::pair<const char*, std::pair<TensorType, std::size_t>> types[] = {
        {"F64", {TensorType::F64, 8}},         {"F32", {TensorType::F32, 4}},   {"F16", {TensorType::F16, 2}},
        {"BF16", {TensorType::BF16, 2}},       {"I64", {TensorType::I64, 8}},   {"I32", {TensorType::I32, 4}},
        {"I16", {TensorType::I16, 2}},         {"I8", {TensorType::I8, 1}},     {"U64", {TensorType::U64, 8}},
        {"U32", {TensorType::U32, 4}},         {"U16", {TensorType::U16, 2}},   {"U8", {TensorType::U8, 1}},
        {"F8_E4M3", {TensorType::F8_E4M3, 1}}, {"BOOL", {TensorType::BOOL, 1}}, {"F8_E5M2", {TensorType::F8_E5M2, 1}},
    };
    const TempFolder folder;
    for (const auto& [name, type] : types) {
        const std::string header =
            fmt::format(R"({{"t":{{"dtype":"{}","shape":[3,1],"data_offsets":[0,{}]}}}})", name, 3 * type.second);
        const auto model =
            must(read_model_file(folder.write("m.safetensors", safetensors_image(header, 3 * type.second))));
        EXPECT_EQ(model->tensors.at(0).type, type.first) << name;
    }
}

TEST(Safetensors, AnEmptyTensorAndAPaddedHeaderAreFine) {
    const TempFolder folder;
    const std::string header =
        R"({"x":{"dtype":"F16","shape":[0,5],"data_offsets":[0,0]},"y":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}  )";
    const auto model = must(read_model_file(folder.write("m.safetensors", safetensors_image(header, 1))));
    EXPECT_EQ(model->find_tensor("x")->elements(), 0U);
    EXPECT_TRUE(must(read_model_file(folder.write("e.safetensors", safetensors_image("{}", 0))))->tensors.empty());
}

TEST(Safetensors, NamesMayHoldEscapedCharacters) {
    const TempFolder folder;
    const std::string header = R"({"\u00e9\n\ud83d\ude00":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})";
    const auto model = must(read_model_file(folder.write("m.safetensors", safetensors_image(header, 1))));
    EXPECT_NE(model->find_tensor("\xC3\xA9\n\xF0\x9F\x98\x80"), nullptr);
}

class SafetensorsShards : public testing::Test {
  protected:
    void SetUp() override {
        write_shard("model-00001-of-00002.safetensors", "a");
        write_shard("model-00002-of-00002.safetensors", "b");
        write_index(R"({"metadata":{"total_size":2},"weight_map":{"a":"model-00001-of-00002.safetensors",)"
                    R"("b":"model-00002-of-00002.safetensors"}})");
    }
    void write_shard(const std::string& file, const std::string& tensor) const {
        const std::string header = fmt::format(R"({{"{}":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}})", tensor);
        folder_.write(file, safetensors_image(header, 1));
    }
    void write_index(std::string_view text) const { folder_.write("model.safetensors.index.json", text); }
    Error error() const {
        const auto result = read_model_file(folder_.path("model.safetensors.index.json"));
        return result.ok() ? Error{} : result.error();
    }

    TempFolder folder_;
};

TEST_F(SafetensorsShards, AnyFileStandsForTheModel) {
    for (const char* name : {"model.safetensors.index.json", "model-00002-of-00002.safetensors", ""}) {
        const auto model = must(read_model_file(folder_.path(name)));
        ASSERT_EQ(model->tensors.size(), 2U) << name;
        EXPECT_NE(model->find_tensor("a"), nullptr);
        EXPECT_NE(model->find_tensor("b"), nullptr);
        EXPECT_EQ(model->format, "safetensors, 2 files");
    }
}

TEST_F(SafetensorsShards, AMissingFileIsNamed) {
    std::filesystem::remove(folder_.path("model-00002-of-00002.safetensors"));
    EXPECT_EQ(error().code, ErrorCode::file_not_found);
    EXPECT_THAT(error().message, HasSubstr("model-00002-of-00002.safetensors, which is missing (at byte "));
}

TEST_F(SafetensorsShards, TheIndexAndTheFilesMustAgree) {
    write_shard("model-00002-of-00002.safetensors", "c");
    EXPECT_EQ(error().code, ErrorCode::file_malformed);
    EXPECT_THAT(error().message, HasSubstr("tensor 'c' (at byte 13) is not listed"));
    folder_.write("model-00002-of-00002.safetensors", safetensors_image("{}", 0));
    EXPECT_THAT(error().message, HasSubstr("weight_map lists tensor 'b'"));
}

TEST_F(SafetensorsShards, TheIndexCannotNameFilesElsewhere) {
    for (const char* file : {"../x.safetensors", "/etc/passwd", "", ".", "..", "a/b", "a\\u0000b"}) {
        write_index(fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", file));
        EXPECT_EQ(error().code, ErrorCode::file_malformed) << file;
        EXPECT_THAT(error().message, HasSubstr("weight_map, tensor 'a' lies in")) << file;
    }
    for (const char* text :
         {"", "[]", "{}", R"({"weight_map":{}})", R"({"weight_map":{"a":1}})", R"({"weight_map":[]})"}) {
        write_index(text);
        EXPECT_EQ(error().code, ErrorCode::file_malformed) << text;
        EXPECT_THAT(error().message, testing::ContainsRegex("\\(at byte [0-9]+\\)")) << text;
    }
}

TEST(SafetensorsFolder, SaysWhatItMissesOrCannotTellApart) {
    const TempFolder folder;
    const auto error = [&] { return read_model_file(folder.path("")).error(); };
    EXPECT_EQ(error().code, ErrorCode::unsupported_format);
    EXPECT_THAT(error().hint, HasSubstr("pytorch_model.bin"));
    folder.write("a.safetensors", safetensors_image("{}", 0));
    EXPECT_TRUE(read_model_file(folder.path("")).ok());
    folder.write("b.safetensors", safetensors_image("{}", 0));
    EXPECT_THAT(error().message, HasSubstr("2 files *.safetensors"));
    folder.write("model.safetensors", safetensors_image("{}", 0));
    EXPECT_TRUE(read_model_file(folder.path("")).ok());
}

}  // namespace
}  // namespace puna::formats
