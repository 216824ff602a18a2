#include "text/tokenizer/token_matcher.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace puna::text {
namespace {

using Found = std::vector<std::pair<std::size_t, TokenId>>;

Found find(const std::vector<std::string>& tokens, std::string_view text) {
    TokenMatcher matcher;
    for (std::size_t i = 0; i < tokens.size(); ++i)
        matcher.add(tokens[i], static_cast<TokenId>(i));
    matcher.build();
    Found found;
    for (const auto& match : matcher.find(text)) {
        EXPECT_EQ(match.length, tokens[static_cast<std::size_t>(match.id)].size());
        found.emplace_back(match.begin, match.id);
    }
    return found;
}

/// The definition, word for word.
Found find_slowly(const std::vector<std::string>& tokens, std::string_view text) {
    Found found;
    for (std::size_t position = 0; position < text.size();) {
        TokenId best = no_token;
        std::size_t length = 0;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            if (tokens[i].size() <= length || !text.substr(position).starts_with(tokens[i])) continue;
            best = static_cast<TokenId>(i);
            length = tokens[i].size();
        }
        if (best != no_token) found.emplace_back(position, best);
        position += std::max<std::size_t>(length, 1);
    }
    return found;
}

TEST(TokenMatcher, LeftmostThenLongest) {
    EXPECT_EQ(find({"<a>", "<a>>", "a>>b", ""}, "<a><a>>b<a"), (Found{{0, 0}, {3, 1}}));
    EXPECT_EQ(find({"bcd", "abc", "c"}, "abcd cbcd"), (Found{{0, 1}, {5, 2}, {6, 0}}));
    EXPECT_EQ(find({"x", "x"}, "x"), (Found{{0, 0}}));
    EXPECT_EQ(find({}, "anything"), Found{});
}

TEST(TokenMatcher, AgreesWithItsDefinition) {
    std::mt19937 random(11);
    const auto word = [&random](std::size_t longest) {
        std::string out;
        for (std::size_t i = random() % (longest + 1); i > 0; --i)
            out += static_cast<char>('a' + random() % 2);
        return out;
    };
    for (int round = 0; round < 5000; ++round) {
        std::vector<std::string> tokens(random() % 6);
        for (std::string& token : tokens)
            token = word(6);
        const std::string text = word(30);
        ASSERT_EQ(find(tokens, text), find_slowly(tokens, text)) << text;
    }
}

}  // namespace
}  // namespace puna::text
