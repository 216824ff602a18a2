#include "cli/session_flags.h"

#include <fmt/format.h>

#include <array>

#include "base/try.h"
#include "cli/console.h"
#include "cli/units.h"

namespace puna::cli {

void SessionFlags::declare(Flags& flags) {
    declare_files(flags);
    flags.text("--session-reuse", "HOW", reuse,
               "append: the prompt follows the session (default). prefix: the prompt is the whole text, and what both "
               "begin with is not computed again.");
    declare_any_law(flags);
}

void SessionFlags::declare_for_chat(Flags& flags) {
    declare_files(flags);
    declare_any_law(flags);
}

void SessionFlags::declare_files(Flags& flags) {
    flags.section("Sessions");
    flags.text("--save-session", "FILE", save, "Write the session to a file, at the end.");
    flags.text("--load-session", "FILE", load, "Go on from a session on file.");
    flags.text("--persist-session", "FILE", persist,
               "Both, in one file, which need not be there yet; goes before --load-session.");
}

void SessionFlags::declare_any_law(Flags& flags) {
    flags.flag("--session-any-law", any_law, "Take a session that another numeric law computed.");
}

Result<void> SessionFlags::check() const {
    if (reuse != "append" && reuse != "prefix") {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("--session-reuse takes append or prefix, not '{}'", reuse), ""};
    }
    for (const auto* path : {&save, &load, &persist}) {
        if (*path && (*path)->empty())
            return Error{ErrorCode::invalid_argument, "a session's file has an empty name", "give a path"};
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
    return std::optional(std::move(session).value());
}

Result<void> SessionFlags::write(const Session& session) const {
    for (const auto* path : {&save, &persist}) {
        if (!*path || (path == &persist && persist == save)) continue;
        PUNA_CHECK(session.save(**path));
        const SessionInfo info = session.info();
        note(fmt::format("session saved: {} tokens, {} in \"{}\"", info.tokens, bytes_words(info.bytes), **path));
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
