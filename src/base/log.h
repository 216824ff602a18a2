// The talk: messages for people, on stderr. The answer (stdout) never goes through here.
#pragma once

#include <string_view>

namespace puna::base {

enum class LogLevel { debug, info, warning };

/// Messages under this level are dropped. Default: warning (a library is quiet). Thread-safe.
void set_log_level(LogLevel level);
/// One line, `puna: <level>: <message>`; control characters in the message are shown as \xNN. Thread-safe.
void log(LogLevel level, std::string_view message);

}  // namespace puna::base
