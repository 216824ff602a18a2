#include <gmock/gmock.h>

#include <filesystem>
#include <string>
#include <vector>

#include "formats/reading.h"

namespace puna::formats {
namespace {

using support::GgufBuilder;
using ::testing::HasSubstr;

GgufBuilder shard(std::uint16_t number, std::uint16_t count, std::int32_t tensors, const std::string& tensor) {
    GgufBuilder builder = number == 0
                              ? good_builder().remove_tensor("norm").remove_tensor("matrix").remove_tensor("last")
                              : GgufBuilder();
    builder.u16("split.no", number).u16("split.count", count).i32("split.tensors.count", tensors);
    builder.f32_tensor(tensor, {1}, {static_cast<float>(number)});
    return builder;
}

class GgufShardsTest : public ::testing::Test {
  protected:
    std::string write(const std::string& name, const GgufBuilder& builder) {
        return folder_.write(name, builder.build().bytes);
    }
    /// Three good shards; the path of the second.
    std::string write_three() {
        write("m-00001-of-00003.gguf", shard(0, 3, 3, "first"));
        write("m-00003-of-00003.gguf", shard(2, 3, 3, "third"));
        return write("m-00002-of-00003.gguf", shard(1, 3, 3, "second"));
    }
    static Error error_of(const std::string& path) {
        const auto result = read_model_file(path);
        if (result.ok()) throw std::runtime_error("no error");
        return result.error();
    }

    support::TempFolder folder_;
};

TEST_F(GgufShardsTest, AnyShardOpensTheModel) {
    const std::string second = write_three();
    for (const char* number : {"1", "2", "3"}) {
        std::string path = second;
        path.replace(path.find("00002"), 5, std::string("0000") + number);
        const auto file = must(read_model_file(path));
        ASSERT_EQ(file->tensors.size(), 3U);
        EXPECT_EQ(file->tensors[0].name, "first");
        EXPECT_EQ(file->tensors[1].name, "second");
        EXPECT_EQ(file->tensors[2].name, "third");
        EXPECT_EQ(file->mappings.size(), 3U);
        EXPECT_EQ(file->architecture, "llama");
        EXPECT_EQ(file->vocabulary.tokens.size(), 6U);
        EXPECT_EQ(file->path, path);
        EXPECT_EQ(file->find_tensor("third")->parts[0].mapping, file->mappings[2]);
    }
}

TEST_F(GgufShardsTest, AMergedFileIsNoShard) {
    const auto file = must(read_model_file(write("m.gguf", shard(0, 0, 1, "only"))));
    EXPECT_EQ(file->tensors.size(), 1U);
    EXPECT_EQ(must(read_model_file(write("n.gguf", shard(0, 1, 1, "only"))))->tensors.size(), 1U);
}

TEST_F(GgufShardsTest, AMissingShardIsNamed) {
    const std::string path = write_three();
    std::filesystem::remove(folder_.path("m-00003-of-00003.gguf"));
    const Error error = error_of(path);
    EXPECT_EQ(error.code, ErrorCode::file_not_found);
    EXPECT_THAT(error.message, HasSubstr(folder_.path("m-00003-of-00003.gguf")));
    EXPECT_THAT(error.message, HasSubstr("shard 3 of 3"));
    EXPECT_THAT(error.message, HasSubstr("key 'split.count' (at byte "));
}

TEST_F(GgufShardsTest, AMillionShardsAreRefused) {
    GgufBuilder builder = shard(0, 2, 1, "x");
    builder.u32("split.count", 1'000'000);
    const Error error = error_of(write("m-00001-of-1000000.gguf", builder));
    EXPECT_EQ(error.code, ErrorCode::file_malformed);
    EXPECT_THAT(error.message, HasSubstr("key 'split.count' (at byte "));
}

TEST_F(GgufShardsTest, NothingInAFileLeadsToAnotherFolder) {
    // A file outside the folder that a name with "../" would reach, and metadata that ask for it.
    std::filesystem::create_directory(folder_.path("inner"));
    write("secret-00002-of-00002.gguf", shard(1, 2, 2, "secret"));
    GgufBuilder builder = shard(0, 2, 2, "first");
    builder.string("general.name", "../secret").string("split.name", "../secret").string("split.prefix", "../secret");
    builder.strings("split.names", {"../secret-00001-of-00002.gguf", "../secret-00002-of-00002.gguf"});
    const Error error = error_of(write("inner/m-00001-of-00002.gguf", builder));
    EXPECT_EQ(error.code, ErrorCode::file_not_found);
    EXPECT_THAT(error.message, HasSubstr(folder_.path("inner/m-00002-of-00002.gguf")));

    // Nor does a name that is all dots.
    EXPECT_THAT(error_of(write("inner/..-00001-of-00002.gguf", builder)).message,
                HasSubstr(folder_.path("inner/..-00002-of-00002.gguf")));
}

TEST_F(GgufShardsTest, TheNameMustSayWhatTheMetadataSays) {
    for (const char* name : {"m.gguf", "m-00002-of-00002.gguf", "m-00001-of-00003.gguf", "m-1-of-2.gguf"}) {
        const Error error = error_of(write(name, shard(0, 2, 2, "first")));
        EXPECT_EQ(error.code, ErrorCode::file_malformed) << name;
        EXPECT_THAT(error.message, HasSubstr("key 'split.no' (at byte ")) << name;
        EXPECT_THAT(error.message, HasSubstr("-00001-of-00002.gguf")) << name;
    }
}

TEST_F(GgufShardsTest, ShardsMustFitTogether) {
    const std::string path = write_three();
    const auto third = [&](const GgufBuilder& builder) {
        write("m-00003-of-00003.gguf", builder);
        return error_of(path).message;
    };
    EXPECT_THAT(third(shard(1, 3, 3, "third")), HasSubstr("key 'split.no'"));
    EXPECT_THAT(third(shard(2, 4, 3, "third")), HasSubstr("key 'split.count'"));
    EXPECT_THAT(third(shard(2, 3, 9, "third")), HasSubstr("split.tensors.count"));
    EXPECT_THAT(third(shard(2, 3, 3, "first")), HasSubstr("tensor 'first' (at byte "));
    EXPECT_THAT(third(shard(2, 3, 3, "third").remove("split.count")), HasSubstr("split.count"));
    EXPECT_THAT(third(shard(2, 3, 3, "third").remove("split.no")), HasSubstr("split.no"));
    EXPECT_THAT(third(shard(2, 3, 3, "third").f32_tensor("fourth", {1}, {1})), HasSubstr("split.tensors.count"));
    EXPECT_THAT(third(shard(2, 3, 3, "third").string("split.no", "2")), HasSubstr("split.no"));
    EXPECT_THAT(third(shard(3, 3, 3, "third")), HasSubstr("split.no"));
}

}  // namespace
}  // namespace puna::formats
