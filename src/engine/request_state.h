// A request on its way: its tokens so far, and what it makes of the next logits.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/constraint_compiler.h"
#include "engine/event_channel.h"
#include "engine/session/session_data.h"
#include "engine/stop_filter.h"
#include "puna/request.h"
#include "sampling/sampler.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::engine {

using Clock = std::chrono::steady_clock;

/// Tokens that both begin with.
inline std::size_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
    return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

/// For one thread at a time: the submitter's until it is queued, the compute thread's from then on.
///
/// A request is a row of tokens, the prompt's and then the sampled ones, of which the first `evaluated()` are in the KV
/// cache. Each step evaluates more of them; the logits of the last one give the next token. Destroying it ends the
/// request as cancelled if it has not ended yet, so that no reader waits in vain.
///
/// A request that keeps its session evaluates its last token too, and is told (`deliver`) when keys and values have
/// been copied.
class RequestState {
  public:
    struct Setup {
        std::vector<TokenId> prompt;  // fits into the context; not empty
        std::uint32_t dropped_tokens = 0;
        std::int64_t restored = 0;     // tokens at the front whose keys and values come from the request's session
        bool restored_logits = false;  // and the logits of the last of them, which is the prompt's last
        bool goes_on = false;          // the prompt is the session's tokens and no more
        std::shared_ptr<const SessionOrigin> origin;  // of the engine; set if the session is kept
        std::uint64_t seed = 0;
        SamplerState sampler_state;         // where sampling goes on from
        std::vector<TokenId> dry_breakers;  // tokens that hold one of the request's
        std::int64_t context = 0;           // positions that this request may fill
        std::size_t sampled_ids = 0;        // ids from 0 to this less one may be sampled
        Clock::time_point submitted;
        std::optional<CompiledConstraint> constraint;
    };
    /// `tokenizer` must outlive the state.
    RequestState(Request request, Setup setup, const text::Tokenizer& tokenizer, std::shared_ptr<EventChannel> channel);
    ~RequestState();
    RequestState(const RequestState&) = delete;
    RequestState& operator=(const RequestState&) = delete;

    /// Whether the constraint, if there is one, allows any first token. Errors: constraint_failed.
    Result<void> check_constraint();
    bool cancelled() const { return channel_->cancelled(); }
    bool finished() const { return finished_; }
    /// Positions of the KV cache that the request may come to fill.
    std::int64_t most_positions() const;

    /// The first `reused` tokens are in the cache already.
    void admit(std::int32_t sequence, std::int64_t reused);
    /// What the session brings that the request goes on from: positions [0, restored) of its rows. Null: no session.
    const SessionData* restorable() const;
    std::int64_t restored() const { return setup_.restored; }
    /// After the restored rows are in the cache: draws the next token where nothing is left to evaluate.
    void after_restoring();
    bool may_reuse_prefix() const { return request_.reuse_prefix && !request_.session; }
    /// Whether the cache holds, for the first `evaluated()` of `tokens()`, what this engine would compute for them.
    bool leaves_prefix() const { return !failed_ && !(request_.session && request_.any_law); }
    std::span<const TokenId> tokens() const { return tokens_; }
    /// The KV cache's slot; -1 before `admit`.
    std::int32_t sequence() const { return sequence_; }

    std::int64_t evaluated() const { return evaluated_; }
    /// Tokens that there are positions for. One more there is only in a request that stores what a full context left.
    std::int64_t evaluable() const { return std::min(std::ssize(tokens_), setup_.context); }
    /// Tokens that wait to be evaluated.
    std::span<const TokenId> pending() const;
    /// Whether evaluating all of `pending()` must give logits (a request for no tokens needs none).
    bool needs_logits() const { return request_.max_tokens != 0U || request_.keep_session; }

    /// `count` tokens of `pending()` have been evaluated. `logits`, [vocabulary], are those of the last one if it was
    /// the last pending and `needs_logits()`; they become the next token.
    void advance(std::int64_t count, std::span<const float> logits);

    /// Ends the request: at once, or when its last token is evaluated for the session.
    void end(FinishReason reason);
    /// As cancelled, with no step to come.
    void cancel_now() { finish(FinishReason::cancelled); }
    void fail(Error error);
    /// Whether it is finished and waits for `deliver`.
    bool wants_session() const { return finished_ && last_event_.has_value(); }
    /// Keys and values of the first `evaluated()` tokens.
    void deliver(std::shared_ptr<const KvRows> rows);

  private:
    void finish(FinishReason reason);
    bool can_settle() const;
    void start();
    void sample(std::span<const float> logits);
    Result<TokenId> choose(std::span<const float> logits);
    bool is_complete() const;
    void shift();
    void emit(Token token, bool is_end);
    std::optional<FinishReason> reason_to_finish(bool is_end) const;

    Request request_;
    Setup setup_;
    const text::Tokenizer& tokenizer_;
    std::shared_ptr<EventChannel> channel_;
    sampling::Sampler sampler_;
    text::IncrementalDecoder decoder_;
    StopFilter stop_filter_;
    std::optional<text::grammar::TokenConstraint> constraint_;

    std::vector<TokenId> tokens_;  // the prompt's, then the sampled ones
    std::int64_t prompt_tokens_;
    std::uint32_t sampled_ = 0;
    std::int64_t evaluated_ = 0;
    std::int64_t reused_ = 0;
    std::int64_t prompt_evaluated_ = 0;
    std::uint32_t shifted_ = 0;  // tokens dropped since the last event
    std::int32_t sequence_ = -1;
    bool started_ = false;
    bool finished_ = false;
    bool failed_ = false;
    std::optional<FinishReason> settling_;  // ended for this reason, once the last token is evaluated
    std::vector<float> last_logits_;        // for the session; empty if the last token is not evaluated
    std::optional<Finished> last_event_;    // waits for the session

    std::optional<Clock::time_point> admitted_;
    std::optional<Clock::time_point> prompt_done_;
    std::optional<Clock::time_point> first_token_;
    Clock::time_point last_token_;
    Timings timings() const;
};

}  // namespace puna::engine
