#include "cli/session_flags.h"

#include <fmt/format.h>

#include <array>

#include "base/atomic_file.h"
#include "base/try.h"
#include "cli/console.h"
#include "cli/units.h"

namespace puna::cli {

void SessionFlags::declare(Flags& flags) {
    declare_files(flags);
    flags.text("--session-reuse", "HOW", reuse,
               "append: the prompt follows the session (default). prefix: the prompt is the whole text, and what both "
               "begin with is not computed again.");
    declare_law_and_compression(flags);
}

void SessionFlags::declare_for_chat(Flags& flags) {
    declare_files(flags);
    declare_law_and_compression(flags);
}

void SessionFlags::declare_files(Flags& flags) {
    flags.section("Sessions");
    flags.text("--save-session", "FILE", save, "Write the session to a file, at the end.");
    flags.text("--load-session", "FILE", load, "Go on from a session on file.");
    flags.text("--persist-session", "FILE", persist,
               "Both, in one file, which need not be there yet; goes before --load-session.");
}

void SessionFlags::declare_law_and_compression(Flags& flags) {
    flags.flag("--session-any-law", any_law, "Take a session that another numeric law computed.");
    flags.flag("--session-zstd", zstd, "Compress what is saved; read it back all the same.");
}

Result<void> SessionFlags::check(bool has_commands) const {
    if (reuse != "append" && reuse != "prefix") {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("--session-reuse takes append or prefix, not '{}'", reuse), ""};
    }
    for (const auto* path : {&save, &load, &persist}) {
        if (*path && (*path)->empty())
            return Error{ErrorCode::invalid_argument, "a session's file has an empty name", "give a path"};
    }
    if (zstd && !writes() && !has_commands) {
        return Error{ErrorCode::invalid_argument, "--session-zstd is given, and no session is saved",
                     "add --save-session FILE or --persist-session FILE"};
    }
    if ((any_law || reuse == "prefix") && !load && !persist && !has_commands) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("{} is given, and no session is loaded",
                                 any_law ? "--session-any-law" : "--session-reuse prefix"),
                     "add --load-session FILE or --persist-session FILE"};
    }
    // Now, and not when all is computed.
    for (const auto* path : {&save, &persist}) {
        if (*path) PUNA_CHECK(base::AtomicFile::create(**path));
    }
    return {};
}

Result<std::optional<Session>> SessionFlags::open() const {
    const std::optional<std::string>& path = persist ? persist : load;
    if (!path) return std::optional<Session>();
    auto session = Session::load(*path);
    if (!session.ok()) {
        if (!persist || session.error().code != ErrorCode::file_not_found) return std::move(session).error();
        if (load) {
            PUNA_TRY(Session loaded, Session::load(*load));
            return std::optional(std::move(loaded));
        }
        return std::optional<Session>();
    }
    if (persist && load && *persist != *load)
        note(fmt::format("--load-session is passed over: the session in \"{}\" goes on", *persist));
    return std::optional(std::move(session).value());
}

Result<void> SessionFlags::write(const Session& session) const {
    for (const auto* path : {&save, &persist}) {
        if (!*path || (path == &persist && persist == save)) continue;
        PUNA_TRY(const std::uint64_t bytes, session.save(**path, compression()));
        note(
            fmt::format("session saved: {} tokens, {} in \"{}\"", session.tokens().size(), bytes_words(bytes), **path));
    }
    return {};
}

void SessionFlags::apply(const std::optional<Session>& session, Request& request) const {
    request.keep_session = writes();
    if (!session) return;
    request.session = session;
    request.session_use = reuse == "prefix" ? SessionUse::prefix : SessionUse::append;
    request.any_law = any_law;
}

}  // namespace puna::cli
