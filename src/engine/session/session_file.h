// Sessions on disk; docs/formats/session.md has the layout.
#pragma once

#include <string>

#include "engine/session/session_data.h"
#include "puna/error.h"

namespace puna::engine {

/// Replaces the file at `path` as a whole, or leaves what stood there. Returns the file's bytes. Compressed sections
/// are held in memory until they are written. Errors: io_error, out_of_memory.
Result<std::uint64_t> write_session(const std::string& path, const SessionData& session,
                                    SessionCompression compression = SessionCompression::none);

/// Reads and verifies all of it. Errors: file_not_found, file_unreadable, file_malformed, file_changed,
/// unsupported_format, out_of_memory.
Result<SessionData> read_session(const std::string& path);

/// Bytes that `write_session` writes without compression.
std::uint64_t session_bytes(const SessionData& session);

}  // namespace puna::engine
