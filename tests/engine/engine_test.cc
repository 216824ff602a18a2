#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <future>
#include <latch>
#include <limits>
#include <new>
#include <set>
#include <thread>

#include "base/cpu.h"
#include "engine/fake_model.h"

namespace puna::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr float nan = std::numeric_limits<float>::quiet_NaN();

EngineOptions options_with(std::uint32_t batch_size) {
    EngineOptions options;
    options.threads = 1;
    options.batch_size = batch_size;
    return options;
}

std::unique_ptr<Engine> make_engine(FakeModel::Logits logits, std::int64_t context = 256,
                                    std::uint32_t batch_size = 512, FakeModel::Before before = {}) {
    auto model = std::make_shared<FakeModel>(letter_vocabulary, context, std::move(logits), std::move(before));
    auto engine = Engine::create(std::move(model), letter_tokenizer(), options_with(batch_size));
    EXPECT_TRUE(engine.ok()) << engine.error().message;
    return std::move(engine).value();
}

Request greedy(std::string prompt, std::optional<std::uint32_t> max_tokens = std::nullopt) {
    Request request;
    request.prompt = std::move(prompt);
    request.max_tokens = max_tokens;
    request.sampling.temperature = 0;
    return request;
}

Request sampled(std::string prompt, std::uint32_t max_tokens, std::optional<std::uint64_t> seed) {
    Request request = greedy(std::move(prompt), max_tokens);
    request.sampling = {};
    request.sampling.seed = seed;
    return request;
}

FinishReason reason(const Outcome& outcome) {
    EXPECT_TRUE(outcome.finished) << (outcome.error ? outcome.error->message : "");
    return outcome.finished ? outcome.finished->reason : FinishReason::cancelled;
}

TEST(Engine, StreamsACompletion) {
    auto engine = make_engine(says(3, letters("hello")));
    const Outcome outcome = run(*engine, greedy("ab"));
    EXPECT_THAT(outcome.started->prompt_ids, ElementsAre(begin_token, letter_token('a'), letter_token('b')));
    EXPECT_EQ(outcome.started->dropped_tokens, 0U);
    EXPECT_EQ(outcome.text(), "hello");
    EXPECT_EQ(reason(outcome), FinishReason::stop);
    // The end token is among the ids, without text.
    ASSERT_EQ(outcome.tokens.size(), 6U);
    EXPECT_EQ(outcome.tokens.back().id, end_token);
    EXPECT_EQ(outcome.tokens.back().text, "");
    const Timings& timings = outcome.finished->timings;
    EXPECT_EQ(timings.prompt_tokens, 3U);
    EXPECT_EQ(timings.predicted_tokens, 6U);
    EXPECT_GE(timings.first_token_ms, timings.queue_ms + timings.prompt_ms);
}

TEST(Engine, ShowsControlTokensOnlyWhenAsked) {
    auto engine = make_engine(says(3, {letter_token('x'), begin_token}));
    Request request = greedy("ab");
    EXPECT_EQ(run(*engine, request).text(), "x");
    request.decode.special = true;
    EXPECT_EQ(run(*engine, request).text(), "x<s></s>");
}

TEST(Engine, TakesTokenIdsAsTheyAre) {
    auto engine = make_engine(says(2, letters("ok")));
    Request request = greedy("");
    request.prompt = letters("ab");
    const Outcome outcome = run(*engine, request);
    EXPECT_EQ(outcome.started->prompt_ids, letters("ab"));
    EXPECT_EQ(outcome.text(), "ok");
}

TEST(Engine, EndsAtTheLength) {
    auto engine = make_engine(says(3, letters("hello")));
    const Outcome outcome = run(*engine, greedy("ab", 2));
    EXPECT_EQ(outcome.text(), "he");
    EXPECT_EQ(reason(outcome), FinishReason::length);
}

TEST(Engine, ZeroTokensEvaluateThePromptAlone) {
    std::atomic<int> rows = 0;
    auto engine = make_engine(says(3, letters("hello")), 256, 512, [&](const nn::Batch& batch) -> Result<void> {
        rows += static_cast<int>(batch.rows());
        EXPECT_THAT(batch.wants_logits, ElementsAre(0, 0, 0));
        return {};
    });
    const Outcome outcome = run(*engine, greedy("ab", 0));
    EXPECT_EQ(reason(outcome), FinishReason::length);
    EXPECT_TRUE(outcome.tokens.empty());
    EXPECT_EQ(outcome.finished->timings.prompt_tokens, 3U);
    EXPECT_EQ(rows, 3);
}

TEST(Engine, StopStringsReachAcrossTokens) {
    auto engine = make_engine(says(3, letters("onetwothree")));
    Request request = greedy("ab");
    request.stop = {"never", "twoth"};
    const Outcome outcome = run(*engine, request);
    EXPECT_EQ(outcome.text(), "one");
    EXPECT_EQ(reason(outcome), FinishReason::stop);
    EXPECT_EQ(outcome.ids(), letters("onetwoth"));
    EXPECT_EQ(outcome.finished->text, "");
}

TEST(Engine, GivesBackTextThatWasHeldForAStop) {
    auto engine = make_engine(says(3, letters("onetwo")));
    Request request = greedy("ab");
    request.stop = {"twothree"};
    const Outcome outcome = run(*engine, request);
    EXPECT_EQ(outcome.text(), "onetwo");
    EXPECT_EQ(outcome.finished->text, "two");
    EXPECT_EQ(reason(outcome), FinishReason::stop);  // the end token
}

TEST(Engine, EmitsWholeCharactersOnly) {
    // The four bytes of U+1F999, one token each, then half of another character.
    auto engine = make_engine(says(3, {byte_token(0xF0), byte_token(0x9F), byte_token(0xA6), byte_token(0x99),
                                       byte_token(0xE2), byte_token(0x82)}));
    const Outcome outcome = run(*engine, greedy("ab"));
    EXPECT_EQ(outcome.tokens[0].text, "");
    EXPECT_EQ(outcome.tokens[2].text, "");
    EXPECT_EQ(outcome.tokens[3].text, "\xF0\x9F\xA6\x99");
    EXPECT_EQ(outcome.text(), "\xF0\x9F\xA6\x99\xEF\xBF\xBD");
}

TEST(Engine, FillsTheContextToItsLastPosition) {
    for (const std::uint32_t batch_size : {1U, 7U, 512U}) {
        auto engine = make_engine(says(0, std::vector<TokenId>(1000, letter_token('x'))), 40, batch_size);
        // Five positions are taken by the prompt; the token after the last position is sampled, and needs none.
        const Outcome outcome = run(*engine, greedy("abcd"));
        EXPECT_EQ(reason(outcome), FinishReason::context);
        EXPECT_EQ(outcome.tokens.size(), 36U);
        EXPECT_EQ(outcome.text(), std::string(36, 'x'));
    }
}

TEST(Engine, APromptOfExactlyTheContextGivesOneToken) {
    auto engine = make_engine(says(40, letters("xyz")), 40);
    const Outcome outcome = run(*engine, greedy(std::string(39, 'a')));
    EXPECT_EQ(reason(outcome), FinishReason::context);
    EXPECT_EQ(outcome.text(), "x");
    EXPECT_EQ(reason(run(*engine, greedy(std::string(39, 'a'), 1))), FinishReason::length);
}

TEST(Engine, APromptThatDoesNotFitIsAnError) {
    auto engine = make_engine(says(40, letters("xyz")), 40);
    const Outcome outcome = run(*engine, greedy(std::string(40, 'a')));
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code, ErrorCode::context_overflow);
    EXPECT_THAT(outcome.error->message, HasSubstr("41"));
    EXPECT_THAT(outcome.error->message, HasSubstr("40"));
    EXPECT_FALSE(outcome.started);
}

TEST(Engine, DropsTheOldestTokensWhenAsked) {
    auto engine = make_engine(says(30, letters("xyz")), 40);
    Request request = greedy(std::string(38, 'a') + "bc", 10);
    request.overflow = OverflowPolicy::truncate_start;
    const Outcome outcome = run(*engine, request);
    ASSERT_TRUE(outcome.started);
    EXPECT_EQ(outcome.started->dropped_tokens, 11U);
    ASSERT_EQ(outcome.started->prompt_ids.size(), 30U);
    EXPECT_EQ(outcome.started->prompt_ids.front(), begin_token);
    EXPECT_EQ(outcome.started->prompt_ids.back(), letter_token('c'));
    EXPECT_EQ(outcome.text(), "xyz");
}

TEST(Engine, IgnoresTheEndWhenAsked) {
    auto engine = make_engine(says(3, letters("xy")));
    Request request = greedy("ab", 6);
    request.sampling.ignore_end = true;
    const Outcome outcome = run(*engine, request);
    EXPECT_EQ(outcome.tokens.size(), 6U);
    EXPECT_EQ(reason(outcome), FinishReason::length);
}

TEST(Engine, TheSameWhateverTheChunking) {
    const std::string prompt(100, 'q');
    std::vector<std::vector<TokenId>> all;
    for (const std::uint32_t batch_size : {1U, 7U, 64U, 512U, 65536U}) {
        auto engine = make_engine(hash_logits, 256, batch_size);
        all.push_back(run(*engine, sampled(prompt, 50, 11)).ids());
        EXPECT_EQ(all.back(), all.front()) << batch_size;
    }
    EXPECT_GT(all.front().size(), 1U);
}

TEST(Engine, SeedsAreReproducibleAndReported) {
    auto engine = make_engine(hash_logits);
    const auto ids = [&](std::optional<std::uint64_t> seed) {
        Request request = sampled("abc", 40, seed);
        request.sampling.ignore_end = true;
        return run(*engine, std::move(request));
    };
    EXPECT_EQ(ids(5).ids(), ids(5).ids());
    EXPECT_EQ(ids(5).started->seed, 5U);
    EXPECT_NE(ids(5).ids(), ids(6).ids());
    const Outcome drawn = ids(std::nullopt);
    EXPECT_EQ(ids(drawn.started->seed).ids(), drawn.ids());
    EXPECT_NE(ids(std::nullopt).started->seed, drawn.started->seed);
}

TEST(Engine, RepeatPenaltyLooksBackOnThePromptToo) {
    auto engine = make_engine(says(3, letters("aaaa")));
    Request request = greedy("ab", 1);
    request.sampling.repeat_penalty = 1e9F;
    EXPECT_NE(run(*engine, request).ids(), letters("a"));
    request.sampling.repeat_last_n = 1;  // 'b' alone
    EXPECT_EQ(run(*engine, request).ids(), letters("a"));
}

TEST(Engine, ReportsLogProbabilities) {
    auto engine = make_engine(hash_logits);
    Request request = sampled("abc", 20, 3);
    EXPECT_FALSE(run(*engine, request).tokens[0].logprob);
    request.logprobs = static_cast<std::uint32_t>(letter_vocabulary);
    for (const Token& token : run(*engine, request).tokens) {
        ASSERT_TRUE(token.logprob);
        EXPECT_EQ(token.logprob->id, token.id);
        ASSERT_EQ(token.top_logprobs.size(), static_cast<std::size_t>(letter_vocabulary));
        double sum = 0;
        for (const TokenLogprob& entry : token.top_logprobs) {
            sum += std::exp(entry.logprob);
            if (entry.id == token.id) {
                EXPECT_EQ(entry.logprob, token.logprob->logprob);
            }
        }
        EXPECT_NEAR(sum, 1, 1e-12);
    }
    request.logprobs = 0;  // the token's own, and no others
    const Outcome own = run(*engine, request);
    EXPECT_TRUE(own.tokens[0].logprob);
    EXPECT_TRUE(own.tokens[0].top_logprobs.empty());
}

TEST(Engine, RequestsBesideEachOtherGiveWhatEachGivesAlone) {
    const auto request = [](int i) {
        Request result = sampled(std::string(static_cast<std::size_t>(3 + 17 * i), static_cast<char>('a' + i)),
                                 static_cast<std::uint32_t>(30 + i), static_cast<std::uint64_t>(i));
        result.logprobs = 3;
        return result;
    };
    constexpr int requests = 8;
    std::vector<Outcome> alone;
    {
        auto engine = make_engine(hash_logits, 1024);
        for (int i = 0; i < requests; ++i)
            alone.push_back(run(*engine, request(i)));
    }
    for (const std::uint32_t batch_size : {1U, 7U, 64U, 512U}) {
        std::size_t most = 0;  // sequences in one batch
        auto engine = make_engine(hash_logits, 1024, batch_size, [&](const nn::Batch& batch) -> Result<void> {
            most = std::max(most, std::set<std::int32_t>(batch.sequences.begin(), batch.sequences.end()).size());
            return {};
        });
        std::vector<std::shared_ptr<EventChannel>> channels;
        channels.reserve(requests);
        for (int i = 0; i < requests; ++i)
            channels.push_back(submit(*engine, request(i)));
        for (std::size_t i = 0; i < requests; ++i) {
            const Outcome outcome = drain(*channels[i]);
            EXPECT_EQ(outcome.ids(), alone[i].ids()) << "request " << i << ", batches of " << batch_size;
            EXPECT_EQ(outcome.text(), alone[i].text());
            EXPECT_EQ(outcome.tokens.back().logprob->logprob, alone[i].tokens.back().logprob->logprob);
        }
        engine.reset();
        if (batch_size > 64) {
            EXPECT_GT(most, 1U);
        }
    }
}

TEST(Engine, MoreRequestsThanTheCacheHoldsWaitTheirTurn) {
    auto engine = make_engine(hash_logits, 64);  // two blocks
    std::vector<std::shared_ptr<EventChannel>> channels;
    for (int i = 0; i < 20; ++i) {
        Request request = sampled("abc", i % 3 == 0 ? 60 : 10, static_cast<std::uint64_t>(i));
        request.sampling.ignore_end = true;
        channels.push_back(submit(*engine, std::move(request)));
    }
    for (int i = 0; i < 20; ++i) {
        const Outcome outcome = drain(*channels[static_cast<std::size_t>(i)]);
        EXPECT_EQ(reason(outcome), FinishReason::length);
        EXPECT_EQ(outcome.tokens.size(), i % 3 == 0 ? 60U : 10U);
    }
}

TEST(Engine, SubmittersOnManyThreads) {
    auto engine = make_engine(hash_logits, 1024, 16);
    const std::vector<TokenId> expected = run(*engine, sampled("abc", 20, 1)).ids();
    std::vector<std::future<bool>> done;
    done.reserve(4);
    for (int thread = 0; thread < 4; ++thread) {
        done.push_back(std::async(std::launch::async, [&] {
            bool same = true;
            for (int i = 0; i < 10; ++i)
                same &= run(*engine, sampled("abc", 20, 1)).ids() == expected;
            return same;
        }));
    }
    for (auto& same : done)
        EXPECT_TRUE(same.get());
}

/// Holds the compute thread before its pass number `pass` (counted from 0) until the test lets it go on.
class Gate {
  public:
    explicit Gate(int pass) : pass_(pass) {}
    Result<void> operator()() {
        if (passes_++ != pass_) return {};
        reached_.count_down();
        open_.wait();
        return {};
    }
    void wait_until_reached() { reached_.wait(); }
    void open() { open_.count_down(); }
    int passes() const { return passes_; }

  private:
    int pass_;
    std::atomic<int> passes_ = 0;
    std::latch reached_{1};
    std::latch open_{1};
};

TEST(Engine, CancelStopsALongPromptBetweenSteps) {
    Gate gate(2);
    auto engine = make_engine(hash_logits, 1024, 10, [&](const nn::Batch&) { return gate(); });
    auto channel = submit(*engine, sampled(std::string(999, 'a'), 5, 1));
    gate.wait_until_reached();
    channel->cancel();
    gate.open();
    const Outcome outcome = drain(*channel);
    EXPECT_EQ(reason(outcome), FinishReason::cancelled);
    EXPECT_TRUE(outcome.tokens.empty());
    EXPECT_EQ(outcome.finished->timings.prompt_tokens, 30U);
    EXPECT_EQ(outcome.started->prompt_ids.size(), 1000U);  // what the request was is known even so
    EXPECT_EQ(gate.passes(), 3);
}

TEST(Engine, CancelStopsAGenerationFromAnotherThread) {
    auto engine = make_engine(says(0, std::vector<TokenId>(1000, letter_token('x'))), 100000);
    Request request = greedy("ab");
    request.sampling.ignore_end = true;
    auto channel = submit(*engine, std::move(request));
    std::latch some(1);
    std::thread canceller([&] {
        some.wait();
        channel->cancel();
    });
    Outcome outcome;
    while (auto event = channel->next()) {
        if (std::holds_alternative<Token>(*event) && outcome.tokens.empty()) some.count_down();
        if (auto* token = std::get_if<Token>(&*event)) outcome.tokens.push_back(std::move(*token));
        if (auto* finished = std::get_if<Finished>(&*event)) outcome.finished = std::move(*finished);
    }
    canceller.join();
    EXPECT_EQ(reason(outcome), FinishReason::cancelled);
    EXPECT_EQ(outcome.finished->timings.predicted_tokens, outcome.tokens.size());
}

TEST(Engine, CancelledWhileQueuedEndsWithoutRunning) {
    Gate gate(0);
    auto engine = make_engine(hash_logits, 64, 512, [&](const nn::Batch&) { return gate(); });
    auto running = submit(*engine, sampled("a", 60, 1));
    gate.wait_until_reached();
    auto queued = submit(*engine, sampled("b", 60, 1));  // no room beside the first
    queued->cancel();
    gate.open();
    const Outcome outcome = drain(*queued);
    EXPECT_EQ(reason(outcome), FinishReason::cancelled);
    EXPECT_EQ(outcome.finished->timings.prompt_tokens, 0U);
    running->cancel();
    drain(*running);
}

TEST(Engine, DestructionEndsWhatRunsAndWhatWaits) {
    Gate gate(3);
    auto engine = make_engine(hash_logits, 100000, 512, [&](const nn::Batch&) { return gate(); });
    Request request = greedy("a");  // takes all of the context, so the others wait
    request.sampling.ignore_end = true;
    auto running = submit(*engine, request);
    auto queued = submit(*engine, request);
    gate.wait_until_reached();
    auto unseen = submit(*engine, request);  // the compute thread has not taken it over
    std::thread reader([&] { EXPECT_EQ(reason(drain(*running)), FinishReason::cancelled); });
    gate.open();
    engine.reset();
    reader.join();
    EXPECT_EQ(reason(drain(*queued)), FinishReason::cancelled);
    EXPECT_EQ(reason(drain(*unseen)), FinishReason::cancelled);
}

TEST(Engine, NotANumberEndsOneRequestAlone) {
    // Whoever has a 'z' in the history gets NaN.
    const auto logits = [](std::span<const TokenId> history, std::span<float> out) {
        hash_logits(history, out);
        if (std::ranges::count(history, letter_token('z')) > 0) out[100] = nan;
    };
    auto engine = make_engine(logits);
    const auto good = sampled("abc", 20, 1);
    const std::vector<TokenId> expected = run(*engine, good).ids();
    auto first = submit(*engine, good);
    auto bad = submit(*engine, sampled("abz", 20, 1));
    auto last = submit(*engine, good);
    const Outcome failed = drain(*bad);
    ASSERT_TRUE(failed.error);
    EXPECT_EQ(failed.error->code, ErrorCode::invalid_number);
    EXPECT_EQ(drain(*first).ids(), expected);
    EXPECT_EQ(drain(*last).ids(), expected);
}

TEST(Engine, APassThatFailsForOneRequestIsRepeatedForTheOthers) {
    Gate gate(0);  // so that all three come to stand in one batch
    auto engine = make_engine(hash_logits, 256, 512, [&](const nn::Batch& batch) -> Result<void> {
        if (auto held = gate(); !held.ok()) return held;
        if (std::ranges::count(batch.tokens, letter_token('z')) == 0) return {};
        return Error{ErrorCode::invalid_number, "an activation is NaN", ""};
    });
    Request request = sampled("abc", 20, 1);
    auto first = submit(*engine, request);
    gate.wait_until_reached();
    auto bad = submit(*engine, greedy("z", 20));
    auto last = submit(*engine, request);
    gate.open();
    const Outcome failed = drain(*bad);
    ASSERT_TRUE(failed.error);
    EXPECT_EQ(failed.error->code, ErrorCode::invalid_number);
    EXPECT_EQ(failed.error->message, "an activation is NaN");
    const std::vector<TokenId> expected = run(*engine, request).ids();
    EXPECT_EQ(drain(*first).ids(), expected);
    EXPECT_EQ(drain(*last).ids(), expected);
}

TEST(Engine, OtherErrorsOfAPassEndAllOfItsRequestsAndTheEngineGoesOn) {
    std::atomic<bool> broken = true;
    auto engine = make_engine(hash_logits, 256, 512, [&](const nn::Batch&) -> Result<void> {
        if (!broken) return {};
        return Error{ErrorCode::file_changed, "the file shrank", "start again"};
    });
    for (int i = 0; i < 2; ++i) {
        const Outcome outcome = run(*engine, sampled("abc", 20, 1));
        ASSERT_TRUE(outcome.error);
        EXPECT_EQ(outcome.error->code, ErrorCode::file_changed);
    }
    broken = false;
    EXPECT_TRUE(run(*engine, sampled("abc", 20, 1)).finished);
}

TEST(Engine, RunningOutOfMemoryIsAnErrorOfTheRequests) {
    std::atomic<bool> broken = true;
    auto engine = make_engine(hash_logits, 256, 512, [&](const nn::Batch&) -> Result<void> {
        if (broken) throw std::bad_alloc();
        return {};
    });
    const Outcome outcome = run(*engine, sampled("abc", 20, 1));
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code, ErrorCode::out_of_memory);
    broken = false;
    EXPECT_TRUE(run(*engine, sampled("abc", 20, 1)).finished);
}

TEST(Engine, NeverSamplesAnIdThatTheTokenizerLacks) {
    // A vocabulary padded to a round number, with large logits in the padding.
    const auto logits = [](std::span<const TokenId> history, std::span<float> out) {
        hash_logits(history, out);
        for (std::size_t i = letter_vocabulary; i < out.size(); ++i)
            out[i] = 50;
    };
    auto model = std::make_shared<FakeModel>(letter_vocabulary + 34, 256, logits);
    auto engine = Engine::create(model, letter_tokenizer(), options_with(512));
    ASSERT_TRUE(engine.ok());
    for (const TokenId id : run(**engine, sampled("abc", 50, 1)).ids())
        EXPECT_LT(id, letter_vocabulary);
}

TEST(Submit, ChecksTheRequest) {
    auto engine = make_engine(hash_logits);
    const auto message = [&](auto change) {
        Request request = greedy("abc", 5);
        change(request);
        const auto submitted = engine->submit(std::move(request));
        if (submitted.ok()) return std::string("ok");
        EXPECT_EQ(submitted.error().code, ErrorCode::invalid_argument);
        EXPECT_FALSE(submitted.error().hint.empty());
        return submitted.error().message;
    };
    EXPECT_EQ(message([](Request&) {}), "ok");
    EXPECT_THAT(message([](Request& r) { r.sampling.temperature = nan; }), HasSubstr("temperature"));
    EXPECT_THAT(message([](Request& r) { r.sampling.logit_bias = {{286, 1}}; }), HasSubstr("0 to 285"));
    EXPECT_THAT(message([](Request& r) { r.stop = {"a", ""}; }), HasSubstr("empty"));
    EXPECT_THAT(message([](Request& r) { r.stop = {"\xFF"}; }), HasSubstr("UTF-8"));
    EXPECT_THAT(message([](Request& r) { r.logprobs = 287; }), HasSubstr("logprobs"));
    EXPECT_THAT(message([](Request& r) { r.prompt = std::vector<TokenId>{}; }), HasSubstr("no tokens"));
    EXPECT_THAT(message([](Request& r) { r.prompt = std::vector<TokenId>{1, 286}; }), HasSubstr("286"));
    EXPECT_THAT(message([](Request& r) { r.prompt = std::vector<TokenId>{-1}; }), HasSubstr("-1"));
    EXPECT_THAT(message([](Request& r) {
                    r.prompt = "";
                    r.encode.add_bos = false;
                }),
                HasSubstr("no tokens"));
    EXPECT_EQ(message([](Request& r) { r.prompt = ""; }), "ok");  // the begin token is a beginning
}

TEST(Create, ReportsWhatItSettledOn) {
    EngineOptions options;
    options.threads = 1024;
    options.context_tokens = 100;
    options.activations = "float32";
    options.kv_type = "f32";
    options.isa = "generic";
    auto model = std::make_shared<FakeModel>(letter_vocabulary, 256, hash_logits);
    auto engine = Engine::create(model, letter_tokenizer(), options);
    ASSERT_TRUE(engine.ok());
    const EngineInfo& info = (*engine)->info();
    EXPECT_EQ(info.threads, base::usable_cores());
    EXPECT_EQ(info.context_tokens, 100U);
    EXPECT_FALSE(info.context_capped_by_memory);
    EXPECT_EQ(info.kernels, "generic");
    EXPECT_EQ(info.activations, "float32");
    EXPECT_EQ(info.kv_type, "f32");
    EXPECT_EQ(info.law, "f32/1");
    EXPECT_EQ(run(**engine, sampled("abc", 20, 4)).ids(), run(*make_engine(hash_logits), sampled("abc", 20, 4)).ids());
}

TEST(Create, ChecksTheOptions) {
    const auto error = [](auto change) {
        EngineOptions options;
        change(options);
        auto model = std::make_shared<FakeModel>(letter_vocabulary, 256, hash_logits);
        auto engine = Engine::create(model, letter_tokenizer(), options);
        EXPECT_FALSE(engine.ok());
        return engine.ok() ? Error{} : engine.error();
    };
    EXPECT_THAT(error([](auto& o) { o.threads = 1025; }).message, HasSubstr("threads is 1025"));
    EXPECT_THAT(error([](auto& o) { o.spin_microseconds = 1000001; }).message,
                HasSubstr("spin_microseconds is 1000001"));
    EXPECT_THAT(error([](auto& o) { o.batch_size = 0; }).message, HasSubstr("batch_size is 0"));
    EXPECT_THAT(error([](auto& o) { o.batch_size = 65537; }).message, HasSubstr("65536"));
    EXPECT_THAT(error([](auto& o) { o.context_tokens = 257; }).message, HasSubstr("256"));
    EXPECT_EQ(error([](auto& o) { o.isa = "z80"; }).code, ErrorCode::unsupported_isa);
    EXPECT_EQ(error([](auto& o) { o.activations = "int3"; }).code, ErrorCode::invalid_argument);
    EXPECT_EQ(error([](auto& o) { o.kv_type = "f8"; }).code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace puna::engine
