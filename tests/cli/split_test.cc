// puna split and puna merge.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "cli/fixture.h"

namespace puna::cli {
namespace {

using testing::HasSubstr;

class Shards : public CommandLine {
  protected:
    static std::string bytes(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
};

TEST_F(Shards, SplitAndMergeGiveTheSameBytes) {
    const Json json = json_of({"split", demo(), folder_.path("part"), "--max-size", "40M"});
    ASSERT_EQ(json["files"].size(), 3U);
    for (const Json& file : json["files"]) {
        EXPECT_EQ(file["bytes"], std::filesystem::file_size(file["path"].get<std::string>()));
        EXPECT_LE(file["bytes"], 40'000'000);
    }
    EXPECT_EQ(json["files"][0]["path"], folder_.path("part-00001-of-00003.gguf"));
    const std::string second = folder_.path("part-00002-of-00003.gguf");
    EXPECT_EQ(json_of({"run", "-m", second, "-p", "The capital of France is", "-n", "4", "--temp", "0"})["ids"],
              json_of({"run", "-m", demo(), "-p", "The capital of France is", "-n", "4", "--temp", "0"})["ids"]);
    json_of({"merge", second, folder_.path("whole.gguf")});
    EXPECT_TRUE(bytes(folder_.path("whole.gguf")) == bytes(demo()));
}

TEST_F(Shards, SplitTellsItsPlan) {
    const Json json = json_of({"split", tiny(), "--max-tensors", "8", "--dry-run"});
    ASSERT_EQ(json["files"].size(), 3U);
    EXPECT_TRUE(json["files"][2]["path"].get<std::string>().ends_with("/tiny-00003-of-00003.gguf"));
    EXPECT_EQ(json["files"][2]["tensors"], 4);
    const Outcome outcome = run_puna({"split", tiny(), "--max-tensors", "8", "--dry-run"});
    EXPECT_THAT(outcome.out, HasSubstr("tiny-00001-of-00003.gguf"));
    EXPECT_FALSE(std::filesystem::exists(folder_.path("tiny-00001-of-00003.gguf")));
    const Outcome small = run_puna({"split", tiny(), "--max-size", "2K", "--dry-run"});
    EXPECT_THAT(small.err, HasSubstr("more than 2.0 KiB"));
}

TEST_F(Shards, OneFileMayBeAllOfThem) {
    json_of({"split", tiny(), folder_.path("one"), "--max-size", "1G"});
    json_of({"merge", folder_.path("one-00001-of-00001.gguf"), folder_.path("back.gguf")});
    EXPECT_EQ(json_of({"diff", folder_.path("back.gguf"), tiny()})["same"], true);
}

TEST_F(Shards, NoPartIsReplacedByTheWhole) {
    json_of({"split", tiny(), folder_.path("part"), "--max-tensors", "10"});
    const std::string first = folder_.path("part-00001-of-00002.gguf");
    const std::string second = folder_.path("part-00002-of-00002.gguf");
    for (const char* command : {"merge", "convert"}) {
        for (const std::string& part : {first, second}) {
            const Json error = error_of({command, first, part, "--force"}, 2);
            EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("is a part of the model that is read"));
        }
    }
    EXPECT_EQ(json_of({"diff", first, tiny()})["same"], true);
    json_of({"convert", tiny(), tiny(), "--force"});  // a model in one file may
}

TEST_F(Shards, RefuseWhatCannotBe) {
    EXPECT_EQ(error_of({"split", tiny()}, 2)["code"], "invalid_argument");
    for (const char* wrong : {"", "G", "2T", "-1G", "0", "99999999999G"}) {
        EXPECT_EQ(error_of({"split", tiny(), "--max-size", wrong}, 2)["code"], "invalid_argument") << wrong;
    }
    EXPECT_EQ(error_of({"split", folder_.path("none"), "--max-size", "2G"}, 3)["code"], "file_not_found");
    folder_.write("part-00002-of-00002.gguf", std::string_view("mine"));
    EXPECT_EQ(error_of({"split", tiny(), folder_.path("part"), "--max-tensors", "10"}, 2)["code"], "invalid_argument");
    EXPECT_EQ(bytes(folder_.path("part-00002-of-00002.gguf")), "mine");
    json_of({"split", tiny(), folder_.path("part.gguf"), "--max-tensors", "10", "--force"});
    EXPECT_TRUE(std::filesystem::exists(folder_.path("part-00001-of-00002.gguf")));

    EXPECT_THAT(error_of({"merge", tiny(), folder_.path("out.gguf")}, 2)["message"].get<std::string>(),
                HasSubstr("no GGUF model in several files"));
    EXPECT_EQ(error_of({"merge", tiny()}, 2)["code"], "invalid_argument");
    std::filesystem::remove(folder_.path("part-00001-of-00002.gguf"));
    EXPECT_EQ(error_of({"merge", folder_.path("part-00002-of-00002.gguf"), folder_.path("out.gguf")}, 3)["code"],
              "file_not_found");
}

}  // namespace
}  // namespace puna::cli
