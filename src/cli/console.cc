#include "cli/console.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "formats/printable.h"

namespace puna::cli {
namespace {

/// 0, or the errno of the write that failed.
int write_all(int descriptor, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(descriptor, text.data(), text.size());
        if (written < 0) {
            if (errno == EINTR) continue;
            return errno;
        }
        text.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
}

}  // namespace

std::string json_line(const Json& value) {
    return value.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

double nine_digits(double value) {
    const std::string digits = fmt::format("{:.9g}", value);
    return std::strtod(digits.c_str(), nullptr) + 0.0;  // + 0.0: no negative zero
}

Result<void> Output::write(std::string_view text) {
    if (closed_) return {};
    const int failure = write_all(STDOUT_FILENO, text);
    if (failure == EPIPE) {
        closed_ = true;
        return {};
    }
    if (failure != 0) {
        return Error{ErrorCode::io_error, fmt::format("cannot write to standard output: {}", std::strerror(failure)),
                     "is there space left where it goes?"};
    }
    return {};
}

Result<void> Output::write_line(std::string_view text) {
    std::string line(text);
    line += '\n';
    return write(line);
}

void guard_standard_descriptors() {
    for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
        // It takes the lowest number that is free, which is this one.
        if (::open("/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY) != descriptor) return;
    }
}

bool Output::is_terminal() const {
    return ::isatty(STDOUT_FILENO) == 1;
}

void talk(std::string_view text) {
    write_all(STDERR_FILENO, text);
}

void note(std::string_view message) {
    talk(fmt::format("puna: {}\n", message));
}

void report_error(const Error& error, bool json) {
    if (json) {
        const Json line = {
            {"error",
             {{"code", std::string(error_code_name(error.code))}, {"message", error.message}, {"hint", error.hint}}}};
        talk(json_line(line) + "\n");
        return;
    }
    // Words from files and the command line end up here: a terminal must not obey them.
    constexpr std::size_t longest = 4096;
    std::string text = fmt::format("puna: error: {}\n", formats::printable(error.message, longest));
    if (!error.hint.empty()) text += fmt::format("puna: hint: {}\n", formats::printable(error.hint, longest));
    talk(text);
}

}  // namespace puna::cli
