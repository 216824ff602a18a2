#include "base/memory_lock.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

namespace puna::base {

Result<void> lock_memory(std::span<const std::byte> part, std::string_view what) {
    // The call itself: under sanitizers, the function does nothing.
    if (part.empty() || syscall(SYS_mlock, part.data(), part.size()) == 0) return {};
    const int number = errno;
    rlimit limit{};
    std::string allowed;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        allowed = fmt::format("; this process may lock {} bytes", limit.rlim_cur);
    return Error{ErrorCode::out_of_memory,
                 fmt::format("cannot lock {} bytes of {} in memory: {}{}", part.size(), what,
                             std::generic_category().message(number), allowed),
                 "raise the limit of locked memory (ulimit -l unlimited in the shell, LimitMEMLOCK=infinity for a "
                 "service), or do not lock"};
}

}  // namespace puna::base
