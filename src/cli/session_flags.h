// The flags of sessions on disk.
#pragma once

#include <optional>
#include <string>

#include "cli/flags.h"
#include "puna/error.h"
#include "puna/request.h"
#include "puna/session.h"

namespace puna::cli {

struct SessionFlags {
    std::optional<std::string> save;
    std::optional<std::string> load;
    std::optional<std::string> persist;
    std::string reuse = "append";
    bool any_law = false;
    bool zstd = false;

    void declare(Flags& flags);
    /// Without --session-reuse: a conversation is a list of messages, and reuses what it can.
    void declare_for_chat(Flags& flags);
    /// `has_commands`: sessions may come and go though no flag says so. Errors: invalid_argument; io_error if no file
    /// can be written where one is to be.
    Result<void> check(bool has_commands = false) const;
    /// The session to go on from: that of --persist-session if its file exists, else that of --load-session; none if
    /// neither is given or there is no file yet. Errors: those of Session::load.
    Result<std::optional<Session>> open() const;
    /// Whether `write` has something to do.
    bool writes() const { return save || persist; }
    SessionCompression compression() const { return zstd ? SessionCompression::zstd : SessionCompression::none; }
    /// Errors: io_error, out_of_memory; what stood there then stands.
    Result<void> write(const Session& session) const;
    /// Adds what the flags say to `request`, which goes on from `session`.
    void apply(const std::optional<Session>& session, Request& request) const;

  private:
    void declare_files(Flags& flags);
    void declare_law_and_compression(Flags& flags);
};

}  // namespace puna::cli
