// What a caller asks of an Engine, and what comes back.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "puna/error.h"
#include "puna/model.h"
#include "puna/session.h"

namespace puna {

/// The steps of sampling that have a place in the order, each with the parameters that it is named after.
enum class SamplingStep : std::uint8_t {
    penalties,    ///< repeat_penalty, frequency_penalty, presence_penalty
    dry,          ///< dry_*
    top_n_sigma,  ///< top_n_sigma
    top_k,        ///< top_k
    typical,      ///< typical_p
    top_p,        ///< top_p
    min_p,        ///< min_p
    xtc,          ///< xtc_*
    temperature,  ///< temperature, dynatemp_*
};

/// All of them, in the order that holds where no other is asked for.
inline constexpr std::array all_sampling_steps = {
    SamplingStep::penalties, SamplingStep::dry,     SamplingStep::top_n_sigma,
    SamplingStep::top_k,     SamplingStep::typical, SamplingStep::top_p,
    SamplingStep::min_p,     SamplingStep::xtc,     SamplingStep::temperature};

constexpr std::string_view sampling_step_name(SamplingStep step) {
    switch (step) {
        case SamplingStep::penalties: return "penalties";
        case SamplingStep::dry: return "dry";
        case SamplingStep::top_n_sigma: return "top-n-sigma";
        case SamplingStep::top_k: return "top-k";
        case SamplingStep::typical: return "typical";
        case SamplingStep::top_p: return "top-p";
        case SamplingStep::min_p: return "min-p";
        case SamplingStep::xtc: return "xtc";
        case SamplingStep::temperature: return "temperature";
    }
    return "unknown";
}

/// How the next token is chosen. docs/sampling.md has the formula and the source of each step.
///
/// A constraint and the logit bias come first; then the steps in the order of `samplers`; then the choice: a draw by
/// the probabilities, the most probable token (temperature 0), mirostat, or adaptive-p. Values out of range, and
/// parameters that would be ignored because of others, are errors of `Engine::submit`.
struct SamplingOptions {
    float temperature = 0.8F;  ///< >= 0; 0 takes the most probable token, the lowest id among equals
    float dynatemp_range = 0;  ///< in [0, temperature]; the temperature goes from this under to this over, by entropy
    float dynatemp_exponent = 1;  ///< > 0; of the entropy's share
    std::uint32_t top_k = 40;     ///< keep the k most probable; 0 keeps all
    float top_p = 0.95F;          ///< in (0, 1]; keep the smallest set that reaches this probability
    float min_p = 0.0F;           ///< in [0, 1]; drop what is less probable than this times the most probable
    float typical_p = 1;          ///< in (0, 1]; keep what is nearest to the expected surprise, up to this probability
    float top_n_sigma = 0;        ///< >= 0; keep what is within so many standard deviations of the best; 0 is off
    float xtc_probability = 0;    ///< in [0, 1]; how often XTC excludes the top choices
    float xtc_threshold = 0.1F;   ///< in (0, 0.5]; tokens of this probability are top choices
    float repeat_penalty = 1.0F;  ///< > 0; 1 is off: divides positive, multiplies negative logits
    float frequency_penalty = 0;  ///< in [-100, 100]; subtracted from a token's logit for each time that it came before
    float presence_penalty = 0;   ///< in [-100, 100]; subtracted once if it came before
    std::uint32_t repeat_last_n = 64;  ///< tokens that the three penalties look back on; 0 turns them off
    float dry_multiplier = 0;  ///< >= 0; the penalty of what would repeat `dry_allowed_length` tokens and one more
    float dry_base = 1.75F;    ///< >= 1; for each token more, the penalty is this times as large
    std::uint32_t dry_allowed_length = 2;  ///< >= 1; repetitions up to this length cost nothing
    std::uint32_t dry_last_n = 0;          ///< tokens that DRY looks back on; 0: all
    /// No repetition reaches over a token whose text holds one of these.
    std::vector<std::string> dry_breakers = {"\n", ":", "\"", "*"};
    std::uint32_t mirostat = 0;   ///< 0 (off), 1 or 2
    float mirostat_tau = 5;       ///< >= 0; the surprise that is aimed at, in bits
    float mirostat_eta = 0.1F;    ///< in [0, 1]; how fast it is steered to
    float adaptive_target = 0;    ///< in [0, 1]; the probability that adaptive-p aims at; 0 is off
    float adaptive_decay = 0.9F;  ///< in [0, 0.99]; how much of its average each token leaves
    /// The steps that run, in this order, each once. Empty: all, in the order of `all_sampling_steps`; with mirostat,
    /// which cuts by itself, `penalties`, `dry` and `temperature` alone, and top_k and top_p at their defaults are then
    /// no error.
    std::vector<SamplingStep> samplers;
    std::map<TokenId, float> logit_bias;  ///< added to the logit; -infinity forbids the token
    bool ignore_end = false;              ///< end tokens are never sampled
    std::optional<std::uint64_t> seed;    ///< none: drawn at random, and reported by the started event
};

/// What sampling carries from token to token, beside the tokens themselves.
struct SamplerState {
    std::uint64_t draws = 0;            ///< random numbers used up, one for each token
    std::optional<double> mirostat_mu;  ///< none before the first token
    double adaptive_sum = 0;            ///< adaptive-p: decaying sum of the probabilities of what was chosen
    double adaptive_weight = 0;         ///< and of their weights; 0 before the first token
};

/// A reply that may call tools, in the form that its model was taught; docs/chat-parse.md has the names.
struct ToolReply {
    std::string format;                       ///< how calls are written: "hermes", ...
    std::vector<std::string> reasoning = {};  ///< how reasoning before them may be marked: "think", ...
    bool in_reasoning = false;                ///< the prompt ends within reasoning
    bool required = false;                    ///< there is a call; text alone will not do
    std::string name = {};                    ///< the tool that is called; empty: any
};

/// What the text that comes must match, from its first byte to its last.
struct Constraint {
    enum class Kind {
        gbnf,         ///< a grammar in GBNF, whose rule `root` must match
        regex,        ///< a regular expression, which the whole text must match
        json_schema,  ///< a JSON Schema (draft 2020-12), under which the text must be a valid JSON value
        tool_reply,  ///< tools, in the form of ChatOptions::tools: calls are well formed, and valid under their schemas
    };
    Kind kind = Kind::gbnf;
    std::string source;    ///< docs/constraints.md says what is supported
    ToolReply tools = {};  ///< for Kind::tool_reply
};

/// What happens to a prompt that does not fit into the context. A prompt of exactly the context fits: one token comes,
/// and then the end by FinishReason::context.
enum class OverflowPolicy {
    error,           ///< the request ends with context_overflow
    truncate_start,  ///< the oldest tokens are dropped (a begin token stays), and the started event says how many; what
                     ///< stays leaves room for max_tokens (none: a quarter of the context), at most half of the context
};

/// What happens when the context is full while tokens are generated.
enum class ContextPolicy {
    stop,   ///< generation ends by FinishReason::context
    shift,  ///< the oldest tokens are dropped, but for `Request::sink_tokens` at the start, until half of the context
            ///< is free; what stays is evaluated anew, so that the bits are those of a prompt of just these tokens. The
            ///< next token event says how many went
};

/// What a request makes of the session that it goes on from.
enum class SessionUse {
    append,  ///< the prompt follows the session's tokens; as text, without a begin token. It may be empty, and the
             ///< request then goes on where the session stopped
    prefix,  ///< the prompt is the whole text, and of the session it takes the keys and values of what both begin with
};

/// One completion. `prompt` holds text, or token ids that are used as they are.
struct Request {
    std::variant<std::string, std::vector<TokenId>> prompt;
    EncodeOptions encode;                     ///< for a text prompt
    DecodeOptions decode;                     ///< for the text that comes out
    std::optional<std::uint32_t> max_tokens;  ///< none: until an end token or the context's end
    SamplingOptions sampling;
    std::vector<std::string> stop;  ///< generation ends before the first of these in the text; none may be empty
    std::optional<std::uint32_t> logprobs;  ///< report each token's log-probability and this many alternatives
    OverflowPolicy overflow = OverflowPolicy::error;
    /// End tokens come only where the text matches, and a text that is cut short (by max_tokens, a stop string, the
    /// context's end or cancelling) is the beginning of one that matches. A constraint that cannot be compiled is an
    /// error of `Engine::submit`; one that cannot be followed ends the request with constraint_failed.
    std::optional<Constraint> constraint;
    ContextPolicy when_full = ContextPolicy::stop;
    /// Kept at the start by ContextPolicy::shift: attention leans on the first tokens, whatever they say (Xiao et al.
    /// 2023, "Efficient Streaming Language Models with Attention Sinks"). At most a quarter of the context.
    std::uint32_t sink_tokens = 4;

    std::optional<Session> session;  ///< goes on from here; the penalty window holds its tokens too
    SessionUse session_use = SessionUse::append;
    bool any_law = false;       ///< take a session that another numeric law computed: the bits are then nobody's
    bool keep_session = false;  ///< Finished brings the session; one more token may be evaluated for it
    /// Where sampling goes on from. None: from the session that this is appended to, or from the start. With the
    /// session's `sampling()` the same tokens come as if it had never ended.
    std::optional<SamplerState> sampler_state;
    /// Keys and values that an earlier request of the same engine left may be used for what both begin with. The bits
    /// are the same either way.
    bool reuse_prefix = true;
};

/// Why no more tokens come.
enum class FinishReason {
    stop,       ///< an end token, a stop string, or a constraint whose text is complete
    length,     ///< Request::max_tokens
    context,    ///< the context is full
    cancelled,  ///< Stream::cancel
};

constexpr std::string_view finish_reason_name(FinishReason reason) {
    switch (reason) {
        case FinishReason::stop: return "stop";
        case FinishReason::length: return "length";
        case FinishReason::context: return "context";
        case FinishReason::cancelled: return "cancelled";
    }
    return "unknown";
}

/// A token and the natural logarithm of its probability under the raw logits (before any sampling step).
struct TokenLogprob {
    TokenId id = 0;
    double logprob = 0;
};

struct Timings {
    double queue_ms = 0;
    std::uint32_t prompt_tokens = 0;  ///< evaluated: those that were reused do not count
    double prompt_ms = 0;
    std::uint32_t predicted_tokens = 0;
    double predicted_ms = 0;    ///< from the first sampled token to the last
    double first_token_ms = 0;  ///< from submit to the first sampled token
};

/// The prompt is evaluated and the first token is about to come. A request that is cancelled before that gets it too,
/// in front of its Finished.
struct Started {
    std::vector<TokenId> prompt_ids;  ///< as evaluated, begin token and appended-to session included
    std::uint64_t seed = 0;
    std::uint32_t dropped_tokens = 0;  ///< by OverflowPolicy::truncate_start
    std::uint32_t reused_tokens = 0;   ///< whose keys and values were there: a session's, or an earlier request's
};

/// One sampled token. `text` is what became certain with it: whole UTF-8 sequences only, and nothing that may turn out
/// to be the beginning of a stop string; so it may be empty.
struct Token {
    TokenId id = 0;
    std::string text;
    std::optional<TokenLogprob> logprob;     ///< of this token, if asked for
    std::vector<TokenLogprob> top_logprobs;  ///< descending, ties by id
    std::uint32_t dropped_tokens = 0;        ///< by ContextPolicy::shift, before this one
};

/// The last event of a request that ended well, cancelled ones included.
struct Finished {
    FinishReason reason = FinishReason::stop;
    std::string text;  ///< what was still held back
    Timings timings;
    std::optional<Session> session;  ///< if asked for
    SamplerState sampler_state;      ///< for a request that goes on from here without a session
};

/// What a request tells: Started, then Tokens, then Finished or Error, after which nothing comes.
using Event = std::variant<Started, Token, Finished, Error>;

}  // namespace puna
