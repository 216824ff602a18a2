#include "base/text_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <exception>
#include <vector>

#include "base/file_descriptor.h"
#include "base/system_error.h"

namespace puna::base {
namespace {

constexpr std::size_t kChunk = 1 << 16;  // bytes per read

Result<std::string> read_to_end(int fd, const std::string& name) try {
    std::string text;
    std::vector<char> chunk(kChunk);
    while (true) {
        const ssize_t got = read(fd, chunk.data(), chunk.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return system_error(read_error_code(errno), "read", name, errno);
        if (got == 0) return text;
        text.append(chunk.data(), static_cast<std::size_t>(got));
    }
} catch (const std::exception&) {  // std::bad_alloc, std::length_error
    return system_error(ErrorCode::out_of_memory, "read", name, ENOMEM);
}

}  // namespace

Result<std::string> read_text_file(const std::string& path) {
    if (path == "-") return read_to_end(STDIN_FILENO, "standard input");
    if (path.find('\0') != std::string::npos) return system_error(ErrorCode::file_not_found, "open", path, ENOENT);
    const FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file.valid()) return system_error(read_error_code(errno), "open", path, errno);
    return read_to_end(file.get(), path);
}

std::optional<std::string> environment_variable(const std::string& name) {
    const char* const value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string(value);
}

}  // namespace puna::base
