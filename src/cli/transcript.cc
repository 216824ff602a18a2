#include "cli/transcript.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <variant>

#include "base/try.h"
#include "cli/units.h"

namespace puna::cli {
namespace {

/// Tokens and, where it can be told, the speed of `timed` of them.
std::string speed_words(std::uint32_t tokens, double timed, double milliseconds) {
    std::string words = counted(tokens, "token");
    if (timed <= 0 || milliseconds <= 0) return words;
    return fmt::format("{}, {:.1f} tokens/s", words, 1000 * timed / milliseconds);
}

Json logprob_json(const TokenLogprob& logprob) {
    return {{"id", logprob.id}, {"logprob", nine_digits(logprob.logprob)}};
}

Json token_json(const Token& token) {
    Json entry = logprob_json(*token.logprob);
    entry["top"] = Json::array();
    for (const TokenLogprob& top : token.top_logprobs)
        entry["top"].push_back(logprob_json(top));
    return entry;
}

class Follower {
  public:
    explicit Follower(const Listener& listener) : listener_(listener) {}

    Result<void> operator()(Started& started) {
        transcript_.started = std::move(started);
        return listener_.started ? listener_.started(transcript_.started) : Result<void>();
    }
    Result<void> operator()(Token& token) {
        transcript_.ids.push_back(token.id);
        if (token.logprob) transcript_.logprobs.push_back(token_json(token));
        if (token.dropped_tokens > 0) {
            transcript_.shifted_tokens += token.dropped_tokens;
            if (listener_.shifted) listener_.shifted(token.dropped_tokens);
        }
        return hear(token.text);
    }
    Result<void> operator()(Finished& finished) {
        transcript_.finished = std::move(finished);
        return hear(transcript_.finished.text);
    }
    Result<void> operator()(Error& error) { return std::move(error); }
    Transcript take() { return std::move(transcript_); }

  private:
    Result<void> hear(const std::string& text) {
        transcript_.text += text;
        return text.empty() || !listener_.text ? Result<void>() : listener_.text(text);
    }

    const Listener& listener_;
    Transcript transcript_;
};

}  // namespace

Result<Transcript> follow(Stream& stream, const Listener& listener) {
    Follower follower(listener);
    while (std::optional<Event> event = stream.next())
        PUNA_CHECK(std::visit(follower, *event));
    return follower.take();
}

Json to_json(const Transcript& transcript, const EngineInfo& info, double load_ms, bool with_logprobs) {
    Json json;
    json["text"] = transcript.text;
    json["prompt_ids"] = transcript.started.prompt_ids;
    json["ids"] = transcript.ids;
    json["finish_reason"] = finish_reason_name(transcript.finished.reason);
    if (with_logprobs) json["logprobs"] = transcript.logprobs;
    json["seed"] = transcript.started.seed;
    json["reused_tokens"] = transcript.started.reused_tokens;
    json["threads"] = info.threads;
    json["kernels"] = info.kernels;
    json["activations"] = info.activations;
    json["kv"] = info.kv_type;
    json["law"] = info.law;
    const Timings& timings = transcript.finished.timings;
    json["timings"] = {{"load_ms", load_ms},
                       {"prompt_tokens", timings.prompt_tokens},
                       {"prompt_ms", timings.prompt_ms},
                       {"predicted_tokens", timings.predicted_tokens},
                       {"predicted_ms", timings.predicted_ms},
                       {"first_token_ms", timings.first_token_ms}};
    return json;
}

std::string summary(const Transcript& transcript) {
    const Timings& timings = transcript.finished.timings;
    // predicted_ms runs from the first token to the last, so it holds one token less.
    return fmt::format("prompt {}; generated {}; first token after {:.0f} ms; seed {}",
                       speed_words(timings.prompt_tokens, timings.prompt_tokens, timings.prompt_ms),
                       speed_words(timings.predicted_tokens, timings.predicted_tokens - 1.0, timings.predicted_ms),
                       timings.first_token_ms, transcript.started.seed);
}

}  // namespace puna::cli
