#include "engine/prepare_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/rng.h"
#include "base/try.h"
#include "formats/printable.h"
#include "sampling/check_options.h"
#include "text/unicode/utf8.h"

namespace puna::engine {
namespace {

Error invalid(std::string message, std::string hint) {
    return {ErrorCode::invalid_argument, std::move(message), std::move(hint)};
}

Result<void> check_parameters(const Request& request, const RequestLimits& limits) {
    PUNA_CHECK(sampling::check_options(request.sampling, limits.vocabulary));
    if (request.sampler_state) PUNA_CHECK(sampling::check_state(*request.sampler_state));
    for (const std::string& stop : request.stop) {
        if (stop.empty()) return invalid("a stop string is empty", "leave it out, or give it at least one character");
        if (text::to_valid_utf8(stop) != stop)
            return invalid("a stop string is not UTF-8", "write it in UTF-8, as the text that comes is");
    }
    if (request.when_full == ContextPolicy::shift && limits.context < 8)
        return invalid("a context of fewer than 8 tokens cannot shift", "enlarge the context");
    if (request.logprobs && *request.logprobs > limits.vocabulary) {
        return invalid(fmt::format("logprobs is {}, and must be from 0 to {}", *request.logprobs, limits.vocabulary),
                       "the vocabulary has no more tokens");
    }
    return {};
}

/// Tokens that hold one of the breakers. Errors: invalid_argument for one that no token holds, since it would never be
/// met.
Result<std::vector<TokenId>> dry_breakers(const SamplingOptions& sampling, const text::Tokenizer& tokenizer,
                                          std::int64_t vocabulary) {
    std::vector<TokenId> ids;
    if (sampling.dry_multiplier == 0) return ids;
    std::vector<bool> met(sampling.dry_breakers.size(), sampling.dry_breakers == SamplingOptions().dry_breakers);
    for (TokenId id = 0; id < vocabulary; ++id) {
        const std::string text = tokenizer.token_bytes(id, /*special=*/true);
        bool breaks = false;
        for (std::size_t i = 0; i < met.size(); ++i) {
            if (text.find(sampling.dry_breakers[i]) == std::string::npos) continue;
            breaks = met[i] = true;
        }
        if (breaks) ids.push_back(id);
    }
    for (std::size_t i = 0; i < met.size(); ++i) {
        if (met[i]) continue;
        return invalid(fmt::format("dry_breakers holds '{}', which is in no token of this vocabulary",
                                   formats::printable(sampling.dry_breakers[i])),
                       "a breaker stops a repetition if it is part of one token: give a shorter one");
    }
    return ids;
}

const SessionData* session_of(const Request& request) {
    return request.session ? &data_of(*request.session) : nullptr;
}

Error mismatch(std::string message, std::string hint) {
    return {ErrorCode::session_mismatch, std::move(message), std::move(hint)};
}

/// Keys and values of another model, type or law would give a wrong continuation.
Result<void> check_session(const Request& request, const RequestLimits& limits) {
    const SessionData* const session = session_of(request);
    if (session == nullptr) return {};
    const SessionOrigin& engine = *limits.origin;
    PUNA_CHECK(require_same(session->origin.model, engine.model));
    if (session->origin.kv_type != engine.kv_type) {
        const std::string_view stored = kernels::kv_type_name(session->origin.kv_type);
        return mismatch(fmt::format("the session's keys and values are {}, and this engine's are {}", stored,
                                    kernels::kv_type_name(engine.kv_type)),
                        fmt::format("use --kv-type {}", stored));
    }
    if (session->origin.law != engine.law && !request.any_law) {
        return mismatch(fmt::format("the session was computed by the numeric law {}, and this engine computes by {}",
                                    session->origin.law, engine.law),
                        fmt::format("use --activations {}, or --session-any-law for a continuation that has other bits",
                                    session->origin.law));
    }
    return {};
}

/// What of the session is used for `setup.prompt`.
void plan_restoring(const Request& request, std::int64_t context, RequestState::Setup& setup) {
    const SessionData* const session = session_of(request);
    if (session == nullptr) return;
    const auto length = std::ssize(setup.prompt);
    const auto evaluated = std::span(session->tokens).first(static_cast<std::size_t>(session->evaluated));
    setup.restored = static_cast<std::int64_t>(common_prefix(evaluated, setup.prompt));
    setup.restored_logits = setup.restored == length && session->evaluated == length && !session->logits.empty();
    // Without logits, the last token must be evaluated for them.
    if (!setup.restored_logits) setup.restored = std::min(setup.restored, std::min(length, context) - 1);
    setup.goes_on = request.session_use == SessionUse::append && setup.prompt == session->tokens;
}

Result<std::vector<TokenId>> prompt_ids(const Request& request, const text::Tokenizer& tokenizer,
                                        const RequestLimits& limits) {
    const bool appended = request.session && request.session_use == SessionUse::append;
    std::vector<TokenId> ids;
    if (appended) ids = session_of(request)->tokens;
    if (const auto* text = std::get_if<std::string>(&request.prompt)) {
        const std::vector<TokenId> encoded =
            tokenizer.encode(*text, {request.encode.add_bos && !appended, request.encode.parse_special});
        ids.insert(ids.end(), encoded.begin(), encoded.end());
    } else {
        const auto& given = std::get<std::vector<TokenId>>(request.prompt);
        ids.insert(ids.end(), given.begin(), given.end());
    }
    if (ids.empty()) {
        return invalid("the prompt has no tokens, and a model needs at least one to go on from",
                       "give it some text, or let the begin token stand before it");
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
        if (ids[i] >= 0 && ids[i] < limits.vocabulary) continue;
        return invalid(fmt::format("token {} of the prompt has the id {}, and ids run from 0 to {}", i, ids[i],
                                   limits.vocabulary - 1),
                       "encode the prompt with the tokenizer of this model");
    }
    return ids;
}

}  // namespace

std::uint32_t truncate_start(std::vector<TokenId>& prompt, std::int64_t context,
                             std::optional<std::uint32_t> max_tokens, TokenId begin_token) {
    const auto length = static_cast<std::int64_t>(prompt.size());
    if (length <= context) return 0;
    const std::int64_t room = std::min<std::int64_t>(max_tokens ? *max_tokens : context / 4, context / 2);
    // A context of one position has no room beside a begin token.
    const std::int64_t kept_first = prompt.front() == begin_token && context > 1 ? 1 : 0;
    const std::int64_t dropped = length - std::max<std::int64_t>(context - room, 1);
    prompt.erase(prompt.begin() + kept_first, prompt.begin() + kept_first + dropped);
    return static_cast<std::uint32_t>(dropped);
}

Result<std::unique_ptr<RequestState>> prepare_request(Request request, const text::Tokenizer& tokenizer,
                                                      const RequestLimits& limits, ConstraintCompiler& constraints,
                                                      std::shared_ptr<EventChannel> channel) {
    RequestState::Setup setup;
    setup.submitted = Clock::now();
    PUNA_CHECK(check_parameters(request, limits));
    PUNA_CHECK(check_session(request, limits));
    PUNA_TRY(setup.prompt, prompt_ids(request, tokenizer, limits));
    // What a full context leaves has one token that was not evaluated; it can be stored, and no more.
    const std::int64_t unevaluated = request.keep_session && request.max_tokens == 0U ? 1 : 0;
    const auto length = static_cast<std::int64_t>(setup.prompt.size()) - unevaluated;
    if (length > limits.context && request.overflow == OverflowPolicy::error) {
        return Error{ErrorCode::context_overflow,
                     fmt::format("the prompt has {} tokens{}, and the context holds {}", setup.prompt.size(),
                                 request.session ? " with the session before it" : "", limits.context),
                     "shorten the prompt, enlarge the context, or let the oldest tokens be dropped"};
    }
    if (length > limits.context) {
        setup.dropped_tokens =
            truncate_start(setup.prompt, limits.context, request.max_tokens, tokenizer.vocabulary().bos);
    }
    setup.seed = request.sampling.seed.value_or(base::random_seed());
    plan_restoring(request, limits.context, setup);
    if (request.keep_session) setup.origin = limits.origin;
    if (request.sampler_state) {
        setup.sampler_state = *request.sampler_state;
    } else if (request.session && request.session_use == SessionUse::append) {
        setup.sampler_state = session_of(request)->sampler_state;
    }
    PUNA_TRY(setup.dry_breakers, dry_breakers(request.sampling, tokenizer, limits.vocabulary));
    setup.context = limits.context;
    if (request.constraint) {
        PUNA_TRY(setup.constraint, constraints.compile(*request.constraint));
    }
    setup.sampled_ids = static_cast<std::size_t>(limits.vocabulary);
    auto state = std::make_unique<RequestState>(std::move(request), std::move(setup), tokenizer, std::move(channel));
    PUNA_CHECK(state->check_constraint());
    return state;
}

}  // namespace puna::engine
