#include "base/text_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/temporary_folder.h"

namespace puna::base {
namespace {

TEST(ReadTextFile, GivesEveryByte) {
    const TemporaryFolder folder;
    std::string content;
    for (int i = 0; i < 200'000; ++i)
        content.push_back(static_cast<char>(i * 7));  // zeros and invalid UTF-8 too
    EXPECT_EQ(*read_text_file(folder.write("file", content)), content);
    EXPECT_EQ(*read_text_file(folder.write("empty", "")), "");
    EXPECT_EQ(read_text_file("/proc/self/status")->substr(0, 5), "Name:");  // a file whose size says 0
}

TEST(ReadTextFile, Errors) {
    const TemporaryFolder folder;
    const auto missing = read_text_file(folder.path("nothing"));
    ASSERT_FALSE(missing.ok());
    EXPECT_EQ(missing.error().code, ErrorCode::file_not_found);
    EXPECT_NE(missing.error().message.find(folder.path("nothing")), std::string::npos);
    const auto directory = read_text_file(folder.path());
    ASSERT_FALSE(directory.ok());
    EXPECT_EQ(directory.error().code, ErrorCode::file_unreadable);
    EXPECT_EQ(read_text_file("").error().code, ErrorCode::file_not_found);
}

TEST(ReadTextFile, ReadsPipes) {
    const TemporaryFolder folder;
    const std::string path = folder.path("pipe");
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    std::thread writer([&path] { std::ofstream(path) << "through a pipe"; });
    const auto text = read_text_file(path);
    writer.join();
    EXPECT_EQ(*text, "through a pipe");
}

TEST(ReadTextFile, ADashIsStandardInput) {
    const TemporaryFolder folder;
    FILE* const file = fopen(folder.write("file", "from stdin").c_str(), "r");
    ASSERT_NE(file, nullptr);
    const int saved = dup(STDIN_FILENO);
    ASSERT_EQ(dup2(fileno(file), STDIN_FILENO), STDIN_FILENO);
    const auto text = read_text_file("-");
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
    fclose(file);
    EXPECT_EQ(*text, "from stdin");
}

TEST(EnvironmentVariable, EmptyCountsAsUnset) {
    setenv("PUNA_TEST_VARIABLE", "value", 1);
    EXPECT_EQ(environment_variable("PUNA_TEST_VARIABLE"), "value");
    setenv("PUNA_TEST_VARIABLE", "", 1);
    EXPECT_EQ(environment_variable("PUNA_TEST_VARIABLE"), std::nullopt);
    unsetenv("PUNA_TEST_VARIABLE");
    EXPECT_EQ(environment_variable("PUNA_TEST_VARIABLE"), std::nullopt);
}

}  // namespace
}  // namespace puna::base
