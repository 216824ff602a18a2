// Standard input, line by line.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "puna/error.h"

namespace puna::cli {

/// Gives a line as soon as it is there. For one thread; one at a time.
class LineSource {
  public:
    /// Without its end (LF or CRLF); nullopt when there are no more, or a signal came (see ReadingInterrupts).
    /// Errors: file_unreadable.
    Result<std::optional<std::string>> next();
    bool interrupted() const { return interrupted_; }

  private:
    std::string buffer_;
    bool interrupted_ = false;
    std::size_t searched_ = 0;  // bytes without a line break
};

}  // namespace puna::cli
