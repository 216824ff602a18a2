#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "text/chat_parse_fixture.h"
#include "text/chat_template_fixture.h"

namespace puna::text::chat_parse {
namespace {

std::vector<std::string> strings(const OrderedJson& json, const char* name) {
    return json.contains(name) ? json[name].get<std::vector<std::string>>() : std::vector<std::string>();
}

ParserOptions options_of(const OrderedJson& file, const OrderedJson& entry) {
    ParserOptions options;
    options.format = format_named(file["calls"].get<std::string>(), strings(file, "reasoning"));
    options.in_reasoning = entry.value("in_reasoning", false);
    for (const std::string& name : strings(entry, "tools"))
        options.tools.push_back({name, "{}"});
    if (entry.contains("schemas")) {
        const auto tools = parse_tools(entry["schemas"].dump());
        EXPECT_TRUE(tools.ok());
        if (tools.ok()) options.tools = *tools;
    }
    return options;
}

ParsedMessage message_of(const OrderedJson& entry) {
    ParsedMessage message{.content = entry["content"].get<std::string>(),
                          .reasoning = entry.value("reasoning", ""),
                          .tool_calls = {},
                          .malformed = entry.value("malformed", false)};
    if (!entry.contains("tool_calls")) return message;
    for (const OrderedJson& call : entry["tool_calls"])
        message.tool_calls.push_back(
            {call.value("id", ""), call["name"].get<std::string>(), call["arguments"].get<std::string>()});
    return message;
}

std::string words(const ParsedMessage& message) {
    OrderedJson json{{"content", message.content}, {"reasoning", message.reasoning}, {"malformed", message.malformed}};
    for (const ToolCall& call : message.tool_calls)
        json["calls"].push_back({call.id, call.name, call.arguments});
    return json.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

TEST(ChatParse, GoldenStreams) {
    std::size_t cases = 0;
    const std::filesystem::path folder = std::filesystem::path(PUNA_TEST_DATA) / "text/data/chat_parse";
    for (const auto& file : std::filesystem::directory_iterator(folder)) {
        const OrderedJson golden = read_ordered_json("chat_parse/" + file.path().filename().string());
        for (const OrderedJson& entry : golden["cases"]) {
            SCOPED_TRACE(file.path().filename().string() + ": " + entry["name"].get<std::string>());
            const Heard heard =
                hear_in_all_ways(entry["output"].get<std::string>(), options_of(golden, entry), ++cases);
            EXPECT_EQ(words(heard.message), words(message_of(entry)));
            EXPECT_TRUE(heard.whole_characters);
        }
    }
    EXPECT_GT(cases, 100U);
}

constexpr std::string_view all_formats[] = {"none",    "json",    "hermes",      "qwen3-coder", "llama3",
                                            "mistral", "granite", "command-r7b", "deepseek",    "harmony"};

std::string digits_of(std::string_view text) {
    std::string digits;
    std::ranges::copy_if(text, std::back_inserter(digits), [](char c) { return c >= '0' && c <= '9'; });
    return digits;
}

// Pieces of everything that a parser looks for, in any order. Each text in them has a number, by which it is found
// again.
TEST(ChatParse, RandomOutputsLoseNothingAndDoNotDependOnTheirPieces) {
    const std::vector<std::string> pieces = {"# ",
                                             "#\n",
                                             " #\xC3\xA9# ",
                                             "\n\n",
                                             " ",
                                             "<",
                                             "{",
                                             "}",
                                             "[",
                                             "]",
                                             "\"",
                                             ",",
                                             ":",
                                             "\xF0\x9F\xA6\x99",
                                             ";",
                                             "{\"name\": \"f\", \"arguments\": {\"a\": #}}",
                                             "{\"name\": \"f\", \"parameters\": {\"a\": \"#\"}}",
                                             "{\"arguments\": {\"b\": [#]}, \"name\": \"g\"}",
                                             "{\"name\": \"f\", \"arguments\": {\"a\": #",
                                             "[{\"name\": \"f\", \"arguments\": {\"a\": #}}]",
                                             "{\"tool_name\": \"f\", \"parameters\": {\"#\": null}}",
                                             "<function=f>",
                                             "<parameter=k>",
                                             "#\n</parameter>",
                                             "</function>",
                                             "```json\n",
                                             "```",
                                             "f",
                                             "function",
                                             "[ARGS]",
                                             " to=functions.f",
                                             "commentary",
                                             "analysis",
                                             "final",
                                             "json",
                                             "{\"a\": #}"};
    for (const std::string_view name : all_formats) {
        ParserOptions options;
        options.format = format_named(name, {"think", "mistral"});
        std::vector<std::string> all = pieces;
        for (const std::string_view mark : marks_of(options.format))
            all.insert(all.end(), 3, std::string(mark));
        std::size_t calls = 0, malformed = 0;
        for (std::uint64_t seed = 0; seed < 400; ++seed) {
            std::uint64_t draw = 0;
            const auto random = [&](std::size_t count) {
                return static_cast<std::size_t>(base::uniform_draw(seed, draw++) * static_cast<double>(count));
            };
            std::string output;
            int number = 100;
            for (std::size_t i = 1 + random(14); i > 0; --i) {
                for (const char c : all[random(all.size())])
                    output += c == '#' ? std::to_string(number++) : std::string(1, c);
            }
            options.in_reasoning = random(4) == 0;
            SCOPED_TRACE(std::string(name) + ", " + std::to_string(seed) + ": " + output);
            const Heard heard = hear_in_all_ways(output, options, seed);
            // What stands in a header of harmony is no text.
            if (name != "harmony" || heard.in_order.size() == output.size()) {
                EXPECT_EQ(digits_of(heard.in_order), digits_of(output));
            }
            EXPECT_TRUE(heard.whole_characters);
            for (const ToolCall& call : heard.message.tool_calls)
                EXPECT_TRUE(OrderedJson::accept(call.arguments)) << call.arguments;
            calls += heard.message.tool_calls.size();
            malformed += heard.message.malformed ? 1 : 0;
            if (HasFailure()) return;
        }
        if (name == "none") continue;
        EXPECT_GT(calls + malformed, 10U) << name;
    }
}

ParserOptions hermes() {
    ParserOptions options;
    options.format = format_named("hermes", {"think"});
    return options;
}

TEST(ChatParse, BytesThatAreNoUtf8ArePassedOn) {
    const std::string output =
        "a\xFF\xC3 <think>\xE2\x82</think>\x80<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"\xC3\"}}";
    const Heard heard = hear_in_all_ways(output, hermes(), 1);
    EXPECT_EQ(heard.message.content, output);
    EXPECT_TRUE(heard.message.malformed);
    EXPECT_EQ(hear_in_all_ways("<think>\xE2\x82</think>\x80", hermes(), 1).message.reasoning, "\xE2\x82");
}

/// `text` within a call of format hermes.
std::string call_of(std::string_view name, std::string_view arguments) {
    return "<tool_call>{\"name\": \"" + std::string(name) + "\", \"arguments\": " + std::string(arguments) +
           "}</tool_call>";
}

TEST(ChatParse, WhatIsOverALimitIsText) {
    const auto expect_text = [](const std::string& output, const ParserOptions& options) {
        const Heard heard = hear_in_all_ways(output, options, 2);
        EXPECT_EQ(heard.message.content, output);
        EXPECT_TRUE(heard.message.malformed);
        EXPECT_TRUE(heard.message.tool_calls.empty());
    };
    const auto expect_call = [](const std::string& output, const ParserOptions& options) {
        const Heard heard = hear_in_all_ways(output, options, 2);
        EXPECT_FALSE(heard.message.malformed);
        EXPECT_EQ(heard.message.tool_calls.size(), 1U);
    };
    const auto nested = [](std::size_t depth) {
        return "{\"a\":" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
    };
    expect_call(call_of(std::string(128, 'n'), "{}"), hermes());
    expect_text(call_of(std::string(129, 'n'), "{}"), hermes());
    expect_call(call_of("f", nested(64)), hermes());
    expect_text(call_of("f", nested(65)), hermes());
    expect_text(call_of("f", "{\"a\":" + std::string(5000, '[')), hermes());
    ParserOptions small = hermes();
    small.max_call_bytes = 200;
    expect_call(call_of("f", "{\"a\": \"" + std::string(100, 'x') + "\"}"), small);
    // Never more than the limit is held back, wherever in the call it is met.
    for (std::size_t length = 120; length < 320; ++length) {
        const std::string output = call_of("f", "{\"a\": \"" + std::string(length, 'x') + "\"}");
        const ParsedMessage message = hear_in_all_ways(output, small, 3).message;
        if (message.tool_calls.empty()) {
            EXPECT_EQ(message.content, output);
        }
        EXPECT_EQ(message.malformed, message.tool_calls.empty() || !message.content.empty()) << length;
    }
    ParserOptions coder = small;
    coder.format.calls = CallFormat::qwen3_coder;
    expect_text("<tool_call><function=f><parameter=" + std::string(300, 'k') + ">", coder);
    expect_text("<tool_call><function=f><parameter=k>" + std::string(300, 'v') + "</parameter></function></tool_call>",
                coder);
    ParserOptions harmony;
    harmony.format.calls = CallFormat::harmony;
    expect_text("<|channel|>" + std::string(3000, 'c') + "<|message", harmony);
}

TEST(ChatParse, TextComesAsSoonAsItCannotBeAMark) {
    ChatParser parser(hermes());
    const auto text = [&](std::string_view bytes) {
        std::string out;
        for (const ChatEvent& event : parser.push(bytes)) {
            const auto* const delta = std::get_if<ContentDelta>(&event);
            out += delta == nullptr ? "?" : delta->text;
        }
        return out;
    };
    EXPECT_EQ(text("He"), "He");
    EXPECT_EQ(text("llo <"), "llo ");
    EXPECT_EQ(text("tool_"), "");
    EXPECT_EQ(text("s>"), "<tool_s>");
    EXPECT_EQ(text("\n"), "");
    EXPECT_EQ(text("x"), "\nx");
    EXPECT_EQ(text("\xC3"), "");
    EXPECT_EQ(text("\xA9"), "\xC3\xA9");
    EXPECT_EQ(text(std::string(1000, '\n')).size(), 1000U - (1000U % 257U));
}

TEST(ChatParse, ArgumentsComeAsTheyAreWritten) {
    ChatParser parser(hermes());
    EXPECT_TRUE(parser.push("<tool_call>{\"name\": \"f\", \"argu").empty());
    const auto begun = parser.push("ments\": {\"a\": ");
    ASSERT_EQ(begun.size(), 2U);
    EXPECT_EQ(std::get<CallStarted>(begun[0]).name, "f");
    EXPECT_EQ(std::get<ArgumentsDelta>(begun[1]).text, "{\"a\": ");
    const auto end = parser.push("1}}");
    ASSERT_EQ(end.size(), 2U);
    EXPECT_EQ(std::get<ArgumentsDelta>(end[0]).text, "1}");
    EXPECT_EQ(std::get<CallFinished>(end[1]).index, 0U);
    EXPECT_TRUE(parser.push("</tool_call>").empty());
    EXPECT_TRUE(parser.finish().empty());
}

TEST(ChatParse, FormatsAreRecognisedByTheirTemplates) {
    struct Case {
        const char* file;
        const char* calls;
        std::vector<std::string> reasoning;
    };
    const Case cases[] = {
        {"qwen25_tools", "hermes", {}},
        {"qwen3_thinking", "hermes", {"think"}},
        {"hermes_tools", "hermes", {}},
        {"qwen3_coder", "qwen3-coder", {}},
        {"llama31_tools", "llama3", {}},
        {"mistral_v3_tools", "mistral", {}},
        {"mistral_v1", "none", {}},
        {"deepseek_v3", "deepseek", {}},
        {"deepseek_r1", "deepseek", {"think"}},
        {"harmony", "harmony", {}},
        {"granite", "granite", {"think"}},
        {"phi4_mini_tools", "json", {}},
        {"smollm2", "none", {}},
        {"chatml", "none", {}},
        {"gemma", "none", {}},
        {"llama3", "none", {}},
    };
    for (const Case& c : cases) {
        const std::string source = read_test_file(std::string("chat_templates/") + c.file + ".jinja");
        ASSERT_FALSE(source.empty()) << c.file;
        const ChatFormat format = detect_chat_format(source);
        EXPECT_EQ(call_format_name(format.calls), c.calls) << c.file;
        EXPECT_EQ(format.reasoning, format_named("none", c.reasoning).reasoning) << c.file;
    }
    EXPECT_EQ(detect_chat_format(""), ChatFormat());
    EXPECT_EQ(detect_chat_format("{% if x %}<seed:think>{% endif %}").reasoning.size(), 1U);
    const auto wrong = parse_call_format("hermis");
    ASSERT_FALSE(wrong.ok());
    EXPECT_NE(wrong.error().hint.find("hermes"), std::string::npos);
    EXPECT_FALSE(parse_reasoning_format("thinks").ok());
    EXPECT_TRUE(parse_reasoning_format("none")->empty());
}

TEST(ChatParse, APromptMayEndWithinReasoning) {
    const ChatFormat format = format_named("none", {"think"});
    EXPECT_TRUE(ends_in_reasoning(format, "<|im_start|>assistant\n<think>\n"));
    EXPECT_TRUE(ends_in_reasoning(format, "<think>"));
    EXPECT_FALSE(ends_in_reasoning(format, "<think>\n\n</think>\n\n"));
    EXPECT_FALSE(ends_in_reasoning(format, "\n"));
    EXPECT_FALSE(ends_in_reasoning({}, "<think>"));
}

TEST(ChatParse, ToolsAreReadAsTheApiHasThem) {
    const auto tools = parse_tools(R"([{"type": "function", "function": {"name": "a", "description": "x",
        "parameters": {"type": "object", "properties": {"b": {"type": "string"}}}}}, {"name": "now"}])");
    ASSERT_TRUE(tools.ok()) << tools.error().message;
    ASSERT_EQ(tools->size(), 2U);
    EXPECT_EQ((*tools)[0], (Tool{"a", R"({"type":"object","properties":{"b":{"type":"string"}}})"}));
    EXPECT_EQ((*tools)[1].name, "now");
    for (const char* const wrong : {"", "{}", "[1]", R"([{"function": {}}])", R"([{"name": "a b"}])",
                                    R"([{"name": "a"}, {"name": "a"}])", R"([{"name": "a", "parameters": []}])"}) {
        EXPECT_FALSE(parse_tools(wrong).ok()) << wrong;
    }
}

}  // namespace
}  // namespace puna::text::chat_parse
