#include "text/grammar/token_constraint.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/matcher.h"
#include "text/grammar/pattern_parser.h"
#include "text/vocabulary_fixture.h"

namespace puna::text::grammar {
namespace {

std::shared_ptr<const Grammar> compiled(Result<Grammar> grammar) {
    EXPECT_TRUE(grammar.ok()) << (grammar.ok() ? "" : grammar.error().message);
    return grammar.ok() ? std::make_shared<const Grammar>(std::move(grammar).value()) : nullptr;
}

/// Tokens given as their bytes; the last one, "</s>", ends a text.
std::shared_ptr<const Tokenizer> tokenizer_of(const std::vector<std::string>& tokens, bool all_bytes = false) {
    Vocabulary vocabulary;
    vocabulary.family = TokenizerFamily::sentencepiece_bpe;
    const auto add = [&](const std::string& token, TokenKind kind) {
        vocabulary.tokens.push_back(token);
        vocabulary.kinds.push_back(kind);
        vocabulary.scores.push_back(0);
    };
    add("<unk>", TokenKind::unknown);
    for (const std::string& token : tokens)
        add(token, token.starts_with("<0x") ? TokenKind::byte : TokenKind::normal);
    for (int byte = 0; all_bytes && byte < 256; ++byte) {
        add(fmt::format("<0x{:02X}>", byte), TokenKind::byte);
    }
    add("<tool>", TokenKind::control);
    add("</s>", TokenKind::control);
    vocabulary.unk = 0;
    vocabulary.eos = static_cast<TokenId>(vocabulary.tokens.size() - 1);
    return make_tokenizer(std::move(vocabulary));
}

std::shared_ptr<const TokenIndex> index_of(const Tokenizer& tokenizer) {
    return std::make_shared<const TokenIndex>(tokenizer, tokenizer.size());
}

/// The allowed tokens as the vocabulary writes them, sorted.
std::vector<std::string> names(TokenConstraint& constraint, const Tokenizer& tokenizer) {
    const auto mask = constraint.allowed();
    std::vector<std::string> out;
    if (!mask.ok()) return {"error: " + mask.error().message};
    for (std::size_t i = 0; i < tokenizer.size(); ++i) {
        if ((*mask)->has(static_cast<TokenId>(i))) out.push_back(tokenizer.vocabulary().tokens[i]);
    }
    std::sort(out.begin(), out.end());
    return out;
}

using Names = std::vector<std::string>;

TEST(TokenConstraint, TheEndComesOnlyWhereTheTextMatches) {
    const auto tokenizer = tokenizer_of({"a", "b", "ab", "abb", "ba", "c"});
    ASSERT_TRUE(tokenizer);
    TokenConstraint constraint(compiled(compile_regex("a(bb?)?")), index_of(*tokenizer), *tokenizer, false);
    EXPECT_EQ(names(constraint, *tokenizer), (Names{"a", "ab", "abb"}));
    ASSERT_TRUE(constraint.accept(id_of(*tokenizer, "a")).ok());
    EXPECT_TRUE(constraint.matches());
    EXPECT_FALSE(constraint.complete());
    EXPECT_EQ(names(constraint, *tokenizer), (Names{"</s>", "b"}));
    ASSERT_TRUE(constraint.accept(id_of(*tokenizer, "b")).ok());
    ASSERT_TRUE(constraint.accept(id_of(*tokenizer, "b")).ok());
    EXPECT_TRUE(constraint.complete());
    EXPECT_EQ(names(constraint, *tokenizer), (Names{"</s>"}));
    EXPECT_TRUE(constraint.accept(id_of(*tokenizer, "</s>")).ok());
}

TEST(TokenConstraint, WhatWasNotAllowedIsAnError) {
    const auto tokenizer = tokenizer_of({"a", "b"});
    ASSERT_TRUE(tokenizer);
    for (const char* token : {"b", "<tool>", "</s>", "<unk>"}) {
        TokenConstraint constraint(compiled(compile_regex("ab")), index_of(*tokenizer), *tokenizer, false);
        const auto accepted = constraint.accept(id_of(*tokenizer, token));
        ASSERT_FALSE(accepted.ok()) << token;
        EXPECT_EQ(accepted.error().code, ErrorCode::constraint_failed);
    }
}

TEST(TokenConstraint, CharactersMayBeSplitOverTokens) {
    // U+1F600 and U+20AC, in pieces that are no characters.
    const auto tokenizer =
        tokenizer_of({"<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "<0xE2>", "<0x82>", "<0xAC>", "<0xFF>"});
    ASSERT_TRUE(tokenizer);
    TokenConstraint constraint(compiled(compile_regex("\xF0\x9F\x98\x80|\xE2\x82\xAC")), index_of(*tokenizer),
                               *tokenizer, false);
    EXPECT_EQ(names(constraint, *tokenizer), (Names{"<0xE2>", "<0xF0>"}));
    for (const char* token : {"<0xF0>", "<0x9F>", "<0x98>"}) {
        ASSERT_TRUE(constraint.accept(id_of(*tokenizer, token)).ok());
        EXPECT_FALSE(constraint.matches());
    }
    EXPECT_EQ(names(constraint, *tokenizer), (Names{"<0x80>"}));
    ASSERT_TRUE(constraint.accept(id_of(*tokenizer, "<0x80>")).ok());
    EXPECT_EQ(names(constraint, *tokenizer), (Names{"</s>"}));
}

TEST(TokenConstraint, ALeadingSpaceThatTheTokenizerLeavesOutDoesNotCount) {
    const auto tokenizer = tokenizer_of({"\xE2\x96\x81x", "x", "\xE2\x96\x81\xE2\x96\x81x"});
    ASSERT_TRUE(tokenizer);
    const auto grammar = compiled(compile_regex("x x"));
    TokenConstraint at_start(grammar, index_of(*tokenizer), *tokenizer, true);
    EXPECT_EQ(names(at_start, *tokenizer), (Names{"x", "\xE2\x96\x81x"}));
    ASSERT_TRUE(at_start.accept(id_of(*tokenizer, "\xE2\x96\x81x")).ok());
    EXPECT_EQ(names(at_start, *tokenizer), (Names{"\xE2\x96\x81x"}));
    ASSERT_TRUE(at_start.accept(id_of(*tokenizer, "\xE2\x96\x81x")).ok());
    EXPECT_TRUE(at_start.complete());
    TokenConstraint behind_text(grammar, index_of(*tokenizer), *tokenizer, false);
    EXPECT_EQ(names(behind_text, *tokenizer), (Names{"x"}));
}

TEST(TokenConstraint, AVocabularyThatCannotSayItIsAnError) {
    const auto tokenizer = tokenizer_of({"a", "b"});
    ASSERT_TRUE(tokenizer);
    TokenConstraint constraint(compiled(compile_regex("a[c-z]")), index_of(*tokenizer), *tokenizer, false);
    ASSERT_TRUE(constraint.accept(id_of(*tokenizer, "a")).ok());
    const auto allowed = constraint.allowed();
    ASSERT_FALSE(allowed.ok());
    EXPECT_EQ(allowed.error().code, ErrorCode::constraint_failed);
}

TEST(TokenConstraint, TooMuchAmbiguityIsAnErrorAndNotFreedom) {
    const auto tokenizer = tokenizer_of({"a"});
    ASSERT_TRUE(tokenizer);
    // Each byte adds a frame for every rule, and each of them may have begun at any byte before.
    std::string rules = "root ::= r0\n";
    for (int rule = 0; rule < 20; ++rule) {
        rules += fmt::format("r{} ::= \"a\" | \"\" | ", rule);
        for (int other = 0; other < 20; ++other)
            rules += fmt::format("r{} ", other);
        rules += "\n";
    }
    TokenConstraint constraint(compiled(compile_gbnf(rules)), index_of(*tokenizer), *tokenizer, false);
    bool failed = false;
    for (int i = 0; i < 1000 && !failed; ++i) {
        const auto allowed = constraint.allowed();
        failed = !allowed.ok() || !constraint.accept(id_of(*tokenizer, "a")).ok();
    }
    ASSERT_TRUE(failed);
    for (int i = 0; i < 3; ++i)
        EXPECT_FALSE(constraint.allowed().ok());
}

/// A string with an escape or two, JSON's numbers, nested arrays; characters of all lengths.
constexpr const char* json_grammar =
    "root ::= value\n"
    "value ::= \"[\" ws (value (\",\" ws value)*)? \"]\" | string | number | \"{\" ws (pair (\",\" ws pair){0,3})? "
    "\"}\"\n"
    "pair ::= string \":\" ws value\n"
    "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1F] | \"\\\\\" [\"\\\\nt])* \"\\\"\"\n"
    "number ::= \"-\"? [0-9]{1,5} (\".\" [0-9]+)?\n"
    "ws ::= [ \\n]{0,2}\n";

/// A mask must hold exactly the tokens whose bytes go on from what came, as a matcher finds that takes them one by one
/// from the text's beginning.
void check_against_matcher(const std::shared_ptr<const Grammar>& grammar, const Tokenizer& tokenizer, unsigned seed) {
    const auto index = index_of(tokenizer);
    TokenConstraint constraint(grammar, index, tokenizer, false);
    std::mt19937 random(seed);
    std::string text;
    for (int step = 0; step < 25; ++step) {
        const auto mask = constraint.allowed();
        ASSERT_TRUE(mask.ok()) << mask.error().message;
        Matcher matcher(grammar);
        for (const char c : text)
            ASSERT_TRUE(matcher.advance(static_cast<std::uint8_t>(c)));
        const std::size_t begin = matcher.position();
        std::vector<TokenId> choices;
        for (std::size_t i = 0; i < tokenizer.size(); ++i) {
            const auto id = static_cast<TokenId>(i);
            const std::string bytes = tokenizer.token_bytes(id, false);
            bool fits = !bytes.empty();
            for (std::size_t at = 0; fits && at < bytes.size(); ++at)
                fits = matcher.advance(static_cast<std::uint8_t>(bytes[at]));
            matcher.rewind(begin);
            if (tokenizer.is_end(id)) fits = matcher.accepts();
            ASSERT_EQ((*mask)->has(id), fits) << "token " << i << " behind '" << text << "'";
            if (fits) choices.push_back(id);
        }
        const TokenId chosen = choices[random() % choices.size()];
        if (tokenizer.is_end(chosen)) return;
        ASSERT_TRUE(constraint.accept(chosen).ok());
        text += tokenizer.token_bytes(chosen, false);
    }
}

TEST(TokenConstraint, MasksAgreeWithAMatcherTokenByToken) {
    const char* regexes[] = {"[a-z ]{0,12}\\.", "\"[^\"\\\\\\u0000-\\u001f]{3,20}\"", "(\\d+(,\\d{3})*|[A-Z][a-z]+ ?)+",
                             ".{5}[^a]*", "\"([ !#-\\[\\]-~]|\\\\n){0,9}\""};
    for (const std::string& name : all_vocabulary_names()) {
        const auto tokenizer = make_tokenizer(named_vocabulary(name));
        ASSERT_TRUE(tokenizer);
        for (unsigned seed = 0; seed < 3; ++seed) {
            SCOPED_TRACE(name);
            check_against_matcher(compiled(compile_gbnf(json_grammar)), *tokenizer, seed);
            for (const char* regex : regexes) {
                SCOPED_TRACE(regex);
                check_against_matcher(compiled(compile_regex(regex)), *tokenizer, seed);
            }
        }
    }
}

TEST(TokenConstraint, ManyStatesAreTidiedAway) {
    const auto tokenizer = tokenizer_of({"(", ")", "x"}, /*all_bytes=*/true);
    ASSERT_TRUE(tokenizer);
    const auto index = index_of(*tokenizer);
    // Every number of open brackets is a state with a row of its own: 150,000 of them are over twice the memory at
    // which states are forgotten.
    TokenConstraint constraint(compiled(compile_gbnf("root ::= \"(\" root \")\" | \"x\"")), index, *tokenizer, false);
    constexpr int depth = 150'000;
    const auto take = [&](const char* token) {
        const auto mask = constraint.allowed();
        return mask.ok() && (*mask)->has(id_of(*tokenizer, token)) && constraint.accept(id_of(*tokenizer, token)).ok();
    };
    for (int i = 0; i < depth; ++i)
        ASSERT_TRUE(take("(")) << i;
    ASSERT_TRUE(take("x"));
    for (int i = 0; i < depth; ++i)
        ASSERT_TRUE(take(")")) << i;
    EXPECT_TRUE(constraint.complete());
}

}  // namespace
}  // namespace puna::text::grammar
