#include "cli/interrupt.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <iterator>
#include <utility>

namespace puna::cli {
namespace {

// What the handler touches: lock-free, and alive as long as the process.
std::atomic<bool> signalled{false};
std::atomic<int> wake_descriptor{-1};
std::atomic<int> reading_descriptor{-1};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

constexpr char interrupt_byte = 'i';
constexpr char quit_byte = 'q';

void send(int descriptor, char byte) {
    while (::write(descriptor, &byte, 1) < 0 && errno == EINTR) {
    }
}

void on_reading_signal(int) {
    const int saved_errno = errno;
    send(reading_descriptor.load(), interrupt_byte);  // a full pipe holds one already
    errno = saved_errno;
}

void on_signal(int) {
    const int saved_errno = errno;
    signalled.store(true);
    send(wake_descriptor.load(), interrupt_byte);
    errno = saved_errno;
}

}  // namespace

InterruptWatch::InterruptWatch(Second second) {
    signalled.store(false);
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return;  // out of descriptors: Ctrl-C then ends the process at once
    read_end_ = ends[0];
    write_end_ = ends[1];
    wake_descriptor.store(write_end_);
    thread_ = std::thread([this] { watch(); });

    struct sigaction action = {};
    action.sa_handler = on_signal;
    // RESETHAND: the second signal finds the default disposition.
    action.sa_flags = SA_RESTART | (second == Second::ends_process ? static_cast<int>(SA_RESETHAND) : 0);
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, &previous_);
}

InterruptWatch::~InterruptWatch() {
    if (write_end_ < 0) return;
    ::sigaction(SIGINT, &previous_, nullptr);
    send(write_end_, quit_byte);
    thread_.join();
    wake_descriptor.store(-1);
    ::close(read_end_);
    ::close(write_end_);
}

bool InterruptWatch::interrupted() const {
    return signalled.load();
}

void InterruptWatch::set_action(std::function<void()> action) {
    const std::lock_guard lock(mutex_);
    action_ = std::move(action);
    if (action_ && signalled.load() && !acted_) {
        acted_ = true;
        action_();
    }
}

void InterruptWatch::watch() {
    while (true) {
        char byte = 0;
        const ssize_t got = ::read(read_end_, &byte, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got != 1 || byte == quit_byte) return;
        const std::lock_guard lock(mutex_);
        if (action_ && !acted_) {
            acted_ = true;
            action_();
        }
    }
}

ReadingInterrupts::ReadingInterrupts() {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;  // out of descriptors: Ctrl-C then ends the process at once
    read_end_ = ends[0];
    write_end_ = ends[1];
    reading_descriptor.store(write_end_);
    struct sigaction action = {};
    action.sa_handler = on_reading_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    ::sigaction(SIGINT, &action, &previous_);
}

ReadingInterrupts::~ReadingInterrupts() {
    if (write_end_ < 0) return;
    ::sigaction(SIGINT, &previous_, nullptr);
    reading_descriptor.store(-1);
    ::close(read_end_);
    ::close(write_end_);
}

bool ReadingInterrupts::wait_for_input() const {
    pollfd ends[] = {{read_end_, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};  // a descriptor of -1 is passed over
    while (::poll(ends, std::size(ends), -1) < 0) {
        if (errno != EINTR) return true;  // let the reading tell what is wrong
    }
    if (ends[0].revents == 0) return true;
    char byte = 0;
    while (::read(read_end_, &byte, 1) == 1) {
    }
    return false;
}

}  // namespace puna::cli
