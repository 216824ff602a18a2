#include "engine/request_state.h"

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "sampling/log_probabilities.h"

namespace puna::engine {
namespace {

double milliseconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

/// A decoder that stands behind `context`. Of a session that goes on with no text between, the last tokens are pushed
/// through it, so that a character that was cut comes whole.
text::IncrementalDecoder make_decoder(const text::Tokenizer& tokenizer, bool special, std::span<const TokenId> context,
                                      bool goes_on) {
    constexpr std::size_t longest_character = 4;  // bytes, and so tokens, of UTF-8
    const std::size_t pushed = goes_on ? std::min(context.size(), longest_character) : 0;
    text::IncrementalDecoder decoder(tokenizer, special, context.first(context.size() - pushed));
    for (const TokenId id : context.last(pushed))
        decoder.push(id);
    return decoder;
}

}  // namespace

RequestState::RequestState(Request request, Setup setup, const text::Tokenizer& tokenizer,
                           std::shared_ptr<EventChannel> channel)
    : request_(std::move(request)),
      setup_(std::move(setup)),
      tokenizer_(tokenizer),
      channel_(std::move(channel)),
      sampler_(request_.sampling, setup_.seed, tokenizer.end_tokens(), setup_.dry_breakers),
      decoder_(make_decoder(tokenizer, request_.decode.special, setup_.prompt, setup_.goes_on)),
      stop_filter_(request_.stop),
      tokens_(setup_.prompt),
      prompt_tokens_(std::ssize(tokens_)) {
    sampler_.set_state(setup_.sampler_state);
    for (const TokenId id : tokens_)
        sampler_.accept(id);
    if (setup_.constraint) {
        constraint_.emplace(std::move(setup_.constraint->grammar), std::move(setup_.constraint->index), tokenizer,
                            decoder_.at_start());
    }
}

RequestState::~RequestState() {
    if (last_event_) {
        channel_->finish(std::move(*last_event_));
    } else if (!finished_) {
        channel_->finish(Finished{FinishReason::cancelled, {}, timings(), {}, sampler_.state()});
    }
}

Result<void> RequestState::check_constraint() {
    if (!constraint_ || is_complete()) return {};
    PUNA_TRY(const text::grammar::TokenMask* const allowed, constraint_->allowed());
    static_cast<void>(allowed);
    return {};
}

/// Whether the constraint allows nothing but an end token, and none may come.
bool RequestState::is_complete() const {
    return constraint_ && constraint_->complete() && (request_.sampling.ignore_end || tokenizer_.end_tokens().empty());
}

std::int64_t RequestState::most_positions() const {
    if (!request_.max_tokens) return setup_.context;
    // The last sampled token is evaluated for the session alone.
    const std::int64_t unevaluated = request_.keep_session ? 0 : 1;
    const std::int64_t sampled = std::max<std::int64_t>(*request_.max_tokens - unevaluated, 0);
    return std::min(setup_.context, prompt_tokens_ + sampled);
}

void RequestState::admit(std::int32_t sequence, std::int64_t reused) {
    sequence_ = sequence;
    evaluated_ = reused_ = reused;
    admitted_ = Clock::now();
}

const SessionData* RequestState::restorable() const {
    return request_.session ? &data_of(*request_.session) : nullptr;
}

void RequestState::after_restoring() {
    if (!setup_.restored_logits) return;
    advance(0, restorable()->logits);
}

std::span<const TokenId> RequestState::pending() const {
    return std::span(tokens_).subspan(static_cast<std::size_t>(evaluated_),
                                      static_cast<std::size_t>(evaluable() - evaluated_));
}

void RequestState::advance(std::int64_t count, std::span<const float> logits) {
    evaluated_ += count;
    if (!started_) prompt_evaluated_ += count;
    if (evaluated_ < evaluable()) return;
    if (!started_) {
        prompt_done_ = Clock::now();
        start();
    }
    if (request_.max_tokens == 0U) {
        settling_ = FinishReason::length;
    } else if (!settling_ && is_complete()) {
        settling_ = FinishReason::stop;
    }
    if (!settling_) return sample(logits);
    if (request_.keep_session && evaluated_ == std::ssize(tokens_)) last_logits_.assign(logits.begin(), logits.end());
    finish(*settling_);
}

void RequestState::start() {
    started_ = true;
    channel_->push(
        Started{std::move(setup_.prompt), setup_.seed, setup_.dropped_tokens, static_cast<std::uint32_t>(reused_)});
}

/// What keeps to the constraint, if there is one.
Result<TokenId> RequestState::choose(std::span<const float> logits) {
    logits = logits.first(std::min(logits.size(), setup_.sampled_ids));
    if (!constraint_) return sampler_.sample(logits);
    PUNA_TRY(const text::grammar::TokenMask* const allowed, constraint_->allowed());
    PUNA_TRY(const TokenId id, sampler_.sample(logits, allowed));
    PUNA_CHECK(constraint_->accept(id));
    return id;
}

void RequestState::sample(std::span<const float> logits) {
    auto id = choose(logits);
    if (!id.ok()) return fail(std::move(id).error());
    Token token;
    token.id = *id;
    token.dropped_tokens = std::exchange(shifted_, 0);
    if (request_.logprobs) {
        auto logprob = sampling::log_probabilities(logits, *id, *request_.logprobs, token.top_logprobs);
        if (!logprob.ok()) return fail(std::move(logprob).error());
        token.logprob = *logprob;
    }
    last_token_ = Clock::now();
    if (!first_token_) first_token_ = last_token_;
    tokens_.push_back(*id);
    ++sampled_;
    sampler_.accept(*id);

    const bool is_end = tokenizer_.is_end(*id);
    emit(std::move(token), is_end);
    if (const auto reason = reason_to_finish(is_end)) return end(*reason);
    if (evaluated_ >= setup_.context) shift();
}

/// Drops what lies between the sinks and the newer half, and evaluates that half in its new place.
void RequestState::shift() {
    const std::int64_t sinks = std::min<std::int64_t>(request_.sink_tokens, setup_.context / 4);
    const std::int64_t kept = setup_.context / 2 - sinks;
    const std::int64_t dropped = std::ssize(tokens_) - sinks - kept;
    tokens_.erase(tokens_.begin() + sinks, tokens_.begin() + sinks + dropped);
    evaluated_ = sinks;
    sampler_.forget();  // penalties look back on what is there, as they do in a request that goes on from its session
    for (const TokenId id : tokens_)
        sampler_.accept(id);
    shifted_ += static_cast<std::uint32_t>(dropped);
}

void RequestState::emit(Token token, bool is_end) {
    // An end token may be spelled like text in the vocabulary; it is shown only where control tokens are.
    if (!is_end || request_.decode.special) token.text = stop_filter_.push(decoder_.push(token.id));
    channel_->push(std::move(token));
}

std::optional<FinishReason> RequestState::reason_to_finish(bool is_end) const {
    if (is_end || stop_filter_.stopped() || is_complete()) return FinishReason::stop;
    if (request_.max_tokens && sampled_ >= *request_.max_tokens) return FinishReason::length;
    if (evaluated_ >= setup_.context && request_.when_full == ContextPolicy::stop) return FinishReason::context;
    return std::nullopt;
}

/// Whether one more step gives the logits of the last token. An end token is kept, and not evaluated.
bool RequestState::can_settle() const {
    return request_.keep_session && started_ && pending().size() == 1 && evaluated_ < setup_.context &&
           !tokenizer_.is_end(tokens_.back());
}

void RequestState::end(FinishReason reason) {
    if (finished_ || settling_) return;
    if (!can_settle()) return finish(reason);
    settling_ = reason;
}

void RequestState::finish(FinishReason reason) {
    if (finished_) return;
    if (!started_) start();
    // Half a character at the end stays behind in a session that is kept: it comes whole when that goes on.
    std::string text = stop_filter_.push(request_.keep_session ? std::string() : decoder_.finish());
    if (stop_filter_.stopped()) reason = reason == FinishReason::cancelled ? reason : FinishReason::stop;
    text += stop_filter_.finish();
    finished_ = true;
    Finished last{reason, std::move(text), timings(), {}, sampler_.state()};
    if (request_.keep_session && sequence_ >= 0) {
        last_event_ = std::move(last);
    } else {
        channel_->finish(std::move(last));
    }
}

void RequestState::deliver(std::shared_ptr<const KvRows> rows) {
    SessionData session;
    session.origin = *setup_.origin;
    session.tokens = tokens_;
    session.evaluated = evaluated_;
    session.sampling = sampler_.options();
    session.sampling.seed = setup_.seed;
    session.sampler_state = sampler_.state();
    session.logits = std::move(last_logits_);
    session.kv = std::move(rows);
    last_event_->session = Session(std::make_shared<const SessionData>(std::move(session)));
    channel_->finish(std::move(*last_event_));
    last_event_.reset();
}

void RequestState::fail(Error error) {
    finished_ = true;
    failed_ = true;
    last_event_.reset();
    channel_->finish(std::move(error));
}

Timings RequestState::timings() const {
    Timings timings;
    timings.queue_ms = milliseconds(setup_.submitted, admitted_.value_or(Clock::now()));
    timings.prompt_tokens = static_cast<std::uint32_t>(prompt_evaluated_);
    if (admitted_) timings.prompt_ms = milliseconds(*admitted_, prompt_done_.value_or(Clock::now()));
    timings.predicted_tokens = sampled_;
    if (first_token_) {
        timings.predicted_ms = milliseconds(*first_token_, last_token_);
        timings.first_token_ms = milliseconds(setup_.submitted, *first_token_);
    }
    return timings;
}

}  // namespace puna::engine
