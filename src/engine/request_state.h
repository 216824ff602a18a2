// A request on its way: its tokens so far, and what it makes of the next logits.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/constraint_compiler.h"
#include "engine/event_channel.h"
#include "engine/stop_filter.h"
#include "puna/request.h"
#include "sampling/sampler.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::engine {

using Clock = std::chrono::steady_clock;

/// For one thread at a time: the submitter's until it is queued, the compute thread's from then on.
///
/// A request is a row of tokens, the prompt's and then the sampled ones, of which the first `evaluated()` are in the KV
/// cache. Each step evaluates more of them; the logits of the last one give the next token. Destroying it ends the
/// request as cancelled if it has not ended yet, so that no reader waits in vain.
class RequestState {
  public:
    struct Setup {
        std::vector<TokenId> prompt;  // fits into the context; not empty
        std::uint32_t dropped_tokens = 0;
        std::uint64_t seed = 0;
        std::int64_t context = 0;     // positions that this request may fill
        std::size_t sampled_ids = 0;  // ids from 0 to this less one may be sampled
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

    void admit(std::int32_t sequence);
    /// The KV cache's slot; -1 before `admit`.
    std::int32_t sequence() const { return sequence_; }

    std::int64_t evaluated() const { return evaluated_; }
    /// Tokens that wait to be evaluated.
    std::span<const TokenId> pending() const;
    /// Whether evaluating all of `pending()` must give logits (a request for no tokens needs none).
    bool needs_logits() const { return request_.max_tokens != 0U; }

    /// `count` tokens of `pending()` have been evaluated. `logits`, [vocabulary], are those of the last one if it was
    /// the last pending and `needs_logits()`; they become the next token.
    void advance(std::int64_t count, std::span<const float> logits);

    void finish(FinishReason reason);
    void fail(Error error);

  private:
    void start();
    void sample(std::span<const float> logits);
    Result<TokenId> choose(std::span<const float> logits);
    bool is_complete() const;
    void emit(Token token, bool is_end);
    std::optional<FinishReason> reason_to_finish(bool is_end) const;
    std::uint32_t sampled_count() const { return static_cast<std::uint32_t>(tokens_.size() - prompt_tokens_); }

    Request request_;
    Setup setup_;
    const text::Tokenizer& tokenizer_;
    std::shared_ptr<EventChannel> channel_;
    sampling::Sampler sampler_;
    text::IncrementalDecoder decoder_;
    StopFilter stop_filter_;
    std::optional<text::grammar::TokenConstraint> constraint_;

    std::size_t prompt_tokens_;
    std::vector<TokenId> tokens_;  // the prompt's, then the sampled ones
    std::int64_t evaluated_ = 0;
    std::int32_t sequence_ = -1;
    bool started_ = false;
    bool finished_ = false;

    std::optional<Clock::time_point> admitted_;
    std::optional<Clock::time_point> prompt_done_;
    std::optional<Clock::time_point> first_token_;
    Clock::time_point last_token_;
    Timings timings() const;
};

}  // namespace puna::engine
