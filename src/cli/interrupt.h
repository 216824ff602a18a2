// Ctrl-C: the first one asks the work to end, the second ends the process.
#pragma once

#include <signal.h>

#include <functional>
#include <mutex>
#include <thread>

namespace puna::cli {

/// Catches SIGINT while it lives; one at a time. What SIGINT did before, it does again afterwards.
class InterruptWatch {
  public:
    /// What a second SIGINT does: its default effect, or nothing.
    enum class Second { ends_process, is_ignored };
    explicit InterruptWatch(Second second = Second::ends_process);
    ~InterruptWatch();
    InterruptWatch(const InterruptWatch&) = delete;
    InterruptWatch& operator=(const InterruptWatch&) = delete;

    bool interrupted() const;
    /// `action` runs once on SIGINT, on a thread of the watch and not in the signal handler, so it may take locks; at
    /// once if the signal came already. An empty action takes the last one back and waits for it if it is running.
    void set_action(std::function<void()> action);

  private:
    void watch();

    struct sigaction previous_ = {};
    int read_end_ = -1;
    int write_end_ = -1;
    std::mutex mutex_;
    std::function<void()> action_;
    bool acted_ = false;
    std::thread thread_;
};

/// While it lives, SIGINT ends no more than the waiting for input; one at a time. It is remembered until somebody
/// waits, so that none is lost that comes between two lines. What SIGINT did before, it does again afterwards.
class ReadingInterrupts {
  public:
    ReadingInterrupts();
    ~ReadingInterrupts();
    ReadingInterrupts(const ReadingInterrupts&) = delete;
    ReadingInterrupts& operator=(const ReadingInterrupts&) = delete;

    /// Waits until standard input can be read, or is at its end. False: SIGINT came, which is used up by this answer.
    bool wait_for_input() const;

  private:
    struct sigaction previous_ = {};
    int read_end_ = -1;
    int write_end_ = -1;
};

}  // namespace puna::cli
