// Sessions on disk; docs/formats/session.md has the layout.
#pragma once

#include <string>

#include "engine/session/session_data.h"
#include "puna/error.h"

namespace puna::engine {

/// Replaces the file at `path` as a whole, or leaves what stood there. Errors: io_error.
Result<void> write_session(const std::string& path, const SessionData& session);

/// Reads and verifies all of it. Errors: file_not_found, file_unreadable, file_malformed, file_changed,
/// unsupported_format, out_of_memory.
Result<SessionData> read_session(const std::string& path);

/// Bytes that `write_session` writes.
std::uint64_t session_bytes(const SessionData& session);

}  // namespace puna::engine
