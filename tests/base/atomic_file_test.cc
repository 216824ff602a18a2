#include "base/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "base/temporary_folder.h"

namespace puna::base {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

AtomicFile must_create(const std::string& path) {
    auto file = AtomicFile::create(path);
    if (!file.ok()) ADD_FAILURE() << file.error().message;
    return std::move(file).value();
}

TEST(AtomicFile, ReplacesTheFileOnCommitAndNotBefore) {
    const TemporaryFolder folder;
    const std::string path = folder.write("session", "old");
    AtomicFile file = must_create(path);
    ASSERT_TRUE(file.write(bytes_of("new ")).ok());
    ASSERT_TRUE(file.write(bytes_of("")).ok());
    ASSERT_TRUE(file.write(bytes_of("content")).ok());
    EXPECT_EQ(content_of(path), "old");
    ASSERT_TRUE(file.commit().ok());
    EXPECT_EQ(content_of(path), "new content");
    EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, PutsALongFileTogetherFromPiecesOfAnyLength) {
    const TemporaryFolder folder;
    const std::string path = folder.path("model");
    constexpr std::size_t mebibyte = std::size_t{1} << 20;
    std::string content(std::size_t{9} * mebibyte + 5, '\0');
    for (std::size_t i = 0; i < content.size(); ++i)
        content[i] = static_cast<char>(i * 2654435761u >> 13);
    for (const std::size_t piece : {std::size_t{700001}, 2 * mebibyte, 3 * mebibyte - 1, content.size()}) {
        AtomicFile file = must_create(path);
        for (std::size_t at = 0; at < content.size(); at += piece)
            ASSERT_TRUE(file.write(bytes_of(std::string_view(content).substr(at, piece))).ok());
        ASSERT_TRUE(file.commit().ok());
        EXPECT_TRUE(content_of(path) == content) << "pieces of " << piece;
    }
}

TEST(AtomicFile, AFullDiskShowsAtTheLatestOnCommit) {
    const TemporaryFolder folder;
    const std::string path = folder.write("model", "old");
    const std::string content(std::size_t{5} << 20, 'x');
    struct rlimit before = {};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
    const struct rlimit small = {(std::size_t{4} << 20) + 100, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    AtomicFile file = must_create(path);
    const bool written = file.write(bytes_of(content)).ok();
    const auto committed = file.commit();
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, ignored);
    EXPECT_TRUE(written);  // the last MiB is held back
    ASSERT_FALSE(committed.ok());
    EXPECT_EQ(committed.error().code, ErrorCode::io_error);
    EXPECT_EQ(content_of(path), "old");
    EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, MakesAFileForItsOwnerAlone) {
    const TemporaryFolder folder;
    const mode_t mask = umask(0);
    AtomicFile file = must_create(folder.path("session"));
    EXPECT_FALSE(std::filesystem::exists(folder.path("session")));
    ASSERT_TRUE(file.commit().ok());
    umask(mask);
    struct stat status = {};
    ASSERT_EQ(stat(folder.path("session").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600u);
    EXPECT_EQ(status.st_size, 0);
}

TEST(AtomicFile, MakesAFileForWhomTheUmaskLets) {
    const TemporaryFolder folder;
    const mode_t mask = umask(027);
    auto file = AtomicFile::create(folder.path("model"), AtomicFile::Access::as_usual);
    umask(mask);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->commit().ok());
    struct stat status = {};
    ASSERT_EQ(stat(folder.path("model").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0640u);
}

TEST(AtomicFile, DroppedWithoutCommitLeavesNothing) {
    const TemporaryFolder folder;
    const std::string path = folder.write("session", "old");
    {
        AtomicFile file = must_create(path);
        ASSERT_TRUE(file.write(bytes_of("part of the new")).ok());
        EXPECT_EQ(folder.entries(), 2u);
        AtomicFile moved = std::move(file);
        AtomicFile other = must_create(path);
        other = std::move(moved);  // drops what `other` had begun
        EXPECT_EQ(folder.entries(), 2u);
    }
    EXPECT_EQ(content_of(path), "old");
    EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, RemovesWhatKilledWritersLeft) {
    const TemporaryFolder folder;
    folder.write(".puna-0123456789abcd.tmp", "left behind");
    const std::vector<std::string> others = {".puna-0123456789abcd.tmp2", ".puna-0123456789abcg.tmp", ".puna-01.tmp",
                                             "puna-0123456789abcd.tmp", "talk.tmp"};
    for (const std::string& name : others)
        folder.write(name, "somebody else's");
    std::filesystem::create_symlink(folder.path("talk.tmp"), folder.path(".puna-ffffffffffffff.tmp"));
    std::filesystem::create_directory(folder.path(".puna-eeeeeeeeeeeeee.tmp"));
    AtomicFile living = must_create(folder.path("living"));
    ASSERT_TRUE(living.write(bytes_of("not yet")).ok());

    AtomicFile file = must_create(folder.path("session"));
    EXPECT_FALSE(std::filesystem::exists(folder.path(".puna-0123456789abcd.tmp")));
    for (const std::string& name : others)
        EXPECT_TRUE(std::filesystem::exists(folder.path(name))) << name;
    EXPECT_TRUE(std::filesystem::is_symlink(folder.path(".puna-ffffffffffffff.tmp")));
    EXPECT_EQ(folder.entries(), others.size() + 4);  // the link, the folder, and two that are being written
    ASSERT_TRUE(file.commit().ok());
    ASSERT_TRUE(living.commit().ok());
    EXPECT_EQ(content_of(folder.path("living")), "not yet");
}

TEST(AtomicFile, WritersDoNotMeet) {
    const TemporaryFolder folder;
    const std::string path = folder.path("session");
    AtomicFile first = must_create(path);
    AtomicFile second = must_create(path);
    ASSERT_TRUE(first.write(bytes_of("first")).ok());
    ASSERT_TRUE(second.write(bytes_of("second")).ok());
    ASSERT_TRUE(second.commit().ok());
    EXPECT_EQ(content_of(path), "second");
    ASSERT_TRUE(first.commit().ok());
    EXPECT_EQ(content_of(path), "first");
}

TEST(AtomicFile, ALinkStaysALink) {
    const TemporaryFolder folder;
    const std::string real = folder.write("real/session", "old");
    std::filesystem::create_symlink("real/session", folder.path("link"));
    std::filesystem::create_symlink("link", folder.path("link to link"));
    std::filesystem::create_symlink("real/later", folder.path("dangling"));
    for (const char* name : {"link to link", "dangling"}) {
        AtomicFile file = must_create(folder.path(name));
        ASSERT_TRUE(file.write(bytes_of("new")).ok());
        ASSERT_TRUE(file.commit().ok());
        EXPECT_TRUE(std::filesystem::is_symlink(folder.path(name)));
    }
    EXPECT_EQ(content_of(real), "new");
    EXPECT_EQ(content_of(folder.path("real/later")), "new");
    std::filesystem::create_symlink("circle", folder.path("circle"));
    EXPECT_FALSE(AtomicFile::create(folder.path("circle")).ok());
}

TEST(AtomicFile, RelativePathsHoldWhenTheWorkingFolderChanges) {
    const TemporaryFolder folder;
    const std::filesystem::path before = std::filesystem::current_path();
    std::filesystem::current_path(folder.path());
    AtomicFile file = must_create("session");
    std::filesystem::current_path(before);
    ASSERT_TRUE(file.write(bytes_of("here")).ok());
    ASSERT_TRUE(file.commit().ok());
    EXPECT_EQ(content_of(folder.path("session")), "here");
}

TEST(AtomicFile, ALongNameHasRoomForTheTemporary) {
    const TemporaryFolder folder;
    const std::string path = folder.path(std::string(255, 'n'));
    AtomicFile file = must_create(path);
    ASSERT_TRUE(file.commit().ok());
    EXPECT_TRUE(std::filesystem::exists(path));
}

TEST(AtomicFile, WhatCannotBeWrittenIsAnError) {
    const TemporaryFolder folder;
    const std::string file_path = folder.write("file", "x");
    for (const std::string& path :
         {folder.path("missing/session"), folder.path(), folder.path() + "/", file_path + "/x", std::string(),
          std::string("/dev/null"), folder.path(std::string(256, 'n'))}) {
        const auto file = AtomicFile::create(path);  // before anything is written
        ASSERT_FALSE(file.ok()) << path;
        EXPECT_EQ(file.error().code, ErrorCode::io_error);
        EXPECT_NE(file.error().hint, "") << path;
    }
    EXPECT_NE(AtomicFile::create(folder.path("missing/session")).error().message.find("missing/session"),
              std::string::npos);
    EXPECT_EQ(folder.entries(), 1u);
}

TEST(AtomicFile, AFailedWriteNeverReplacesTheFile) {
    const TemporaryFolder folder;
    const std::string path = folder.write("session", "old");
    AtomicFile file = must_create(path);
    // A limit on the size of files stands for the full disk.
    rlimit before = {};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small = {1000, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto written = file.write(bytes_of(std::string(5000, 'x')));
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);

    ASSERT_FALSE(written.ok());
    EXPECT_EQ(written.error().code, ErrorCode::io_error);
    EXPECT_FALSE(file.commit().ok());
    EXPECT_EQ(content_of(path), "old");
    EXPECT_EQ(folder.entries(), 1u);
}

}  // namespace
}  // namespace puna::base
