// What a request told, from its first event to its last.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/console.h"
#include "puna/engine.h"
#include "puna/error.h"
#include "puna/request.h"

namespace puna::cli {

struct Transcript {
    Started started;
    std::string text;
    std::vector<TokenId> ids;
    Json logprobs = Json::array();
    std::uint32_t shifted_tokens = 0;
    Finished finished;
};

/// What hears a request while it runs. Any may be empty.
struct Listener {
    std::function<Result<void>(const Started&)> started;
    /// Text as it becomes certain; never empty.
    std::function<Result<void>(std::string_view)> text;
    /// So many tokens were dropped to make room.
    std::function<void(std::uint32_t)> shifted;
};

/// Reads `stream` to its end. Errors: the request's, and those of the listener.
Result<Transcript> follow(Stream& stream, const Listener& listener);

/// The object that `puna run --json` prints, but for "prompt"; docs/cli.md lists its keys.
Json to_json(const Transcript& transcript, const EngineInfo& info, double load_ms, bool with_logprobs);

/// Tokens and tokens a second, for people.
std::string summary(const Transcript& transcript);

}  // namespace puna::cli
