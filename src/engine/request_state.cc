#include "engine/request_state.h"

#include <algorithm>
#include <utility>

#include "base/try.h"

namespace puna::engine {
namespace {

double milliseconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

}  // namespace

RequestState::RequestState(Request request, Setup setup, const text::Tokenizer& tokenizer,
                           std::shared_ptr<EventChannel> channel)
    : request_(std::move(request)),
      setup_(std::move(setup)),
      tokenizer_(tokenizer),
      channel_(std::move(channel)),
      sampler_(request_.sampling, setup_.seed, tokenizer.end_tokens()),
      decoder_(tokenizer, request_.decode.special, setup_.prompt),
      stop_filter_(request_.stop),
      prompt_tokens_(setup_.prompt.size()),
      tokens_(setup_.prompt) {
    for (const TokenId id : tokens_)
        sampler_.accept(id);
    if (setup_.constraint) {
        constraint_.emplace(std::move(setup_.constraint->grammar), std::move(setup_.constraint->index), tokenizer,
                            decoder_.at_start());
    }
}

RequestState::~RequestState() {
    if (!finished_) channel_->finish(Finished{FinishReason::cancelled, {}, timings()});
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
    // The last sampled token is never evaluated.
    const auto prompt = static_cast<std::int64_t>(prompt_tokens_);
    if (!request_.max_tokens) return setup_.context;
    return std::min(setup_.context, prompt + std::max<std::int64_t>(*request_.max_tokens, 1) - 1);
}

void RequestState::admit(std::int32_t sequence) {
    sequence_ = sequence;
    admitted_ = Clock::now();
}

std::span<const TokenId> RequestState::pending() const {
    return std::span(tokens_).subspan(static_cast<std::size_t>(evaluated_));
}

void RequestState::advance(std::int64_t count, std::span<const float> logits) {
    evaluated_ += count;
    if (static_cast<std::size_t>(evaluated_) < tokens_.size()) return;
    if (!started_) {
        prompt_done_ = Clock::now();
        start();
    }
    if (!needs_logits()) return finish(FinishReason::length);
    if (is_complete()) return finish(FinishReason::stop);
    sample(logits);
}

void RequestState::start() {
    started_ = true;
    channel_->push(Started{std::move(setup_.prompt), setup_.seed, setup_.dropped_tokens});
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
    if (request_.logprobs) {
        auto logprob = sampling::log_probabilities(logits, *id, *request_.logprobs, token.top_logprobs);
        if (!logprob.ok()) return fail(std::move(logprob).error());
        token.logprob = *logprob;
    }
    last_token_ = Clock::now();
    if (!first_token_) first_token_ = last_token_;
    tokens_.push_back(*id);
    sampler_.accept(*id);

    const bool is_end = tokenizer_.is_end(*id);
    emit(std::move(token), is_end);
    if (const auto reason = reason_to_finish(is_end)) finish(*reason);
}

void RequestState::emit(Token token, bool is_end) {
    // An end token may be spelled like text in the vocabulary; it is shown only where control tokens are.
    if (!is_end || request_.decode.special) token.text = stop_filter_.push(decoder_.push(token.id));
    channel_->push(std::move(token));
}

std::optional<FinishReason> RequestState::reason_to_finish(bool is_end) const {
    if (is_end || stop_filter_.stopped() || is_complete()) return FinishReason::stop;
    if (request_.max_tokens && sampled_count() >= *request_.max_tokens) return FinishReason::length;
    if (evaluated_ >= setup_.context) return FinishReason::context;
    return std::nullopt;
}

void RequestState::finish(FinishReason reason) {
    if (finished_) return;
    if (!started_) start();
    std::string text = stop_filter_.push(decoder_.finish());
    if (stop_filter_.stopped()) reason = reason == FinishReason::cancelled ? reason : FinishReason::stop;
    text += stop_filter_.finish();
    finished_ = true;
    channel_->finish(Finished{reason, std::move(text), timings()});
}

void RequestState::fail(Error error) {
    finished_ = true;
    channel_->finish(std::move(error));
}

Timings RequestState::timings() const {
    Timings timings;
    timings.queue_ms = milliseconds(setup_.submitted, admitted_.value_or(Clock::now()));
    timings.prompt_tokens =
        static_cast<std::uint32_t>(std::min<std::int64_t>(evaluated_, std::ssize(tokens_) - sampled_count()));
    if (admitted_) timings.prompt_ms = milliseconds(*admitted_, prompt_done_.value_or(Clock::now()));
    timings.predicted_tokens = sampled_count();
    if (first_token_) {
        timings.predicted_ms = milliseconds(*first_token_, last_token_);
        timings.first_token_ms = milliseconds(setup_.submitted, *first_token_);
    }
    return timings;
}

}  // namespace puna::engine
