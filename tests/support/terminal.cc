#include "support/terminal.h"

#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>

#include "support/process.h"

extern char** environ;

namespace puna::support {
Terminal::Terminal(std::vector<std::string> command, const std::vector<std::string>& environment) {
    std::vector<std::string> variables = environment;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        if (!std::string_view(*variable).starts_with("PUNA_")) variables.emplace_back(*variable);
    }
    const std::vector<char*> arguments = pointers(command);
    const std::vector<char*> values = pointers(variables);
    winsize size = {};
    size.ws_row = 40;
    size.ws_col = 120;
    child_ = forkpty(&master_, nullptr, nullptr, &size);
    if (child_ < 0) throw std::runtime_error("cannot open a terminal");
    if (child_ == 0) {
        signal(SIGINT, SIG_DFL);
        signal(SIGPIPE, SIG_DFL);
        execve(arguments[0], arguments.data(), values.data());
        _exit(127);
    }
}

Terminal::~Terminal() {
    if (master_ >= 0) close(master_);
    if (child_ < 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
}

void Terminal::type(std::string_view keys) {
    while (!keys.empty()) {
        const ssize_t written = write(master_, keys.data(), keys.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) throw std::runtime_error("the terminal takes no keys");
        keys.remove_prefix(static_cast<std::size_t>(written));
    }
}

bool Terminal::read_some() {
    std::array<char, 4096> buffer;
    const ssize_t got = read(master_, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) return false;  // EIO: nobody has it open any more
    screen_.append(buffer.data(), static_cast<std::size_t>(got));
    return true;
}

bool Terminal::wait_for(std::string_view text) {
    while (true) {
        if (const std::size_t found = screen_.find(text, seen_); found != std::string::npos) {
            seen_ = found + text.size();
            return true;
        }
        if (!read_some()) return false;
    }
}

int Terminal::finish() {
    while (read_some()) {
    }
    int status = 0;
    while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace puna::support
