#include "base/memory_lock.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace puna::base {
namespace {

/// The user's own limit holds for a process without capabilities.
void give_up_capabilities() {
    struct Header {
        std::uint32_t version = 0x20080522;  // _LINUX_CAPABILITY_VERSION_3
        int pid = 0;
    } header;
    std::array<std::uint32_t, 6> none{};
    syscall(SYS_capset, &header, none.data());
}

TEST(LockMemory, ARefusalNamesTheLimitAndWhatToDo) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
        const rlimit limit{8 * page, 8 * page};
        setrlimit(RLIMIT_MEMLOCK, &limit);
        give_up_capabilities();
        void* memory = mmap(nullptr, 64 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        const std::span<const std::byte> bytes(static_cast<const std::byte*>(memory), 64 * page);
        if (!lock_memory(bytes.first(4 * page), "a few pages").ok()) _exit(1);
        const auto refused = lock_memory(bytes, "many pages");
        if (refused.ok()) _exit(2);
        const auto says = [](const std::string& text, const std::string& part) {
            return text.find(part) != std::string::npos;
        };
        const Error& error = refused.error();
        if (error.code != ErrorCode::out_of_memory) _exit(3);
        if (!says(error.message, "many pages") || !says(error.message, std::to_string(8 * page))) _exit(4);
        _exit(says(error.hint, "ulimit -l") ? 0 : 5);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(LockMemory, NothingIsLockedAtOnce) {
    EXPECT_TRUE(lock_memory({}, "nothing").ok());
}

}  // namespace
}  // namespace puna::base
