#include "engine/stop_filter.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace puna::engine {
namespace {

struct Filtered {
    std::string text;
    bool stopped = false;
    bool operator==(const Filtered&) const = default;
};

Filtered filter(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
    StopFilter stop_filter(stops);
    Filtered result;
    for (const std::string& piece : pieces)
        result.text += stop_filter.push(piece);
    result.text += stop_filter.finish();
    result.stopped = stop_filter.stopped();
    return result;
}

TEST(StopFilter, PassesTextThroughAtOnceWithoutStops) {
    StopFilter stop_filter({});
    EXPECT_EQ(stop_filter.push("abc"), "abc");
    EXPECT_EQ(stop_filter.finish(), "");
}

TEST(StopFilter, HoldsBackOnlyWhatMayBeginAStop) {
    StopFilter stop_filter({"\n\nUser:"});
    EXPECT_EQ(stop_filter.push("hello\n"), "hello");
    EXPECT_EQ(stop_filter.push("wor"), "\nwor");
    EXPECT_EQ(stop_filter.push("ld\n\nUs"), "ld");
    EXPECT_EQ(stop_filter.push("er"), "");
    EXPECT_EQ(stop_filter.push(":more"), "");
    EXPECT_TRUE(stop_filter.stopped());
    EXPECT_EQ(stop_filter.push("later"), "");
    EXPECT_EQ(stop_filter.finish(), "");
}

TEST(StopFilter, GivesBackWhatWasNoStopAfterAll) {
    EXPECT_EQ(filter({"END"}, {"the E", "N", "d"}), (Filtered{"the ENd", false}));
    EXPECT_EQ(filter({"END"}, {"the EN"}), (Filtered{"the EN", false}));
    EXPECT_EQ(filter({"aab"}, {"aa", "aab"}), (Filtered{"aa", true}));  // the match begins inside what was held
}

TEST(StopFilter, StopsAtTheMatchThatEndsFirst) {
    EXPECT_EQ(filter({"abcd", "bc"}, {"xabcd"}), (Filtered{"xa", true}));
    EXPECT_EQ(filter({"c", "abc"}, {"xabcd"}), (Filtered{"x", true}));  // both end there: the longest
    EXPECT_EQ(filter({"abc", "x"}, {"ab", "x"}), (Filtered{"ab", true}));
}

TEST(StopFilter, NeverSplitsACharacter) {
    StopFilter stop_filter({"\xE2\x82\xAC!"});  // euro sign, exclamation mark
    EXPECT_EQ(stop_filter.push("5 \xE2\x82\xAC"), "5 ");
    EXPECT_EQ(stop_filter.push("\xE2\x82\xAC"), "\xE2\x82\xAC");
    EXPECT_EQ(stop_filter.push("?"), "\xE2\x82\xAC?");
}

/// By definition: the shortest prefix that ends with a stop string, less the longest stop string that it ends with.
Filtered by_definition(const std::vector<std::string>& stops, const std::string& text) {
    for (std::size_t end = 1; end <= text.size(); ++end) {
        std::size_t longest = 0;
        for (const std::string& stop : stops) {
            if (text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
        }
        if (longest > 0) return {text.substr(0, end - longest), true};
    }
    return {text, false};
}

TEST(StopFilter, AgreesWithTheDefinitionHoweverTheTextIsCut) {
    std::uint64_t draw = 0;
    const auto number = [&](std::uint64_t below) {
        return static_cast<std::uint64_t>(base::uniform_draw(5, draw++) * static_cast<double>(below));
    };
    const auto word = [&](std::uint64_t least, std::uint64_t most) {
        std::string result;
        for (std::uint64_t i = least + number(most - least + 1); i > 0; --i)
            result += "ab"[number(2)];
        return result;
    };
    int stopped = 0;
    for (int round = 0; round < 5000; ++round) {
        std::vector<std::string> stops;
        for (std::uint64_t i = 1 + number(3); i > 0; --i)
            stops.push_back(word(2, 7));
        std::vector<std::string> pieces;
        std::string text;
        for (int i = 0; i < 6; ++i)
            text += pieces.emplace_back(word(0, 4));
        const Filtered expected = by_definition(stops, text);
        ASSERT_EQ(filter(stops, pieces), expected) << text;
        stopped += expected.stopped ? 1 : 0;
    }
    EXPECT_GT(stopped, 500);
    EXPECT_LT(stopped, 4500);
}

}  // namespace
}  // namespace puna::engine
