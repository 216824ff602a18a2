// How far long work is, on stderr.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace puna::cli {

/// One line that is rewritten on a terminal; elsewhere a line of its own each ten seconds.
class ProgressLine {
  public:
    ProgressLine();
    /// In bytes. Cheap to call often.
    void show(std::uint64_t done, std::uint64_t all);
    /// In other units, "chunks" for example.
    void show(std::uint64_t done, std::uint64_t all, std::string_view unit);
    /// Leaves the line that is being rewritten.
    void end() const;
    /// Since the line was made.
    double seconds() const;

  private:
    void show_words(double part, const std::string& all);

    bool terminal_;
    bool shown_ = false;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
    std::chrono::steady_clock::time_point last_shown_ = start_;
};

}  // namespace puna::cli
