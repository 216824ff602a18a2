// Ctrl-C: the first one asks the work to end, the second ends the process.
#pragma once

#include <functional>
#include <mutex>
#include <thread>

namespace puna::cli {

/// Catches the first SIGINT while it lives; one at a time. A second SIGINT has its default effect.
class InterruptWatch {
  public:
    InterruptWatch();
    ~InterruptWatch();
    InterruptWatch(const InterruptWatch&) = delete;
    InterruptWatch& operator=(const InterruptWatch&) = delete;

    bool interrupted() const;
    /// `action` runs once on SIGINT, on a thread of the watch and not in the signal handler, so it may take locks; at
    /// once if the signal came already. An empty action takes the last one back and waits for it if it is running.
    void set_action(std::function<void()> action);

  private:
    void watch();

    int read_end_ = -1;
    int write_end_ = -1;
    std::mutex mutex_;
    std::function<void()> action_;
    bool acted_ = false;
    std::thread thread_;
};

}  // namespace puna::cli
