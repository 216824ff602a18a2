// Runs a program at a terminal of its own, types, and reads what stands there.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace puna::support {

/// A child process on a pseudo-terminal, which is its stdin, stdout, stderr and controlling terminal. Killed on
/// destruction if it still runs.
class Terminal {
  public:
    /// `command`: the program's path, then its arguments. `environment`: "NAME=value", beside what the test has; its
    /// PUNA_... are not passed on.
    Terminal(std::vector<std::string> command, const std::vector<std::string>& environment);
    ~Terminal();
    Terminal(const Terminal&) = delete;
    Terminal& operator=(const Terminal&) = delete;

    /// As if it were typed; "\x03" is Ctrl-C, "\x04" Ctrl-D, "\r" Enter.
    void type(std::string_view keys);
    /// Reads until `text` has come since the last call; false if the program ended before that. Waits for ever: a test
    /// that hangs is ended by its runner.
    bool wait_for(std::string_view text);
    /// All that the program wrote so far.
    const std::string& screen() const { return screen_; }
    /// Waits for the end: the exit code, or 128 + the signal that ended it.
    int finish();

  private:
    bool read_some();

    int master_ = -1;
    pid_t child_ = -1;
    std::string screen_;
    std::size_t seen_ = 0;
};

}  // namespace puna::support
