#include "puna/chat_reply.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/demo_model.h"
#include "puna/puna.h"
#include "support/temp_file.h"
#include "support/tiny_model.h"

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

/// A model with a mark of Llama's format as a control token.
class ControlMarks : public testing::Test {
  protected:
    static constexpr TokenId end = 2, python_tag = 259, other = 260;

    static std::string file(support::TempFolder& folder) {
        std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
        std::vector<std::int32_t> kinds = {2, 3, 3};
        for (int byte = 0; byte < 256; ++byte) {
            tokens.push_back(fmt::format("<0x{:02X}>", byte));
            kinds.push_back(6);
        }
        for (const char* control : {"<|python_tag|>", "<|other|>"}) {
            tokens.emplace_back(control);
            kinds.push_back(3);
        }
        for (int i = 0; tokens.size() < 300; ++i) {
            tokens.push_back(fmt::format("piece{}", i));
            kinds.push_back(1);
        }
        support::GgufBuilder builder = support::tiny_model_builder();
        builder.strings("tokenizer.ggml.tokens", tokens)
            .array("tokenizer.ggml.token_type", support::GgufType::i32, kinds);
        return folder.write("marks.gguf", builder.build().bytes);
    }
    /// The whole text of a reply that can only be token `id`.
    Finished reply(Request request, TokenId id) {
        Engine engine = support::must(Engine::create(model_));
        request.prompt = "x";
        request.max_tokens = 2;
        request.sampling.temperature = 0;
        request.sampling.logit_bias = {{id, 1000.0F}};
        Stream stream = support::must(engine.submit(request));
        std::string text;
        while (auto event = stream.next()) {
            if (const auto* token = std::get_if<Token>(&*event)) text += token->text;
            if (auto* finished = std::get_if<Finished>(&*event)) {
                finished->text = text + finished->text;
                return std::move(*finished);
            }
        }
        ADD_FAILURE() << "the stream ended without an event that says so";
        return {};
    }
    support::TempFolder folder_;
    Model model_ = support::must(Model::load(file(folder_)));
};

TEST_F(ControlMarks, AreShownToAParserThatLooksForThem) {
    Request request;
    ASSERT_TRUE(show_reply_marks(model_, {"llama3", {}}, request).ok());
    EXPECT_TRUE(request.decode.special);
    EXPECT_THAT(request.stop, ElementsAre("</s>"));
    const Finished shown = reply(request, python_tag);
    EXPECT_EQ(shown.text, "<|python_tag|><|python_tag|>");
    ReplyParser parser = parser_of({.marks = {"llama3", {}}});
    ASSERT_TRUE(parser.push(shown.text).ok());
    ASSERT_TRUE(parser.finish().ok());
    EXPECT_TRUE(parser.message().malformed);
    // An end is none of the text, though control tokens are.
    const Finished ended = reply(request, end);
    EXPECT_EQ(ended.text, "");
    EXPECT_EQ(ended.reason, FinishReason::stop);
}

TEST_F(ControlMarks, StayHiddenFromOneThatDoesNot) {
    for (const ReplyMarks& marks : {ReplyMarks{}, ReplyMarks{"hermes", {"think"}}}) {
        Request request;
        ASSERT_TRUE(show_reply_marks(model_, marks, request).ok());
        EXPECT_FALSE(request.decode.special);
        EXPECT_TRUE(request.stop.empty());
        EXPECT_EQ(reply(request, python_tag).text, "");
    }
}

TEST_F(ControlMarks, WhatTheRequestHadStays) {
    Request request;
    request.stop = {"STOP"};
    request.sampling.seed = 7;
    ASSERT_TRUE(show_reply_marks(model_, {"llama3", {"think"}}, request).ok());
    EXPECT_THAT(request.stop, ElementsAre("STOP", "</s>"));
    EXPECT_EQ(request.sampling.seed, 7U);
}

}  // namespace
}  // namespace puna
