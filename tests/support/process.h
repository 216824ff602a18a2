// Runs a program and hears what it says.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace puna::support {

/// The words as exec takes them, with a null behind. They must outlive it.
std::vector<char*> pointers(std::vector<std::string>& words);

struct ProcessOptions {
    std::optional<std::string> input;      // through a pipe; none: /dev/null
    std::vector<std::string> environment;  // "NAME=value", beside what the test has; its PUNA_... are not passed on
};

/// A child process. Killed on destruction if it still runs.
class Process {
  public:
    /// `command`: the program's path, then its arguments.
    explicit Process(std::vector<std::string> command, const ProcessOptions& options = {});
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    /// Waits until stdout (stderr) holds at least `bytes` bytes, or is at its end.
    void wait_for_output(std::size_t bytes) { pump(bytes, 0); }
    void wait_for_talk(std::size_t bytes) { pump(0, bytes); }
    void interrupt();
    /// Nobody reads its stdout any more.
    void close_output();
    /// Reads what is left and waits for the end: the exit code, or 128 + the signal that ended it.
    int finish();
    /// After `finish`: the most memory that it held at a time, bytes.
    std::uint64_t peak_memory() const { return peak_memory_; }

    const std::string& out() const { return out_; }
    const std::string& err() const { return err_; }

  private:
    void pump(std::size_t out_bytes, std::size_t err_bytes);
    bool read_some(int& descriptor, std::string& into);

    pid_t child_ = -1;
    std::uint64_t peak_memory_ = 0;
    int out_end_ = -1;
    int err_end_ = -1;
    std::string out_;
    std::string err_;
};

}  // namespace puna::support
