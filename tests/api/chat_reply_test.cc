#include "puna/chat_reply.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/demo_model.h"
#include "puna/request.h"

namespace puna {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* weather = R"([{"type": "function", "function": {"name": "weather", "parameters":
    {"type": "object", "properties": {"city": {"type": "string"}}}}}])";

ReplyParser parser_of(const ReplyOptions& options) {
    auto parser = ReplyParser::create(options);
    EXPECT_TRUE(parser.ok()) << parser.error().message;
    return std::move(parser).value();
}

/// What events say, a line for each; texts of one kind that follow each other are joined.
class Story {
  public:
    void operator()(const ContentDelta& delta) { text("content", delta.text); }
    void operator()(const ReasoningDelta& delta) { text("reasoning", delta.text); }
    void operator()(const CallStarted& call) { text("call " + std::to_string(call.index), call.name); }
    void operator()(const ArgumentsDelta& delta) { text("arguments", delta.text); }
    void operator()(const CallFinished& call) { text("finished", std::to_string(call.index)); }
    void operator()(const CallDropped& call) { text("dropped", std::to_string(call.index)); }
    std::vector<std::string> lines;

  private:
    void text(const std::string& kind, const std::string& text) {
        if (kind == last_) {
            lines.back() += text;
        } else {
            lines.push_back(kind + ": " + text);
        }
        last_ = kind;
    }
    std::string last_;
};

/// A byte at a time, as the tokens of a model might come.
std::vector<std::string> story_of(ReplyParser& parser, const std::string& reply) {
    Story story;
    for (const char c : reply) {
        const auto events = parser.push(std::string_view(&c, 1));
        EXPECT_TRUE(events.ok());
        for (const ChatEvent& event : *events)
            std::visit(story, event);
    }
    const auto events = parser.finish();
    EXPECT_TRUE(events.ok());
    for (const ChatEvent& event : *events)
        std::visit(story, event);
    return story.lines;
}

TEST(ReplyParser, SplitsAReplyWhileItComes) {
    ReplyParser parser = parser_of({.marks = {"hermes", {"think"}}, .tools = weather});
    EXPECT_THAT(
        story_of(parser,
                 "<think>\nWhere?\n</think>\n\nLet me see.\n<tool_call>\n{\"name\": \"weather\", \"arguments\": "
                 "{\"city\": \"Puno\"}}\n</tool_call>"),
        ElementsAre("reasoning: Where?", "content: Let me see.", "call 0: weather", "arguments: {\"city\": \"Puno\"}",
                    "finished: 0"));
    const ParsedMessage& message = parser.message();
    EXPECT_EQ(message.content, "Let me see.");
    EXPECT_EQ(message.reasoning, "Where?");
    ASSERT_EQ(message.tool_calls.size(), 1U);
    EXPECT_EQ(message.tool_calls[0].name, "weather");
    EXPECT_EQ(message.tool_calls[0].arguments, "{\"city\": \"Puno\"}");
    EXPECT_FALSE(message.malformed);
}

TEST(ReplyParser, LosesNothingOfACallThatIsMalformed) {
    const std::string call = "<tool_call>{\"name\": \"moon\", \"arguments\": {}}</tool_call>";
    ReplyParser parser = parser_of({.marks = {"hermes", {}}, .tools = weather});
    EXPECT_THAT(story_of(parser, call), ElementsAre("content: " + call));
    EXPECT_TRUE(parser.message().malformed);
    EXPECT_EQ(parser.message().content, call);
}

TEST(ReplyParser, GoesOnWhereThePromptEnded) {
    const ReplyMarks marks{"none", {"think"}};
    EXPECT_TRUE(*ends_in_reasoning(marks, "<|im_start|>assistant\n<think>\n"));
    EXPECT_FALSE(*ends_in_reasoning(marks, "<think>\n\n</think>\n\n"));
    ReplyParser parser = parser_of({.marks = marks, .in_reasoning = true});
    EXPECT_THAT(story_of(parser, "So.</think>Yes."), ElementsAre("reasoning: So.", "content: Yes."));
}

TEST(ReplyParser, WithoutMarksAllIsContent) {
    ReplyParser parser = parser_of({});
    const std::string reply = "<think>x</think> {\"name\": \"weather\", \"arguments\": {}}";
    EXPECT_THAT(story_of(parser, reply), ElementsAre("content: " + reply));
}

TEST(ReplyParser, RefusesNamesAndToolsThatItDoesNotKnow) {
    EXPECT_THAT(ReplyParser::create({.marks = {"hermeneutic", {}}}).error().message, HasSubstr("hermeneutic"));
    EXPECT_THAT(ReplyParser::create({.marks = {"none", {"thunk"}}}).error().message, HasSubstr("thunk"));
    EXPECT_THAT(ends_in_reasoning({"none", {"thunk"}}, "").error().message, HasSubstr("thunk"));
    const auto parser = ReplyParser::create({.marks = {"hermes", {}}, .tools = "[1]"});
    ASSERT_FALSE(parser.ok());
    EXPECT_EQ(parser.error().code, ErrorCode::invalid_argument);
}

TEST(ReplyMarks, AreThoseOfTheTemplate) {
    EXPECT_EQ(detect_reply_marks("{{ '<think>' }} {{ '<tool_call>' }}"), (ReplyMarks{"hermes", {"think"}}));
    EXPECT_EQ(detect_reply_marks("[TOOL_CALLS]"), (ReplyMarks{"mistral", {}}));
    EXPECT_EQ(detect_reply_marks(demo().info().chat_template), ReplyMarks{});
}

// The demo model has <|im_end|> and a few others as control tokens, none of the formats' marks.
TEST(ReplyMarks, AreShownWhereTheyAreControlTokens) {
    Request request;
    EXPECT_TRUE(show_reply_marks(demo(), {"hermes", {"think"}}, request).ok());
    EXPECT_FALSE(request.decode.special);
    EXPECT_TRUE(request.stop.empty());
    EXPECT_EQ(show_reply_marks(demo(), {"hermeneutic", {}}, request).error().code, ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace puna
