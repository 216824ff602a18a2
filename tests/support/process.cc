#include "support/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>
#include <string_view>
#include <system_error>
#include <thread>

extern char** environ;

namespace puna::support {
namespace {

struct Pipe {
    int read_end = -1;
    int write_end = -1;
};

Pipe make_pipe() {
    std::array<int, 2> ends = {-1, -1};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
    return {ends[0], ends[1]};
}

void close_end(int& descriptor) {
    if (descriptor >= 0) close(descriptor);
    descriptor = -1;
}

void feed(int descriptor, std::string_view input) {
    while (!input.empty()) {
        const ssize_t written = write(descriptor, input.data(), input.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) break;  // the child reads no more
        input.remove_prefix(static_cast<std::size_t>(written));
    }
    close(descriptor);
}

}  // namespace

std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> out;
    for (std::string& word : words)
        out.push_back(word.data());
    out.push_back(nullptr);
    return out;
}

Process::Process(std::vector<std::string> command, const ProcessOptions& options) {
    signal(SIGPIPE, SIG_IGN);  // a child that reads no more is seen by write
    std::vector<std::string> variables = options.environment;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        if (!std::string_view(*variable).starts_with("PUNA_")) variables.emplace_back(*variable);
    }
    Pipe in = make_pipe();
    Pipe out = make_pipe();
    Pipe err = make_pipe();

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    if (options.input) {
        posix_spawn_file_actions_adddup2(&actions, in.read_end, STDIN_FILENO);
    } else {
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    posix_spawn_file_actions_adddup2(&actions, out.write_end, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err.write_end, STDERR_FILENO);
    // The child starts with the signals' usual effects, whatever this process does with them.
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t defaults;
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    const int failure = posix_spawn(&child_, command[0].c_str(), &actions, &attributes, pointers(command).data(),
                                    pointers(variables).data());
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close_end(in.read_end);
    close_end(out.write_end);
    close_end(err.write_end);
    out_end_ = out.read_end;
    err_end_ = err.read_end;
    if (failure != 0) {
        close_end(in.write_end);
        child_ = -1;
        throw std::system_error(failure, std::generic_category(), command[0]);
    }
    if (options.input) {
        std::thread(feed, in.write_end, *options.input).join();  // inputs of tests fit into the pipe
    } else {
        close_end(in.write_end);
    }
}

Process::~Process() {
    close_end(out_end_);
    close_end(err_end_);
    if (child_ < 0) return;
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
}

bool Process::read_some(int& descriptor, std::string& into) {
    std::array<char, 4096> buffer;
    const ssize_t got = read(descriptor, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) return true;
    if (got <= 0) {
        close_end(descriptor);
        return false;
    }
    into.append(buffer.data(), static_cast<std::size_t>(got));
    return true;
}

void Process::pump(std::size_t out_bytes, std::size_t err_bytes) {
    const auto waits = [&] {
        return (out_end_ >= 0 && out_.size() < out_bytes) || (err_end_ >= 0 && err_.size() < err_bytes);
    };
    while (waits()) {
        std::array<pollfd, 2> ends = {pollfd{out_end_, POLLIN, 0}, pollfd{err_end_, POLLIN, 0}};
        if (poll(ends.data(), ends.size(), -1) < 0) continue;
        if (out_end_ >= 0 && ends[0].revents != 0) read_some(out_end_, out_);
        if (err_end_ >= 0 && ends[1].revents != 0) read_some(err_end_, err_);
    }
}

void Process::interrupt() {
    kill(child_, SIGINT);
}

void Process::close_output() {
    close_end(out_end_);
}

int Process::finish() {
    constexpr std::size_t all = std::numeric_limits<std::size_t>::max();
    pump(all, all);
    int status = 0;
    rusage usage{};
    while (wait4(child_, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    child_ = -1;
    peak_memory_ = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace puna::support
