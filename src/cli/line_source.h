// Standard input, line by line.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "cli/interrupt.h"
#include "puna/error.h"

namespace puna::cli {

/// Gives a line as soon as it is there. For one thread; one at a time. `interrupts` must outlive it.
class LineSource {
  public:
    explicit LineSource(const ReadingInterrupts& interrupts) : interrupts_(interrupts) {}

    /// Without its end (LF or CRLF); nullopt when there are no more, or SIGINT came.
    /// Errors: file_unreadable.
    Result<std::optional<std::string>> next();
    bool interrupted() const { return interrupted_; }

  private:
    const ReadingInterrupts& interrupts_;
    std::string buffer_;
    bool interrupted_ = false;
    std::size_t searched_ = 0;  // bytes without a line break
};

}  // namespace puna::cli
