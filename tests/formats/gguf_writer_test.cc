// What the writer writes, the reader reads as it was.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "formats/gguf/layout.h"
#include "formats/gguf/writer.h"
#include "formats/reading.h"
#include "support/tiny_model.h"

namespace puna::formats {
namespace {

using gguf::TensorEntry;
using gguf::ValueType;

std::vector<TensorEntry> entries_of(const ModelFile& file) {
    std::vector<TensorEntry> entries;
    for (const FoundTensor& tensor : file.tensors)
        entries.push_back({tensor.name, tensor.type, tensor.shape});
    return entries;
}

/// Writes all of `file` to `path`, the data in pieces of `piece` bytes.
void write_again(const ModelFile& file, const std::string& path, std::size_t piece = 7) {
    auto layout = must(gguf::lay_out_file(file.metadata, file.vocabulary, entries_of(file)));
    const std::uint64_t promised = layout.file_bytes;
    auto writer = must(gguf::Writer::create(path, std::move(layout)));
    for (const FoundTensor& tensor : file.tensors) {
        for (std::span<const std::byte> data = tensor.parts.front().data; !data.empty();) {
            const auto part = data.first(std::min(piece, data.size()));
            ASSERT_TRUE(writer.write(part).ok());
            data = data.subspan(part.size());
        }
    }
    ASSERT_FALSE(std::filesystem::exists(path));
    ASSERT_TRUE(writer.commit().ok());
    EXPECT_EQ(std::filesystem::file_size(path), promised);
}

void expect_same(const ModelFile& a, const ModelFile& b) {
    EXPECT_EQ(a.metadata.values, b.metadata.values);
    EXPECT_EQ(a.metadata.stored_types, b.metadata.stored_types);
    EXPECT_EQ(a.vocabulary.family_name, b.vocabulary.family_name);
    EXPECT_EQ(a.vocabulary.tokens, b.vocabulary.tokens);
    EXPECT_EQ(a.vocabulary.scores, b.vocabulary.scores);
    EXPECT_EQ(a.vocabulary.kinds, b.vocabulary.kinds);
    EXPECT_EQ(a.vocabulary.merges, b.vocabulary.merges);
    ASSERT_EQ(a.tensors.size(), b.tensors.size());
    for (std::size_t i = 0; i < a.tensors.size(); ++i) {
        const FoundTensor& x = a.tensors[i];
        const FoundTensor& y = b.tensors[i];
        EXPECT_EQ(x.name, y.name);
        EXPECT_EQ(x.type, y.type) << x.name;
        EXPECT_EQ(x.shape, y.shape) << x.name;
        EXPECT_TRUE(std::ranges::equal(x.parts.front().data, y.parts.front().data)) << x.name;
    }
}

std::string file_bytes(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

class GgufWriterTest : public testing::Test {
  protected:
    /// Reads, writes, reads again and compares; returns what was read at last.
    std::shared_ptr<const ModelFile> round_trip(const std::string& path) {
        const auto first = must(read_model_file(path));
        const std::string copy = folder_.path("copy.gguf");
        std::filesystem::remove(copy);
        write_again(*first, copy);
        auto second = must(read_model_file(copy));
        EXPECT_EQ(second->format, "GGUF v3");
        expect_same(*first, *second);
        return second;
    }

    support::TempFolder folder_;
};

TEST_F(GgufWriterTest, WritesWhatWasRead) {
    round_trip(folder_.write("good.gguf", good_builder().build().bytes));
    const auto tiny = support::tiny_model({.matrix_type = quant::find_type("Q4_0")});
    round_trip(folder_.write("tiny.gguf", tiny));
    EXPECT_TRUE(file_bytes(folder_.path("copy.gguf")).starts_with(file_bytes(folder_.path("tiny.gguf"))));
}

TEST_F(GgufWriterTest, WritesWhatThePythonPackageWrote) {
    round_trip(PUNA_TEST_DATA "/formats/data/gguf_py.gguf");
}

TEST_F(GgufWriterTest, KeepsTheDemoModelToTheByte) {
    const auto demo = must(read_model_file(PUNA_DEMO_MODEL));
    write_again(*demo, folder_.path("demo.gguf"), std::size_t{1} << 20);
    EXPECT_TRUE(file_bytes(folder_.path("demo.gguf")) == file_bytes(PUNA_DEMO_MODEL));
}

TEST_F(GgufWriterTest, BringsOldVersionsToVersion3) {
    for (const std::uint32_t version : {1U, 2U})
        round_trip(folder_.write("old.gguf", good_builder(version).build().bytes));
}

TEST_F(GgufWriterTest, KeepsEveryWidth) {
    support::GgufBuilder builder = good_builder();
    builder.u8("w.u8", 255)
        .i8("w.i8", -128)
        .u16("w.u16", 65535)
        .i16("w.i16", -32768)
        .u32("w.u32", 0xffffffff)
        .i32("w.i32", std::numeric_limits<std::int32_t>::min())
        .u64("w.u64", ~std::uint64_t{0})
        .i64("w.i64", std::numeric_limits<std::int64_t>::min())
        .f32("w.f32", 0.1F)
        .f64("w.f64", 0.1)
        .f32("w.infinity", std::numeric_limits<float>::infinity())
        .boolean("w.false", false)
        .string("w.empty", "")
        .strings("w.no_strings", {})
        .array<float>("w.no_floats", support::GgufType::f32, {})
        .array<std::uint8_t>("w.bytes", support::GgufType::u8, {0, 255})
        .array<std::int64_t>("w.longs", support::GgufType::i64, {-1, std::numeric_limits<std::int64_t>::max()})
        .array<double>("w.doubles", support::GgufType::f64, {0.1, 1e300});
    const auto file = round_trip(folder_.write("widths.gguf", builder.build().bytes));
    EXPECT_EQ(file->metadata.stored_types.at("w.u8"), static_cast<std::uint32_t>(ValueType::uint8));
    EXPECT_EQ(file->metadata.stored_types.at("w.doubles"), static_cast<std::uint32_t>(ValueType::float64));
    // The same to the byte, but for the padding behind the last tensor, which may be absent in what was read.
    EXPECT_TRUE(file_bytes(folder_.path("copy.gguf")).starts_with(file_bytes(folder_.path("widths.gguf"))));
}

TEST_F(GgufWriterTest, KeepsUnusualTypesOfTheVocabulary) {
    support::GgufBuilder builder = good_builder();
    builder.array<double>("tokenizer.ggml.scores", support::GgufType::f64, {0, 0, 0, -1, -2, -3})
        .array<std::uint8_t>("tokenizer.ggml.token_type", support::GgufType::u8, {2, 3, 3, 1, 1, 1})
        .strings("tokenizer.ggml.merges", {});
    round_trip(folder_.write("unusual.gguf", builder.build().bytes));
    builder.array<float>("tokenizer.ggml.token_type", support::GgufType::f32, {2, 3, 3, 1, 1, 1})
        .array<std::int32_t>("tokenizer.ggml.scores", support::GgufType::i32, {0, 0, 0, -1, -2, -3});
    round_trip(folder_.write("unusual.gguf", builder.build().bytes));
}

TEST_F(GgufWriterTest, KeepsArraysOfAVocabularyThatIsNone) {
    const auto file =
        round_trip(folder_.write("none.gguf", good_builder().string("tokenizer.ggml.model", "none").build().bytes));
    EXPECT_NE(file->metadata.find("tokenizer.ggml.tokens"), nullptr);
}

TEST_F(GgufWriterTest, KeepsTheAlignment) {
    support::GgufBuilder builder = good_builder();
    builder.u32("general.alignment", 256).alignment(256);
    const auto file = round_trip(folder_.write("aligned.gguf", builder.build().bytes));
    for (const FoundTensor& tensor : file->tensors)
        EXPECT_EQ((tensor.parts.front().data.data() - file->mappings.front()->bytes().data()) % 256, 0) << tensor.name;
}

TEST_F(GgufWriterTest, MakesOneFileOfShards) {
    const auto shards = must(read_model_file(PUNA_TEST_DATA "/formats/data/gguf_py-00001-of-00003.gguf"));
    write_again(*shards, folder_.path("one.gguf"));
    const auto one = must(read_model_file(folder_.path("one.gguf")));
    EXPECT_EQ(one->mappings.size(), 1U);
    EXPECT_EQ(one->metadata.find("split.count"), nullptr);
    EXPECT_EQ(one->tensors.size(), shards->tensors.size());
    EXPECT_EQ(must(one->metadata.string("general.name")), "fixture");
}

TEST_F(GgufWriterTest, ChoosesTypesForValuesThatNoFileStored) {
    Metadata metadata;
    metadata.values["a.small"] = std::uint64_t{7};
    metadata.values["a.large"] = ~std::uint64_t{0};
    metadata.values["a.negative"] = std::int64_t{-7};
    metadata.values["a.exact"] = 0.5;
    metadata.values["a.fine"] = 0.1;
    metadata.values["a.list"] = MetadataArray(std::vector<std::uint64_t>{1, 2});
    text::Vocabulary vocabulary;
    vocabulary.tokens = {"a", "b"};
    vocabulary.kinds = {text::TokenKind::normal, text::TokenKind::control};
    auto writer =
        must(gguf::Writer::create(folder_.path("new.gguf"), must(gguf::lay_out_file(metadata, vocabulary, {}))));
    ASSERT_TRUE(writer.commit().ok());
    const auto file = must(read_model_file(folder_.path("new.gguf")));
    metadata.values["tokenizer.ggml.tokens"] = MetadataArray(vocabulary.tokens);  // no model: they stay in the metadata
    metadata.values["tokenizer.ggml.token_type"] = MetadataArray(std::vector<std::int64_t>{1, 3});
    EXPECT_EQ(file->metadata.values, metadata.values);
    const auto stored = [&](const char* key) { return static_cast<ValueType>(file->metadata.stored_types.at(key)); };
    EXPECT_EQ(stored("a.small"), ValueType::uint32);
    EXPECT_EQ(stored("a.large"), ValueType::uint64);
    EXPECT_EQ(stored("a.negative"), ValueType::int32);
    EXPECT_EQ(stored("a.exact"), ValueType::float32);
    EXPECT_EQ(stored("a.fine"), ValueType::float64);
    EXPECT_EQ(stored("a.list"), ValueType::uint32);
}

TEST_F(GgufWriterTest, RefusesWhatTheFormatCannotHold) {
    const auto code = [](const Metadata& metadata, const std::vector<TensorEntry>& tensors) {
        const auto layout = gguf::lay_out_file(metadata, {}, tensors);
        return layout.ok() ? std::string("none") : std::string(error_code_name(layout.error().code));
    };
    Metadata narrow;
    narrow.values["key"] = std::uint64_t{256};
    narrow.stored_types["key"] = static_cast<std::uint32_t>(ValueType::uint8);
    EXPECT_EQ(code(narrow, {}), "invalid_argument");
    Metadata nameless;
    nameless.values[""] = true;
    EXPECT_EQ(code(nameless, {}), "invalid_argument");
    using quant::TensorType;
    EXPECT_EQ(code({}, {{"good", TensorType::Q4_0, {3, 64}}}), "none");
    EXPECT_EQ(code({}, {{"", TensorType::F32, {1}}}), "invalid_argument");
    EXPECT_EQ(code({}, {{std::string(65, 'x'), TensorType::F32, {1}}}), "invalid_argument");
    EXPECT_EQ(code({}, {{"rows", TensorType::Q4_0, {3, 33}}}), "invalid_argument");
    EXPECT_EQ(code({}, {{"empty", TensorType::F32, {0, 1}}}), "invalid_argument");
    EXPECT_EQ(code({}, {{"five", TensorType::F32, {1, 1, 1, 1, 1}}}), "invalid_argument");
    EXPECT_EQ(code({}, {{"huge", TensorType::F32, {std::uint64_t{1} << 32, std::uint64_t{1} << 32}}}),
              "invalid_argument");
    EXPECT_EQ(code({}, {{"large", TensorType::F32, {std::uint64_t{1} << 61}},
                        {"too", TensorType::F32, {std::uint64_t{1} << 61}},
                        {"much", TensorType::F32, {std::uint64_t{1} << 61}}}),
              "invalid_argument");
}

TEST_F(GgufWriterTest, LeavesNothingWithoutCommit) {
    const auto file = must(read_model_file(folder_.write("good.gguf", good_builder().build().bytes)));
    {
        auto writer = must(gguf::Writer::create(
            folder_.path("part.gguf"), must(gguf::lay_out_file(file->metadata, file->vocabulary, entries_of(*file)))));
        ASSERT_TRUE(writer.write(file->tensors.front().parts.front().data).ok());
    }
    const auto entries = std::filesystem::directory_iterator(std::filesystem::path(folder_.path("x")).parent_path());
    EXPECT_EQ(std::distance(begin(entries), end(entries)), 1);
}

}  // namespace
}  // namespace puna::formats
