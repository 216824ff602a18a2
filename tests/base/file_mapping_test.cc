#include "base/file_mapping.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/mapping_guard.h"
#include "base/prefault.h"
#include "base/temporary_folder.h"

namespace puna::base {
namespace {

const std::size_t kPage = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));

/// `size` bytes without a zero among them.
std::string pattern(std::size_t size) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i)
        text[i] = static_cast<char>(1 + i % 251);
    return text;
}

std::shared_ptr<const FileMapping> must_open(const std::string& path) {
    auto mapping = FileMapping::open(path);
    if (!mapping.ok()) {
        ADD_FAILURE() << mapping.error().message;
        std::abort();
    }
    return std::move(mapping).value();
}

std::string text_of(const FileMapping& mapping) {
    return {reinterpret_cast<const char*>(mapping.bytes().data()), mapping.bytes().size()};
}

ErrorCode open_error(const std::string& path) {
    const auto mapping = FileMapping::open(path);
    EXPECT_FALSE(mapping.ok());
    return mapping.ok() ? ErrorCode::cancelled : mapping.error().code;
}

TEST(FileMapping, HoldsTheFilesBytes) {
    const TemporaryFolder folder;
    for (const std::size_t size : {std::size_t{1}, kPage - 1, kPage, kPage + 1, 5 * kPage + 7}) {
        const auto mapping = must_open(folder.write("file", pattern(size)));
        EXPECT_EQ(text_of(*mapping), pattern(size));
        EXPECT_FALSE(mapping->lost());
        EXPECT_TRUE(mapping->check().ok());
    }
}

TEST(FileMapping, ReleasedPagesComeBackWhenTheyAreRead) {
    const TemporaryFolder folder;
    const std::size_t size = 6 * kPage + 7;
    const auto mapping = must_open(folder.write("file", pattern(size)));
    const std::span<const std::byte> bytes = mapping->bytes();
    for (const auto part :
         {bytes, bytes.first(0), bytes.last(1), bytes.subspan(1, kPage - 2), bytes.subspan(1, 3 * kPage)}) {
        mapping->release_pages(part);
        EXPECT_EQ(text_of(*mapping), pattern(size));
    }
    EXPECT_TRUE(mapping->check().ok());
}

TEST(FileMapping, ReadIntoMemoryItHasTheSameBytesAtTheSamePlaceWhateverBecomesOfTheFile) {
    const TemporaryFolder folder;
    for (const std::size_t size : {std::size_t{1}, 3 * kPage, (std::size_t{5} << 20) + 7, std::size_t{16} << 20}) {
        const std::string path = folder.write("file", pattern(size));
        const auto mapping = must_open(path);
        const std::byte* const place = mapping->bytes().data();
        std::vector<std::uint64_t> steps;
        ASSERT_TRUE(mapping->read_into_memory([&](std::uint64_t bytes) { steps.push_back(bytes); }).ok());
        EXPECT_TRUE(std::is_sorted(steps.begin(), steps.end()));
        EXPECT_EQ(steps.back(), size);
        EXPECT_EQ(mapping->bytes().data(), place);
        EXPECT_EQ(truncate(path.c_str(), 0), 0);
        mapping->release_pages(mapping->bytes());
        mapping->fetch_pages(mapping->bytes());
        EXPECT_EQ(text_of(*mapping), pattern(size));
        EXPECT_TRUE(mapping->check().ok());
        EXPECT_FALSE(mapping->lost());
        EXPECT_TRUE(mapping->read_into_memory([](std::uint64_t) {}).ok());
    }
}

TEST(FileMapping, AFileThatWasCutShortCannotBeReadIntoMemory) {
    const TemporaryFolder folder;
    const std::string path = folder.write("file", pattern(8 * kPage));
    const auto mapping = must_open(path);
    ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(3 * kPage)), 0);
    const auto read = mapping->read_into_memory([](std::uint64_t) {});
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, ErrorCode::file_changed);
    mapping->fetch_pages(mapping->bytes());
    EXPECT_EQ(text_of(*mapping).substr(0, 3 * kPage), pattern(3 * kPage));
}

TEST(FileMapping, PrefaultingEndsWhenItIsDoneOrNoLongerWanted) {
    const TemporaryFolder folder;
    const auto mapping = must_open(folder.write("file", pattern(std::size_t{20} << 20)));
    const auto empty = must_open(folder.write("empty", ""));
    {
        const Prefault prefault({empty, mapping});
    }
    EXPECT_EQ(text_of(*mapping), pattern(std::size_t{20} << 20));
}

TEST(FileMapping, AnEmptyFileHasNoBytes) {
    const TemporaryFolder folder;
    const std::string path = folder.write("empty", "");
    const auto mapping = must_open(path);
    EXPECT_TRUE(mapping->bytes().empty());
    EXPECT_FALSE(mapping->lost());
    EXPECT_TRUE(mapping->check().ok());
    folder.write("empty", "no longer");
    EXPECT_FALSE(mapping->check().ok());
}

TEST(FileMapping, WhatIsNoFileIsAnError) {
    const TemporaryFolder folder;
    const std::string path = folder.write("file", "x");
    ASSERT_EQ(mkfifo(folder.path("pipe").c_str(), 0600), 0);
    EXPECT_EQ(open_error(folder.path("nothing")), ErrorCode::file_not_found);
    EXPECT_EQ(open_error(path + "/below"), ErrorCode::file_not_found);
    EXPECT_EQ(open_error(std::string(path).append("\0junk", 5)), ErrorCode::file_not_found);
    EXPECT_EQ(open_error(""), ErrorCode::file_not_found);
    EXPECT_EQ(open_error(folder.path()), ErrorCode::file_unreadable);
    EXPECT_EQ(open_error("/dev/zero"), ErrorCode::file_unreadable);
    EXPECT_EQ(open_error(folder.path("pipe")), ErrorCode::file_unreadable);  // and does not wait for a writer
    const auto missing = FileMapping::open(folder.path("nothing"));
    EXPECT_NE(missing.error().message.find(folder.path("nothing")), std::string::npos);
    EXPECT_NE(missing.error().message.find("No such file"), std::string::npos);
}

TEST(FileMapping, TruncationGivesZerosAndALostMapping) {
    const TemporaryFolder folder;
    const std::string path = folder.write("file", pattern(8 * kPage));
    const std::string other_path = folder.write("other", pattern(8 * kPage));
    const auto mapping = must_open(path);
    const auto other = must_open(other_path);
    const auto second = must_open(path);  // of the same file
    ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(2 * kPage)), 0);

    const std::string expected = pattern(8 * kPage).substr(0, 2 * kPage) + std::string(6 * kPage, '\0');
    EXPECT_FALSE(mapping->lost());
    EXPECT_EQ(text_of(*mapping), expected);
    EXPECT_TRUE(mapping->lost());
    const auto check = mapping->check();
    ASSERT_FALSE(check.ok());
    EXPECT_EQ(check.error().code, ErrorCode::file_changed);
    EXPECT_NE(check.error().message.find(path), std::string::npos);

    EXPECT_EQ(text_of(*other), pattern(8 * kPage));
    EXPECT_FALSE(other->lost());
    EXPECT_TRUE(other->check().ok());

    EXPECT_FALSE(second->lost());        // it met no fault yet,
    EXPECT_FALSE(second->check().ok());  // but its file is known to be shorter,
    EXPECT_EQ(text_of(*second), expected);
    EXPECT_TRUE(second->lost());
}

TEST(FileMapping, ZerosBeginAtTheFault) {
    const TemporaryFolder folder;
    const std::string path = folder.write("file", pattern(8 * kPage));
    const auto mapping = must_open(path);
    ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(kPage)), 0);
    EXPECT_EQ(mapping->bytes()[6 * kPage + 5], std::byte{0});
    EXPECT_TRUE(mapping->lost());
    EXPECT_EQ(mapping->bytes()[0], std::byte{1});
    EXPECT_EQ(mapping->bytes()[3 * kPage], std::byte{0});  // a second fault, before the first
    EXPECT_EQ(mapping->bytes()[8 * kPage - 1], std::byte{0});
    // The file's return does not mend what was read in between.
    folder.write("file", pattern(8 * kPage));
    EXPECT_FALSE(mapping->check().ok());
}

TEST(FileMapping, TruncationWithinAPageIsNoticedWithoutAFault) {
    const TemporaryFolder folder;
    const std::string path = folder.write("file", pattern(kPage + 100));
    const auto mapping = must_open(path);
    ASSERT_EQ(truncate(path.c_str(), static_cast<off_t>(kPage + 10)), 0);
    EXPECT_EQ(mapping->bytes()[kPage + 50], std::byte{0});
    EXPECT_FALSE(mapping->lost());
    const auto check = mapping->check();
    ASSERT_FALSE(check.ok());
    EXPECT_EQ(check.error().code, ErrorCode::file_changed);
}

TEST(FileMapping, ReplacementByRenameDoesNoHarm) {
    const TemporaryFolder folder;
    const std::string path = folder.write("file", pattern(3 * kPage));
    const auto mapping = must_open(path);
    std::filesystem::rename(folder.write("new", "short"), path);
    EXPECT_EQ(text_of(*mapping), pattern(3 * kPage));
    EXPECT_TRUE(mapping->check().ok());
    std::filesystem::remove(path);
    EXPECT_TRUE(mapping->check().ok());
}

TEST(FileMapping, ASlotIsFreshWhenItIsUsedAgain) {
    const TemporaryFolder folder;
    for (int round = 0; round < 3; ++round) {
        const std::string path = folder.write("file", pattern(4 * kPage));
        const auto mapping = must_open(path);
        EXPECT_FALSE(mapping->lost());
        ASSERT_EQ(truncate(path.c_str(), 0), 0);
        EXPECT_EQ(mapping->bytes()[0], std::byte{0});
        EXPECT_TRUE(mapping->lost());
    }
}

TEST(FileMapping, ManyThreadsMayFaultAtOnce) {
    const TemporaryFolder folder;
    const std::size_t pages = 64;
    const std::string path = folder.write("file", pattern(pages * kPage));
    const std::string churn_path = folder.write("churn", "x");
    const auto mapping = must_open(path);
    ASSERT_EQ(truncate(path.c_str(), 0), 0);
    std::vector<std::thread> threads;
    std::vector<std::uint64_t> sums(4);
    for (std::size_t t = 0; t < sums.size(); ++t) {
        threads.emplace_back([&, t] {
            for (std::size_t page = 0; page < pages; ++page) {  // from the end, so that each page faults
                const std::size_t at = (pages - 1 - page) * kPage + t;
                sums[t] += static_cast<std::uint64_t>(mapping->bytes()[at]);
                if (!mapping->lost()) sums[t] += 1000;  // who reads zeros finds the mark
            }
        });
    }
    threads.emplace_back([&] {  // the table changes meanwhile
        for (int i = 0; i < 200; ++i)
            must_open(churn_path);
    });
    for (std::thread& thread : threads)
        thread.join();
    for (const std::uint64_t sum : sums)
        EXPECT_EQ(sum, 0u);
}

TEST(FileMapping, AFullTableIsAnError) {
    const std::byte* const nowhere = reinterpret_cast<const std::byte*>(kPage);
    std::vector<std::size_t> taken;
    while (const auto slot = guard_range(nowhere, kPage))
        taken.push_back(*slot);
    EXPECT_LE(taken.size(), kGuardSlots);
    EXPECT_GE(taken.size(), kGuardSlots - 100);
    const TemporaryFolder folder;
    const std::string path = folder.write("file", "x");
    EXPECT_EQ(open_error(path), ErrorCode::out_of_memory);
    for (const std::size_t slot : taken)
        release_guard(slot);
    EXPECT_TRUE(FileMapping::open(path).ok());
}

// Faults that are not ours. Each statement below runs in a process of its own, in which no mapping was made before.
class ForeignFault : public testing::Test {
  protected:
    ForeignFault() { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};
using ForeignFaultDeathTest = ForeignFault;

/// Reads behind the end of a file that FileMapping knows nothing of, while it guards another.
void fault_elsewhere(const TemporaryFolder& folder) {
    const auto ours = must_open(folder.write("ours", pattern(2 * kPage)));
    const std::string path = folder.write("foreign", pattern(2 * kPage));
    FILE* const file = fopen(path.c_str(), "r");
    void* const data = mmap(nullptr, 2 * kPage, PROT_READ, MAP_PRIVATE, fileno(file), 0);
    if (data == MAP_FAILED || truncate(path.c_str(), 0) != 0) _exit(99);
    const volatile char* const bytes = static_cast<const volatile char*>(data);
    _exit(bytes[kPage] == 0 ? 98 : 97);  // not reached: the previous handler ends the process
}

void install(void (*handler)(int)) {
    struct sigaction action = {};
    action.sa_handler = handler;
    sigaction(SIGBUS, &action, nullptr);
}

void install_with_info(void (*handler)(int, siginfo_t*, void*)) {
    struct sigaction action = {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGBUS, &action, nullptr);
}

TEST_F(ForeignFaultDeathTest, ReachesThePreviousHandler) {
    const TemporaryFolder folder;
    EXPECT_EXIT(
        {
            install([](int signal_number) { _exit(signal_number == SIGBUS ? 42 : 1); });
            fault_elsewhere(folder);
        },
        testing::ExitedWithCode(42), "");
}

TEST_F(ForeignFaultDeathTest, ReachesThePreviousHandlerWithItsAddress) {
    const TemporaryFolder folder;
    EXPECT_EXIT(
        {
            install_with_info([](int, siginfo_t* info, void* context) {
                const bool right = info->si_code == BUS_ADRERR && info->si_addr != nullptr && context != nullptr;
                _exit(right ? 43 : 1);
            });
            fault_elsewhere(folder);
        },
        testing::ExitedWithCode(43), "");
}

TEST_F(ForeignFaultDeathTest, EndsTheProcessByDefault) {
    const TemporaryFolder folder;
    EXPECT_EXIT(
        {
            install(SIG_DFL);
            fault_elsewhere(folder);
        },
        testing::KilledBySignal(SIGBUS), "");
}

TEST_F(ForeignFaultDeathTest, CannotBeIgnored) {
    const TemporaryFolder folder;
    EXPECT_EXIT(
        {
            install(SIG_IGN);
            fault_elsewhere(folder);
        },
        testing::KilledBySignal(SIGBUS), "");
}

TEST_F(ForeignFaultDeathTest, ASentSignalIsIgnoredIfItWasBefore) {
    const TemporaryFolder folder;
    const std::string path = folder.write("file", "x");
    EXPECT_EXIT(
        {
            install(SIG_IGN);
            const auto mapping = must_open(path);
            raise(SIGBUS);
            _exit(mapping->lost() ? 1 : 44);
        },
        testing::ExitedWithCode(44), "");
}

TEST_F(ForeignFaultDeathTest, ASentSignalEndsTheProcessByDefault) {
    const TemporaryFolder folder;
    const std::string path = folder.write("file", "x");
    EXPECT_EXIT(
        {
            install(SIG_DFL);
            const auto mapping = must_open(path);
            raise(SIGBUS);
            _exit(1);
        },
        testing::KilledBySignal(SIGBUS), "");
}

TEST_F(ForeignFaultDeathTest, AFaultOfOursStaysWithUs) {
    const TemporaryFolder folder;
    const std::string path = folder.write("file", pattern(2 * kPage));
    EXPECT_EXIT(
        {
            install([](int) { _exit(1); });
            const auto mapping = must_open(path);
            if (truncate(path.c_str(), 0) != 0) _exit(2);
            errno = 7;
            const bool zero = mapping->bytes()[kPage] == std::byte{0};
            _exit(zero && errno == 7 && mapping->lost() ? 45 : 3);
        },
        testing::ExitedWithCode(45), "");
}

}  // namespace
}  // namespace puna::base
