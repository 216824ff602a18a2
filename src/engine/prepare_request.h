// From a Request as the caller wrote it to one that can run: checked, tokenized, cut to the context.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/constraint_compiler.h"
#include "engine/request_state.h"
#include "engine/session/session_data.h"
#include "puna/error.h"
#include "puna/request.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::engine {

/// What requests must keep to.
struct RequestLimits {
    std::int64_t context = 0;                          // positions
    std::int64_t vocabulary = 0;                       // ids that model and tokenizer both know: 0 to this less one
    std::shared_ptr<const SessionOrigin> origin = {};  // of this engine; null where no session comes or goes
};

/// Runs on the submitter's thread; thread-safe. Errors: invalid_argument for parameters out of range, an empty stop
/// string, a prompt without tokens or with ids out of range, a constraint that does not compile; session_mismatch;
/// constraint_failed; context_overflow under OverflowPolicy::error. `constraints` may be shared by all requests with
/// this tokenizer and these limits.
Result<std::unique_ptr<RequestState>> prepare_request(Request request, const text::Tokenizer& tokenizer,
                                                      const RequestLimits& limits, ConstraintCompiler& constraints,
                                                      std::shared_ptr<EventChannel> channel);

/// Drops the oldest tokens of a prompt that is longer than the context, a begin token at its start excepted. What stays
/// leaves room for `max_tokens` new tokens (none: a quarter of the context), but is at least half of the context.
/// Returns how many were dropped.
std::uint32_t truncate_start(std::vector<TokenId>& prompt, std::int64_t context,
                             std::optional<std::uint32_t> max_tokens, TokenId begin_token);

}  // namespace puna::engine
