#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "text/grammar/matcher.h"
#include "text/grammar/pattern_parser.h"

namespace puna::text::grammar {
namespace {

std::string repeated(int count, std::string_view text) {
    std::string out;
    for (int i = 0; i < count; ++i)
        out += text;
    return out;
}

enum class Answer { no, prefix, whole };

Answer match(const Result<Grammar>& grammar, std::string_view text) {
    EXPECT_TRUE(grammar.ok()) << (grammar.ok() ? "" : grammar.error().message);
    if (!grammar.ok()) return Answer::no;
    Matcher matcher(std::make_shared<const Grammar>(*grammar));
    for (const char c : text) {
        if (!matcher.advance(static_cast<std::uint8_t>(c))) return Answer::no;
    }
    return matcher.accepts() ? Answer::whole : Answer::prefix;
}

struct GrammarCase {
    const char* grammar;
    const char* text;
    Answer answer;
};

TEST(Grammar, RegularExpressionsMatchWholeTexts) {
    const GrammarCase cases[] = {
        {"abc", "abc", Answer::whole},
        {"abc", "ab", Answer::prefix},
        {"abc", "abcd", Answer::no},
        {"", "", Answer::whole},
        {"a|bc|", "", Answer::whole},
        {"a|bc|", "bc", Answer::whole},
        {"^(?:a|b)*?$", "abba", Answer::whole},
        {"[^a-c]", "b", Answer::no},
        {"[^a-c]", "\xC3\xA9", Answer::whole},
        {"[^a-c]", "\xC3", Answer::prefix},
        {"[a-]+", "-a", Answer::whole},
        {"\\d{2,3}", "1", Answer::prefix},
        {"\\d{2,3}", "123", Answer::whole},
        {"\\d{2,3}", "1234", Answer::no},
        {"(a{2}){2}", "aaaa", Answer::whole},
        {"(a{2}){2}", "aaa", Answer::prefix},
        {"a{0}", "", Answer::whole},
        {"a{2,}", "aaaaa", Answer::whole},
        {".", "\n", Answer::no},
        {".", "\xF0\x9F\x98\x80", Answer::whole},
        {".", "\xED\xA0\x80", Answer::no},
        {".", "\xC0\x80", Answer::no},
        {".", "\xF4\x90", Answer::no},
        {"\\u00e9\\x41",
         "\xC3\xA9"
         "A",
         Answer::whole},
        {"\\W", "_", Answer::no},
        {"\\S\\s", "x ", Answer::whole},
        {"(a*)*b", "aaab", Answer::whole},
        {"(|a)+", "aa", Answer::whole},
    };
    for (const GrammarCase& c : cases)
        EXPECT_EQ(match(compile_regex(c.grammar), c.text), c.answer) << c.grammar << " on " << c.text;
}

TEST(Grammar, ACharacterRangeIsEveryOneOfItsCharacters) {
    const std::string borders[] = {"\x7F",         "\xC2\x80",         "\xDF\xBF",
                                   "\xE0\xA0\x80", "\xED\x9F\xBF",     "\xEE\x80\x80",
                                   "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"};
    const auto all = compile_gbnf("root ::= .");
    for (const std::string& c : borders)
        EXPECT_EQ(match(all, c), Answer::whole);
    const auto some = compile_regex("[\\u0123-\\u5432]");
    EXPECT_EQ(match(some, "\xC4\xA2"), Answer::no);         // U+0122
    EXPECT_EQ(match(some, "\xC4\xA3"), Answer::whole);      // U+0123
    EXPECT_EQ(match(some, "\xE5\x90\xB2"), Answer::whole);  // U+5432
    EXPECT_EQ(match(some, "\xE5\x90\xB3"), Answer::no);     // U+5433
}

TEST(Grammar, GbnfRules) {
    const char* arithmetic =
        "# an expression\n"
        "root ::= sum \"\\n\"?\n"
        "sum ::= sum [+-] product |   # left recursion\n"
        "  product\n"
        "product ::= product \"*\" atom | atom\n"
        "atom ::= [0-9]+ | \"(\" sum \")\"\n";
    EXPECT_EQ(match(compile_gbnf(arithmetic), "1+2*(3-4)\n"), Answer::whole);
    EXPECT_EQ(match(compile_gbnf(arithmetic), "1+2*(3-4"), Answer::prefix);
    EXPECT_EQ(match(compile_gbnf(arithmetic), "1+*"), Answer::no);
    const char* balanced = "root ::= (\"a\" root \"b\")?";
    EXPECT_EQ(match(compile_gbnf(balanced), "aaabbb"), Answer::whole);
    EXPECT_EQ(match(compile_gbnf(balanced), "aabbb"), Answer::no);
    const char* hidden = "root ::= none root \"x\" | \"y\"\nnone ::= \"\" | \"z\"";
    EXPECT_EQ(match(compile_gbnf(hidden), "zyxx"), Answer::whole);
    EXPECT_EQ(match(compile_gbnf(hidden), "yxxx"), Answer::whole);
}

TEST(Grammar, BranchesThatNeverEndAreNotEntered) {
    const auto grammar = compile_gbnf("root ::= \"a\" | \"b\" dead\ndead ::= \"x\" dead");
    EXPECT_EQ(match(grammar, "b"), Answer::no);
    EXPECT_EQ(match(grammar, "a"), Answer::whole);
}

TEST(Grammar, TheMatcherRewinds) {
    auto grammar = compile_gbnf("root ::= \"(\" root \")\" | \"x\"");
    ASSERT_TRUE(grammar.ok());
    Matcher matcher(std::make_shared<const Grammar>(*grammar));
    for (int round = 0; round < 3; ++round) {
        for (const char c : std::string_view("((x))"))
            ASSERT_TRUE(matcher.advance(static_cast<std::uint8_t>(c)));
        EXPECT_TRUE(matcher.accepts());
        EXPECT_FALSE(matcher.advance(')'));
        EXPECT_EQ(matcher.position(), 5u);
        matcher.rewind(static_cast<std::size_t>(round));
        EXPECT_FALSE(matcher.accepts());
        matcher.rewind(0);
    }
}

TEST(Grammar, AmbiguityIsNotExponential) {
    EXPECT_EQ(match(compile_regex("(a|a|aa)*b"), repeated(2000, "a") + "b"), Answer::whole);
    EXPECT_EQ(match(compile_gbnf("root ::= root root | \"a\""), repeated(60, "a")), Answer::whole);
    EXPECT_EQ(match(compile_gbnf("root ::= \"a\" root | \"\""), repeated(20000, "a")), Answer::whole);
}

TEST(Grammar, HostileInputIsAnError) {
    const std::string regexes[] = {
        "(",
        ")",
        "[",
        "[a",
        "a{",
        "a{1",
        "a{2,1}",
        "a{99999999999}",
        "a**",
        "*",
        "\\",
        "\\q",
        "\\1",
        "(?=a)",
        "(?<n>a)",
        "[z-a]",
        "a^b",
        "$a",
        "^a|b",
        "a|b$",
        "\xFF",
        "\\uD800",
        "\\x4",
        "\\b",
        "[\\d-z]x[z-\\d]",
        "[]",
        repeated(60000, "(") + repeated(60000, ")"),
        repeated(60000, "(a)"),
        repeated(60000, "("),
        "((((a{1000}){1000}){1000}){1000}){1000}",
        "((((){10000}){10000}){10000}){10000}",
        "((((a?){0,10000}){0,10000}){0,10000}){0,10000}",
        repeated(1 << 20, "aa"),
    };
    for (const std::string& regex : regexes)
        EXPECT_FALSE(compile_regex(regex).ok()) << regex.substr(0, 40);
    const std::string grammars[] = {
        "",
        "root",
        "root ::= a",
        "a ::= \"x\"",
        "root ::= \"x",
        "root ::= root",
        "root ::= \"a\" root",
        "root ::= \"a\" root ::= \"b\"",
        "root ::= )",
        "root ::= \"a\" )",
        "root ::= \"a\"**",
        "::= \"a\"",
        "root ::= [\\xZZ]",
        "root ::= ^",
        "root ::= " + repeated(60000, "("),
    };
    for (const std::string& grammar : grammars)
        EXPECT_FALSE(compile_gbnf(grammar).ok()) << grammar.substr(0, 40);
}

}  // namespace
}  // namespace puna::text::grammar
