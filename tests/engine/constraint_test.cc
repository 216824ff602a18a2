// Requests whose text must match.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "engine/fake_model.h"
#include "text/grammar/matcher.h"
#include "text/grammar/pattern_parser.h"

namespace puna::engine {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<Engine> engine_on_letters(FakeModel::Logits logits, std::int64_t vocabulary = letter_vocabulary) {
    auto model = std::make_shared<FakeModel>(vocabulary, 256, std::move(logits));
    EngineOptions options;
    options.threads = 1;
    auto engine = Engine::create(std::move(model), letter_tokenizer(), options);
    EXPECT_TRUE(engine.ok()) << engine.error().message;
    return std::move(engine).value();
}

Request constrained(Constraint::Kind kind, std::string source, std::uint64_t seed = 1) {
    Request request;
    request.prompt = "ab";
    request.sampling.temperature = 1.5F;
    request.sampling.top_k = 0;
    request.sampling.top_p = 1;
    request.sampling.seed = seed;
    request.constraint = Constraint{kind, std::move(source)};
    return request;
}

Request regex(std::string source, std::uint64_t seed = 1) {
    return constrained(Constraint::Kind::regex, std::move(source), seed);
}

struct Matched {
    bool prefix, whole;
};
Matched match(const std::string& pattern, const std::string& text) {
    auto grammar = text::grammar::compile_regex(pattern);
    EXPECT_TRUE(grammar.ok());
    text::grammar::Matcher matcher(std::make_shared<const text::grammar::Grammar>(*grammar));
    const bool prefix =
        std::ranges::all_of(text, [&](char c) { return matcher.advance(static_cast<std::uint8_t>(c)); });
    return {prefix, prefix && matcher.accepts()};
}

TEST(Constraint, RandomTextMatchesAndEndsWithAnEndToken) {
    auto engine = engine_on_letters(hash_logits);
    const std::string pattern = "([a-f]{2,4} ){0,5}([\\u00e0-\\u00ff]{1,3}|x)\\.";
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        const Outcome outcome = run(*engine, regex(pattern, seed));
        ASSERT_TRUE(outcome.finished) << outcome.error->message;
        EXPECT_EQ(outcome.finished->reason, FinishReason::stop);
        EXPECT_EQ(outcome.tokens.back().id, end_token);
        EXPECT_TRUE(match(pattern, outcome.text()).whole) << outcome.text();
    }
}

TEST(Constraint, ATextThatIsCutIsABeginningOfOneThatMatches) {
    auto engine = engine_on_letters(hash_logits);
    const std::string pattern = "([a-c]+,)*[xyz]{20,}";
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        Request request = regex(pattern, seed);
        request.max_tokens = 5 + static_cast<std::uint32_t>(seed);
        const Outcome outcome = run(*engine, request);
        ASSERT_TRUE(outcome.finished) << outcome.error->message;
        EXPECT_EQ(outcome.finished->reason, FinishReason::length);
        EXPECT_TRUE(match(pattern, outcome.text()).prefix) << outcome.text();
        EXPECT_FALSE(match(pattern, outcome.text()).whole) << outcome.text();
    }
}

TEST(Constraint, GbnfAndGreedyChoice) {
    // The model wants to say "hello" and may not.
    auto engine = engine_on_letters(says(3, {letter_token('h'), letter_token('e')}));
    Request request = constrained(Constraint::Kind::gbnf, "root ::= \"h\" tail\ntail ::= [x-z] tail | [y]");
    request.sampling.temperature = 0;
    request.max_tokens = 4;
    EXPECT_EQ(run(*engine, request).text(), "hxxx");  // the lowest id among equals
}

TEST(Constraint, TokensBesideItAreNotTouched) {
    auto engine = engine_on_letters(hash_logits);
    Request free = regex("");
    free.constraint.reset();
    free.max_tokens = 20;
    const auto alone = run(*engine, free).ids();
    auto first = submit(*engine, free);
    auto second = submit(*engine, regex("[a-z]{30}"));
    EXPECT_EQ(drain(*first).ids(), alone);
    EXPECT_TRUE(match("[a-z]{30}", drain(*second).text()).whole);
}

TEST(Constraint, WithoutEndTokensItEndsWhereNothingCanFollow) {
    auto engine = engine_on_letters(hash_logits);
    Request request = regex("[a-z]{3}");
    request.sampling.ignore_end = true;
    const Outcome outcome = run(*engine, request);
    ASSERT_TRUE(outcome.finished);
    EXPECT_EQ(outcome.finished->reason, FinishReason::stop);
    EXPECT_EQ(outcome.tokens.size(), 3U);
    // Where more can follow, it does.
    request = regex("[a-z]{3,}");
    request.sampling.ignore_end = true;
    request.max_tokens = 50;
    EXPECT_EQ(run(*engine, request).tokens.size(), 50U);
    // Nothing at all.
    request = regex("");
    request.sampling.ignore_end = true;
    const Outcome empty = run(*engine, request);
    ASSERT_TRUE(empty.finished);
    EXPECT_EQ(empty.finished->reason, FinishReason::stop);
    EXPECT_EQ(empty.text(), "");
}

TEST(Constraint, ErrorsComeBeforeGeneration) {
    auto engine = engine_on_letters(hash_logits);
    for (const std::string source : {"(", "a{99999}", "(?=a)"}) {
        const auto channel = engine->submit(regex(source));
        ASSERT_FALSE(channel.ok()) << source;
        EXPECT_EQ(channel.error().code, ErrorCode::invalid_argument);
    }
    EXPECT_FALSE(engine->submit(constrained(Constraint::Kind::gbnf, "root ::= root")).ok());
    // A model of three tokens, none of which is text.
    auto mute = engine_on_letters(hash_logits, 3);
    Request request = regex("a");
    request.prompt = std::vector<TokenId>{1};
    const auto channel = mute->submit(request);
    ASSERT_FALSE(channel.ok());
    EXPECT_EQ(channel.error().code, ErrorCode::constraint_failed);
}

TEST(Constraint, ADeadEndIsAnErrorAndNotOtherText) {
    // The bytes of "a" and "b" are there, that of "c" is beyond the model's vocabulary.
    auto engine = engine_on_letters(hash_logits, byte_token('b') + 1);
    Request request = regex("[ab]{2}[c]");
    request.prompt = std::vector<TokenId>{1};
    const Outcome outcome = run(*engine, request);
    ASSERT_TRUE(outcome.error);
    EXPECT_EQ(outcome.error->code, ErrorCode::constraint_failed);
    EXPECT_THAT(outcome.error->message, HasSubstr("vocabulary"));
    EXPECT_EQ(outcome.tokens.size(), 2U);
}

}  // namespace
}  // namespace puna::engine
