// Requests that go on from sessions, and from what earlier requests left in the cache.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <limits>

#include "engine/engine.h"
#include "engine/fake_model.h"
#include "engine/session/session_data.h"
#include "engine/session/session_file.h"
#include "support/temp_file.h"

namespace puna::engine {
namespace {

using testing::HasSubstr;

/// An engine on a FakeModel, whose logits are a function of what the cache holds, and a count of the rows evaluated.
class Sessions : public testing::Test {
  protected:
    std::unique_ptr<Engine> make_engine(FakeModel::Logits logits = hash_logits, std::int64_t context = 256,
                                        std::string kv_type = "f32") {
        auto model = std::make_shared<FakeModel>(letter_vocabulary, context, std::move(logits),
                                                 [this](const nn::Batch& batch) -> Result<void> {
                                                     rows += batch.rows();
                                                     return {};
                                                 });
        EngineOptions options;
        options.threads = 1;
        options.kv_type = std::move(kv_type);
        auto engine = Engine::create(std::move(model), letter_tokenizer(), options);
        EXPECT_TRUE(engine.ok());
        return std::move(engine).value();
    }
    static Request request(std::vector<TokenId> prompt, std::uint32_t max_tokens) {
        Request request;
        request.prompt = std::move(prompt);
        request.max_tokens = max_tokens;
        request.sampling.seed = 7;
        request.sampling.ignore_end = true;
        return request;
    }
    static Request keeping(Request request) {
        request.keep_session = true;
        return request;
    }
    static Request following(const Session& session, std::vector<TokenId> prompt, std::uint32_t max_tokens) {
        Request next = request(std::move(prompt), max_tokens);
        next.session = session;
        next.sampling = data_of(session).sampling;
        return next;
    }
    static Error refusal(Engine& engine, Request request) {
        auto channel = engine.submit(std::move(request));
        EXPECT_FALSE(channel.ok());
        return channel.ok() ? Error{} : channel.error();
    }

    std::atomic<std::int64_t> rows = 0;
};

TEST_F(Sessions, GoOnAsIfTheyHadNeverEnded) {
    const std::vector<TokenId> whole = run(*make_engine(), request(letters("abc"), 20)).ids();
    for (const std::uint32_t first : {1U, 7U, 10U, 19U}) {
        const Outcome before = run(*make_engine(), keeping(request(letters("abc"), first)));
        ASSERT_TRUE(before.finished->session);
        auto engine = make_engine();
        rows = 0;
        const Outcome after = run(*engine, following(*before.finished->session, {}, 20 - first));
        std::vector<TokenId> together = before.ids();
        for (const TokenId id : after.ids())
            together.push_back(id);
        EXPECT_EQ(together, whole) << first;
        EXPECT_EQ(rows, 20 - first - 1);  // nothing again, and the last token never
        EXPECT_EQ(after.started->reused_tokens, 3 + first);
    }
}

// What mirostat and adaptive-p steer by, XTC's draws and DRY's memory go on too, also through a file.
TEST_F(Sessions, GoOnWithWhatTheSamplersKeep) {
    std::vector<SamplingOptions> all(6);
    all[0].mirostat = 1;
    all[1].mirostat = 2;
    all[2].adaptive_target = 0.3F;
    all[3].xtc_probability = 0.5F;
    all[4].dry_multiplier = 2;
    all[4].dry_allowed_length = 1;
    all[5].frequency_penalty = 0.5F;
    all[5].samplers = {SamplingStep::temperature, SamplingStep::penalties};
    const support::TempFolder folder;
    for (SamplingOptions& sampling : all) {
        sampling.seed = 7;
        sampling.ignore_end = true;
        sampling.mirostat_tau = 3;
        Request twenty = request(letters("abcabca"), 20);
        twenty.sampling = sampling;
        const std::vector<TokenId> whole = run(*make_engine(), twenty).ids();
        twenty.max_tokens = 10;
        const Outcome before = run(*make_engine(), keeping(twenty));
        const std::string path = folder.path("session");
        ASSERT_TRUE(write_session(path, data_of(*before.finished->session)).ok());
        auto data = read_session(path);
        ASSERT_TRUE(data.ok());
        const Session session(std::make_shared<const SessionData>(std::move(data).value()));
        const std::vector<TokenId> later(whole.begin() + 10, whole.end());
        EXPECT_EQ(run(*make_engine(), following(session, {}, 10)).ids(), later);

        // And by tokens and state alone.
        Request tokens = twenty;
        tokens.prompt = data_of(session).tokens;
        tokens.sampler_state = before.finished->sampler_state;
        EXPECT_EQ(run(*make_engine(), tokens).ids(), later);
    }
}

TEST_F(Sessions, AStateThatIsNoNumberIsRefused) {
    Request wrong = request(letters("abc"), 2);
    wrong.sampler_state = SamplerState{.mirostat_mu = std::numeric_limits<double>::quiet_NaN()};
    EXPECT_THAT(refusal(*make_engine(), wrong).message, HasSubstr("sampler_state"));
}

TEST_F(Sessions, ABreakerThatNoTokenHoldsIsRefused) {
    Request wrong = request(letters("abc"), 2);
    wrong.sampling.dry_multiplier = 1;
    wrong.sampling.dry_breakers = {"a", "zz"};
    EXPECT_THAT(refusal(*make_engine(), wrong).message, HasSubstr("'zz'"));
}

TEST_F(Sessions, KeepTheLastTokenEvaluatedButNotAnEndToken) {
    auto engine = make_engine(says(2, letters("xy")));
    Request greedy = keeping(request(letters("ab"), 10));
    greedy.sampling = {.temperature = 0};
    const Session ended = *run(*engine, greedy).finished->session;
    std::vector<TokenId> tokens = letters("abxy");
    tokens.push_back(end_token);
    EXPECT_EQ(data_of(ended).tokens, tokens);
    EXPECT_EQ(data_of(ended).evaluated, 4);
    EXPECT_TRUE(data_of(ended).logits.empty());

    greedy.max_tokens = 2;
    const Session cut = *run(*engine, greedy).finished->session;
    EXPECT_EQ(data_of(cut).tokens, letters("abxy"));
    EXPECT_EQ(data_of(cut).evaluated, 4);
    EXPECT_FALSE(data_of(cut).logits.empty());
}

TEST_F(Sessions, ARequestForNoTokensStoresThePrompt) {
    auto engine = make_engine();
    const Session session = *run(*engine, keeping(request(letters("abcdef"), 0))).finished->session;
    EXPECT_EQ(data_of(session).tokens, letters("abcdef"));
    EXPECT_EQ(data_of(session).evaluated, 6);
    EXPECT_EQ(data_of(session).sampler_state.draws, 0U);
    const Outcome direct = run(*make_engine(), request(letters("abcdef"), 8));
    EXPECT_EQ(run(*make_engine(), following(session, {}, 8)).ids(), direct.ids());
}

TEST_F(Sessions, APromptFollowsWithoutABeginToken) {
    auto engine = make_engine();
    Request first = keeping(request({}, 4));
    first.prompt = "ab";
    const Outcome before = run(*engine, first);
    Request second = following(*before.finished->session, {}, 4);
    second.prompt = "cd";
    const Outcome after = run(*make_engine(), second);
    std::vector<TokenId> expected = before.started->prompt_ids;
    for (const TokenId id : before.ids())
        expected.push_back(id);
    for (const TokenId id : letters("cd"))
        expected.push_back(id);
    EXPECT_EQ(after.started->prompt_ids, expected);
    EXPECT_EQ(after.finished->timings.prompt_tokens, 2U);
    // The same tokens as one prompt, with the draws that came before.
    Request direct = request(expected, 4);
    direct.sampler_state = SamplerState{.draws = 4};
    EXPECT_EQ(run(*make_engine(), direct).ids(), after.ids());
}

TEST_F(Sessions, KeepThePenaltyWindow) {
    Request penalized = request(letters("abcabc"), 24);
    penalized.sampling.repeat_penalty = 1.5F;
    penalized.sampling.repeat_last_n = 5;
    const std::vector<TokenId> whole = run(*make_engine(), penalized).ids();
    penalized.max_tokens = 12;
    const Outcome before = run(*make_engine(), keeping(penalized));
    const Outcome after = run(*make_engine(), following(*before.finished->session, {}, 12));
    std::vector<TokenId> together = before.ids();
    for (const TokenId id : after.ids())
        together.push_back(id);
    EXPECT_EQ(together, whole);
}

TEST_F(Sessions, APrefixIsReusedExactly) {
    auto engine = make_engine();
    const Session session = *run(*engine, keeping(request(letters("abcdefgh"), 0))).finished->session;
    for (const auto& [prompt, reused] : {std::pair{"abcdxyz", 4U}, {"abcdefghij", 8U}, {"abcd", 3U}, {"xyz", 0U}}) {
        auto fresh = make_engine();
        Request next = following(session, letters(prompt), 6);
        next.session_use = SessionUse::prefix;
        const Outcome outcome = run(*fresh, next);
        EXPECT_EQ(outcome.started->reused_tokens, reused) << prompt;
        EXPECT_EQ(outcome.started->prompt_ids, letters(prompt));
        EXPECT_EQ(outcome.ids(), run(*make_engine(), request(letters(prompt), 6)).ids()) << prompt;
    }
    // All of it, and nothing more: the logits are there too.
    Request same = following(session, letters("abcdefgh"), 6);
    same.session_use = SessionUse::prefix;
    const Outcome outcome = run(*make_engine(), same);
    EXPECT_EQ(outcome.started->reused_tokens, 8U);
    EXPECT_EQ(outcome.ids(), run(*make_engine(), request(letters("abcdefgh"), 6)).ids());
}

TEST_F(Sessions, ACharacterThatWasCutComesWhole) {
    // U+00E9 in two byte tokens, with the session's end between.
    const auto model = says(1, {byte_token(0xC3), byte_token(0xA9), letter_token('z')});
    Request first = keeping(request(letters("a"), 1));
    first.sampling = {.temperature = 0};
    const Outcome before = run(*make_engine(model), first);
    EXPECT_EQ(before.text(), "");
    Request second = following(*before.finished->session, {}, 2);
    EXPECT_EQ(run(*make_engine(model), second).text(), "\xC3\xA9z");
}

TEST_F(Sessions, AreRefusedByAnotherEngine) {
    const Session session = *run(*make_engine(), keeping(request(letters("abc"), 2))).finished->session;
    const Error kv = refusal(*make_engine(hash_logits, 256, "f16"), following(session, {}, 2));
    EXPECT_EQ(kv.code, ErrorCode::session_mismatch);
    EXPECT_THAT(kv.message, HasSubstr("f32"));

    auto changed = std::make_shared<SessionData>(data_of(session));
    changed->origin.law = "int8/1";
    Request other_law = following(Session(changed), {}, 2);
    const Error law = refusal(*make_engine(), other_law);
    EXPECT_EQ(law.code, ErrorCode::session_mismatch);
    EXPECT_THAT(law.message, HasSubstr("int8/1"));
    other_law.any_law = true;
    EXPECT_EQ(run(*make_engine(), other_law).tokens.size(), 2U);

    const auto refused_for = [&](auto change) {
        auto other = std::make_shared<SessionData>(data_of(session));
        change(other->origin.model);
        const Error error = refusal(*make_engine(), following(Session(other), {}, 2));
        EXPECT_EQ(error.code, ErrorCode::session_mismatch);
        return error.message;
    };
    EXPECT_THAT(refused_for([](ModelFingerprint& m) { m.architecture = "qwen2"; }), HasSubstr("architecture"));
    EXPECT_THAT(refused_for([](ModelFingerprint& m) { ++m.shape.layers; }), HasSubstr("shapes"));
    EXPECT_THAT(refused_for([](ModelFingerprint& m) { ++m.tokenizer; }), HasSubstr("tokenizer"));
    EXPECT_THAT(refused_for([](ModelFingerprint& m) { ++m.parameters; }), HasSubstr("hyper-parameters"));
    EXPECT_THAT(refused_for([](ModelFingerprint& m) { ++m.tensors; }), HasSubstr("weights"));
}

TEST_F(Sessions, OfACancelledRequestHoldWhatCame) {
    auto engine = make_engine();
    auto channel = engine->submit(keeping(request(letters("abc"), 200)));
    ASSERT_TRUE(channel.ok());
    (*channel)->next();  // Started
    (*channel)->next();
    (*channel)->cancel();
    std::optional<Session> session;
    while (auto event = (*channel)->next()) {
        if (auto* finished = std::get_if<Finished>(&*event)) session = finished->session;
    }
    ASSERT_TRUE(session);
    const auto sampled = static_cast<std::uint32_t>(data_of(*session).tokens.size() - 3);
    const std::vector<TokenId> whole = run(*make_engine(), request(letters("abc"), sampled + 5)).ids();
    const std::vector<TokenId> rest = run(*make_engine(), following(*session, {}, 5)).ids();
    EXPECT_EQ(rest, std::vector<TokenId>(whole.end() - 5, whole.end()));
}

TEST_F(Sessions, OfAFullContextGoOnInALargerOne) {
    const Outcome before = run(*make_engine(hash_logits, 32), keeping(request(letters("abc"), 100)));
    EXPECT_EQ(before.finished->reason, FinishReason::context);
    const Session session = *before.finished->session;
    EXPECT_EQ(data_of(session).tokens.size(), 33U);  // the last one has no room to be evaluated in
    EXPECT_EQ(data_of(session).evaluated, 32);
    const Outcome again = run(*make_engine(hash_logits, 32), following(session, {}, 1));
    ASSERT_TRUE(again.error);
    EXPECT_EQ(again.error->code, ErrorCode::context_overflow);
    const std::vector<TokenId> whole = run(*make_engine(), request(letters("abc"), 40)).ids();
    const std::vector<TokenId> rest = run(*make_engine(), following(session, {}, 10)).ids();
    EXPECT_EQ(rest, std::vector<TokenId>(whole.end() - 10, whole.end()));
}

TEST_F(Sessions, WhatAFullContextLeftCanBeStored) {
    auto engine = make_engine(hash_logits, 32);
    const Outcome before = run(*engine, request(letters("abc"), 100));
    std::vector<TokenId> tokens = letters("abc");
    for (const TokenId id : before.ids())
        tokens.push_back(id);
    ASSERT_EQ(tokens.size(), 33U);
    const Session session = *run(*engine, keeping(request(tokens, 0))).finished->session;
    EXPECT_EQ(data_of(session).tokens, tokens);
    EXPECT_EQ(data_of(session).evaluated, 32);
    EXPECT_TRUE(data_of(session).logits.empty());
    tokens.push_back(letter_token('z'));
    EXPECT_EQ(run(*engine, keeping(request(tokens, 0))).error->code, ErrorCode::context_overflow);
}

// ---- What stays in the cache ----

TEST_F(Sessions, ALaterRequestTakesOverWhatAnEarlierOneLeft) {
    auto engine = make_engine();
    const Outcome first = run(*engine, request(letters("abcdefgh"), 4));
    std::vector<TokenId> next = letters("abcdefgh");
    for (const TokenId id : first.ids())
        next.push_back(id);
    for (const TokenId id : letters("more"))
        next.push_back(id);
    rows = 0;
    const Outcome second = run(*engine, request(next, 1));
    EXPECT_EQ(second.started->reused_tokens, 11U);  // the last sampled token was not evaluated
    EXPECT_EQ(rows, 5);
    EXPECT_EQ(second.finished->timings.prompt_tokens, 5U);
    EXPECT_EQ(second.ids(), run(*make_engine(), request(next, 1)).ids());

    Request alone = request(next, 1);
    alone.reuse_prefix = false;
    const Outcome third = run(*engine, alone);
    EXPECT_EQ(third.started->reused_tokens, 0U);
    EXPECT_EQ(third.ids(), second.ids());
}

TEST_F(Sessions, TheSamePromptAgainIsEvaluatedButForItsLastToken) {
    auto engine = make_engine();
    const Outcome first = run(*engine, request(letters("abcdefgh"), 0));
    rows = 0;
    const Outcome second = run(*engine, request(letters("abcdefgh"), 3));
    EXPECT_EQ(second.started->reused_tokens, 7U);
    EXPECT_EQ(rows, 3);
    EXPECT_EQ(second.ids(), run(*make_engine(), request(letters("abcdefgh"), 3)).ids());
}

TEST_F(Sessions, WhatIsLeftGivesWayToWhoNeedsTheRoom) {
    auto engine = make_engine(hash_logits, 128);
    for (const char letter : {'a', 'b', 'c', 'd', 'e', 'f'}) {
        const std::vector<TokenId> prompt(100, letter_token(letter));
        const Outcome outcome = run(*engine, request(prompt, 10));
        EXPECT_EQ(outcome.tokens.size(), 10U);
        EXPECT_EQ(outcome.ids(), run(*make_engine(hash_logits, 128), request(prompt, 10)).ids());
    }
}

TEST_F(Sessions, AFewCommonTokensDoNotCostAnotherItsPlace) {
    auto engine = make_engine();
    std::vector<TokenId> conversation(60, letter_token('a'));
    conversation.front() = begin_token;
    run(*engine, request(conversation, 1));
    run(*engine, request({begin_token, letter_token('z')}, 1));
    conversation.push_back(letter_token('b'));
    EXPECT_EQ(run(*engine, request(conversation, 1)).started->reused_tokens, 60U);
}

// ---- A full context that shifts ----

TEST_F(Sessions, AShiftKeepsTheFirstTokensAndTheNewerHalf) {
    auto engine = make_engine(hash_logits, 64);
    Request shifting = request(letters("abcdefgh"), 150);
    shifting.when_full = ContextPolicy::shift;
    shifting.sink_tokens = 4;
    const Outcome outcome = run(*engine, shifting);
    EXPECT_EQ(outcome.finished->reason, FinishReason::length);
    ASSERT_EQ(outcome.tokens.size(), 150U);

    // By hand: each token is what a fresh request says behind the tokens that should have stayed.
    std::vector<TokenId> history = letters("abcdefgh");
    std::uint32_t shifts = 0;
    for (std::size_t i = 0; i < outcome.tokens.size(); ++i) {
        if (history.size() == 65) {
            history.erase(history.begin() + 4, history.end() - 28);
            EXPECT_EQ(outcome.tokens[i].dropped_tokens, 33U) << i;
            ++shifts;
        } else {
            EXPECT_EQ(outcome.tokens[i].dropped_tokens, 0U) << i;
        }
        Request one = request(history, 1);
        one.sampler_state = SamplerState{.draws = i};
        one.reuse_prefix = false;
        EXPECT_EQ(run(*engine, one).ids().front(), outcome.tokens[i].id) << i;
        history.push_back(outcome.tokens[i].id);
    }
    EXPECT_EQ(shifts, 3U);
}

TEST_F(Sessions, ASessionThatShiftedGoesOn) {
    Request shifting = request(letters("abc"), 100);
    shifting.when_full = ContextPolicy::shift;
    const std::vector<TokenId> whole = run(*make_engine(hash_logits, 64), shifting).ids();
    shifting.max_tokens = 80;
    const Outcome before = run(*make_engine(hash_logits, 64), keeping(shifting));
    Request next = following(*before.finished->session, {}, 20);
    next.when_full = ContextPolicy::shift;
    const std::vector<TokenId> rest = run(*make_engine(hash_logits, 64), next).ids();
    EXPECT_EQ(rest, std::vector<TokenId>(whole.end() - 20, whole.end()));
}

}  // namespace
}  // namespace puna::engine
