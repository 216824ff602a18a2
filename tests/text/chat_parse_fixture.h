// Replies fed to a parser in pieces, and what it tells of them put together again.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/rng.h"
#include "text/chat_parse/chat_parser.h"
#include "text/unicode/utf8.h"

namespace puna::text::chat_parse {

/// Everything that events say, with neighbours of one kind joined: the same for every way to cut the output.
struct Heard {
    ParsedMessage message;           // put together from the events
    std::vector<std::string> story;  // one line for each event
    std::string in_order;            // all text in the order of the output; a call's is its arguments
    bool whole_characters = true;

    void operator()(const ContentDelta& delta) { hear("content", message.content, delta.text); }
    void operator()(const ReasoningDelta& delta) { hear("reasoning", message.reasoning, delta.text); }
    void operator()(const CallStarted& started) {
        EXPECT_EQ(started.index, message.tool_calls.size());
        call = {started.id, started.name, {}};
        before_call = in_order.size();
        in_order += started.name + started.id;
        tell("call", started.name);
    }
    void operator()(const ArgumentsDelta& delta) {
        EXPECT_EQ(delta.index, message.tool_calls.size());
        hear("arguments", call.arguments, delta.text);
    }
    void operator()(const CallFinished& finished) {
        EXPECT_EQ(finished.index, message.tool_calls.size());
        message.tool_calls.push_back(call);
        tell("finished", "");
    }
    void operator()(const CallDropped& dropped) {
        EXPECT_EQ(dropped.index, message.tool_calls.size());
        in_order.resize(before_call);
        tell("dropped", "");
    }

  private:
    void tell(std::string_view kind, std::string_view text) {
        last = kind;
        story.push_back(std::string(kind) + ":" + std::string(text));
    }
    void hear(std::string_view kind, std::string& sum, const std::string& text) {
        EXPECT_FALSE(text.empty());
        whole_characters = whole_characters && to_valid_utf8(text) == text;
        sum += text;
        in_order += text;
        if (last == kind) {
            story.back() += text;
        } else {
            tell(kind, text);
        }
    }
    ToolCall call;
    std::size_t before_call = 0;
    std::string last;
};

/// `next_length` says how long each piece is.
inline Heard hear(std::string_view output, const ParserOptions& options,
                  const std::function<std::size_t()>& next_length) {
    ChatParser parser(options);
    Heard heard;
    while (!output.empty()) {
        const std::size_t length = std::min(next_length(), output.size());
        for (const ChatEvent& event : parser.push(output.substr(0, length)))
            std::visit(heard, event);
        output.remove_prefix(length);
    }
    for (const ChatEvent& event : parser.finish())
        std::visit(heard, event);
    // An id may come behind its call's arguments, too late for the events.
    for (std::size_t i = 0; i < heard.message.tool_calls.size() && i < parser.message().tool_calls.size(); ++i)
        heard.message.tool_calls[i].id = parser.message().tool_calls[i].id;
    heard.message.malformed = parser.message().malformed;
    EXPECT_EQ(heard.message, parser.message());
    return heard;
}

/// All at once, byte by byte, and cut at random; the same must come of it.
inline Heard hear_in_all_ways(std::string_view output, const ParserOptions& options, std::uint64_t seed) {
    const Heard whole = hear(output, options, [&] { return output.size(); });
    const Heard bytes = hear(output, options, [] { return 1; });
    EXPECT_EQ(bytes.story, whole.story);
    EXPECT_EQ(bytes.message, whole.message);
    std::uint64_t draw = 0;
    for (int i = 0; i < 6; ++i) {
        const Heard cut =
            hear(output, options, [&] { return 1 + static_cast<std::size_t>(base::uniform_draw(seed, draw++) * 12); });
        EXPECT_EQ(cut.story, whole.story);
    }
    return bytes;
}

inline ChatFormat format_named(std::string_view calls, const std::vector<std::string>& reasoning) {
    ChatFormat format;
    const auto parsed = parse_call_format(calls);
    EXPECT_TRUE(parsed.ok()) << calls;
    if (parsed.ok()) format.calls = *parsed;
    for (const std::string& name : reasoning) {
        const auto tags = parse_reasoning_format(name);
        EXPECT_TRUE(tags.ok()) << name;
        if (tags.ok()) format.reasoning.insert(format.reasoning.end(), tags->begin(), tags->end());
    }
    return format;
}

}  // namespace puna::text::chat_parse
