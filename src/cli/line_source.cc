#include "cli/line_source.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/system_error.h"

namespace puna::cli {

Result<std::optional<std::string>> LineSource::next() {
    std::size_t end = 0;
    while ((end = buffer_.find('\n', searched_)) == std::string::npos) {
        searched_ = buffer_.size();
        interrupted_ = !interrupts_.wait_for_input();
        if (interrupted_) return std::optional<std::string>();
        std::array<char, 4096> chunk;
        const ssize_t got = ::read(STDIN_FILENO, chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return base::system_error(ErrorCode::file_unreadable, "read", "standard input", errno);
        if (got == 0) {
            searched_ = 0;
            return buffer_.empty() ? std::optional<std::string>() : std::exchange(buffer_, {});
        }
        buffer_.append(chunk.data(), static_cast<std::size_t>(got));
    }
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    searched_ = 0;
    if (line.ends_with('\r')) line.pop_back();
    return std::optional(std::move(line));
}

}  // namespace puna::cli
