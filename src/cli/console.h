// stdout, which holds the answer and nothing else, and stderr, which holds the talk.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "puna/error.h"

namespace puna::cli {

/// Keys keep the order in which they were written.
using Json = nlohmann::ordered_json;

/// One line without its end. Bytes that are not UTF-8 become U+FFFD; NaN and infinity become null.
std::string json_line(const Json& value);
/// `value` at 9 significant digits, which tell every float32 from its neighbours.
double nine_digits(double value);

/// Unbuffered standard output. For one thread at a time.
class Output {
  public:
    /// A reader that went away is not an error: see `closed`. Errors: io_error (a full disk, ...).
    Result<void> write(std::string_view text);
    Result<void> write_line(std::string_view text);
    /// Nobody reads any more; what is written is dropped.
    bool closed() const { return closed_; }
    bool is_terminal() const;

  private:
    bool closed_ = false;
};

/// One line on stderr, with the program's name before it.
void note(std::string_view message);
/// Puts something that can be neither read nor written in the place of standard input, output and error where they are
/// closed: the next file opened would take their number, to be read as if it were input or written into.
void guard_standard_descriptors();

/// Bytes on stderr as they are.
void talk(std::string_view text);
/// The last words of a run that failed: two lines for people, or one line of JSON.
void report_error(const Error& error, bool json);

}  // namespace puna::cli
