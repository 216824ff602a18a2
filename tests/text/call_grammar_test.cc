#include "text/chat_parse/call_grammar.h"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/process.h"
#include "support/temp_file.h"
#include "text/chat_parse_fixture.h"
#include "text/grammar/matcher.h"

namespace puna::text::chat_parse {
namespace {

using grammar::Grammar;
using grammar::Matcher;
using Json = nlohmann::ordered_json;

constexpr const char* tools_json = R"([
    {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {
        "place": {"type": "string", "maxLength": 6}, "unit": {"enum": ["C", "F"]},
        "days": {"type": "array", "items": {"type": "integer", "minimum": -3, "maximum": 40}, "maxItems": 3}},
        "required": ["place"], "additionalProperties": false}}},
    {"type": "function", "function": {"name": "now"}},
    {"type": "function", "function": {"name": "tree", "parameters": {"properties": {"root": {"$ref": "#/$defs/node"}},
        "required": ["root"], "$defs": {"node": {"type": "object", "properties": {"v": {"type": "boolean"},
        "next": {"$ref": "#/$defs/node"}}, "required": ["v"]}}}}}])";

// What Qwen3-Coder's form can be held to.
constexpr const char* tagged_tools_json = R"([
    {"name": "write", "parameters": {"type": "object", "properties": {"text": {"type": "string"},
        "mode": {"type": "string", "enum": ["new", "over\nwrite"]}, "count": {"type": "integer", "minimum": 1, "maximum": 20},
        "flags": {"type": "array", "items": {"$ref": "#/$defs/flag"}, "maxItems": 2}},
        "required": ["text", "count"], "$defs": {"flag": {"type": ["boolean", "null"]}}}},
    {"name": "now", "parameters": {"type": "object", "properties": {}}}])";

std::vector<Tool> tools_of(const char* json) {
    const auto tools = parse_tools(json);
    EXPECT_TRUE(tools.ok()) << tools.error().message;
    return tools.ok() ? *tools : std::vector<Tool>();
}

/// A text that matches, chosen at random: bytes, and now and then what ends strings, values and texts.
class RandomText {
  public:
    RandomText(const Grammar& grammar, std::vector<std::string> endings, std::uint64_t seed)
        : matcher_(std::make_shared<const Grammar>(grammar)), endings_(std::move(endings)), seed_(seed) {}

    std::string next() {
        std::string text;
        for (int i = 0; i < 4000; ++i) {
            if (matcher_.accepts() && random(3) == 0) return text;
            if (random(2) == 0 && take(endings_[random(endings_.size())], text)) continue;
            std::string bytes;
            for (int byte = 0; byte < 256; ++byte) {
                if (!matcher_.advance(static_cast<std::uint8_t>(byte))) continue;
                matcher_.rewind(matcher_.position() - 1);
                bytes += static_cast<char>(byte);
            }
            if (bytes.empty()) {
                EXPECT_TRUE(matcher_.accepts()) << text;
                return text;
            }
            take(bytes.substr(random(bytes.size()), 1), text);
        }
        ADD_FAILURE() << "does not end: " << text;
        return text;
    }

  private:
    std::size_t random(std::size_t count) {
        return static_cast<std::size_t>(base::uniform_draw(seed_, draw_++) * static_cast<double>(count));
    }
    bool take(const std::string& bytes, std::string& text) {
        const std::size_t begin = matcher_.position();
        for (const char c : bytes) {
            if (matcher_.advance(static_cast<std::uint8_t>(c))) continue;
            matcher_.rewind(begin);
            return false;
        }
        text += bytes;
        return true;
    }

    Matcher matcher_;
    std::vector<std::string> endings_;
    std::uint64_t seed_, draw_ = 0;
};

struct Case {
    const char* calls;
    std::vector<std::string> reasoning;
};
const Case cases[] = {{"json", {"think"}}, {"hermes", {"think"}},        {"qwen3-coder", {}},
                      {"llama3", {}},      {"mistral", {"mistral"}},     {"granite", {"think"}},
                      {"harmony", {}},     {"command-r7b", {"command"}}, {"deepseek", {"think"}}};

TEST(CallGrammar, WhatMatchesIsReadBackWithValidArguments) {
    Json checked = Json::array();
    for (const Case& c : cases) {
        const bool tagged = std::string_view(c.calls) == "qwen3-coder";
        CallGrammarOptions options;
        options.format = format_named(c.calls, c.reasoning);
        options.tools = tools_of(tagged ? tagged_tools_json : tools_json);
        std::vector<std::string> endings{"\"", "}", "]", ",", "</parameter>", "</function>", "\n", "; ", "x"};
        for (const std::string_view mark : marks_of(options.format))
            endings.emplace_back(mark);
        std::size_t texts_without_calls = 0, several = 0, reasoned = 0;
        for (const ToolChoice choice : {ToolChoice::automatic, ToolChoice::required, ToolChoice::named}) {
            options.choice = choice;
            options.name = "now";
            for (const bool in_reasoning : {false, true}) {
                options.in_reasoning = in_reasoning;
                if (in_reasoning && c.reasoning.empty()) continue;
                const auto grammar = tool_call_grammar(options);
                ASSERT_TRUE(grammar.ok()) << c.calls << ": " << grammar.error().message;
                for (std::uint64_t seed = 0; seed < 25; ++seed) {
                    const std::string text = RandomText(*grammar, endings, seed).next();
                    SCOPED_TRACE(std::string(c.calls) + ": " + text);
                    const ParsedMessage message = parse_reply(
                        text, {.format = options.format, .tools = options.tools, .in_reasoning = in_reasoning});
                    EXPECT_FALSE(message.malformed);
                    if (choice != ToolChoice::automatic) {
                        EXPECT_GE(message.tool_calls.size(), 1U);
                        if (std::string_view(c.calls) != "harmony") {
                            EXPECT_EQ(message.content, "");
                        }
                    }
                    texts_without_calls += message.tool_calls.empty() ? 1 : 0;
                    several += message.tool_calls.size() > 1 ? 1 : 0;
                    reasoned += message.reasoning.empty() ? 0 : 1;
                    for (const ToolCall& call : message.tool_calls) {
                        if (choice == ToolChoice::named) {
                            EXPECT_EQ(call.name, "now");
                        }
                        const auto tool = std::ranges::find(options.tools, call.name, &Tool::name);
                        ASSERT_NE(tool, options.tools.end()) << call.name;
                        checked.push_back({{"schema", Json::parse(tool->parameters)}, {"text", call.arguments}});
                    }
                    if (HasFailure()) return;
                }
            }
        }
        // The walks come to see all that there is.
        EXPECT_GT(texts_without_calls, 0U) << c.calls;
        EXPECT_GT(several, 0U) << c.calls;
        if (!c.reasoning.empty()) {
            EXPECT_GT(reasoned, 0U) << c.calls;
        }
    }
    const support::TempFolder folder;
    const std::string path = folder.path("checked.json");
    std::ofstream(path) << checked.dump();
    support::Process python({"/usr/bin/python3", PUNA_TEST_DATA "/api/validate_json.py", path});
    EXPECT_EQ(python.finish(), 0) << python.err();
    EXPECT_EQ(python.out(), std::to_string(checked.size()) + " texts checked\n");
    EXPECT_GT(checked.size(), 500U);
}

bool matches(const Grammar& grammar, std::string_view text) {
    Matcher matcher(std::make_shared<const Grammar>(grammar));
    for (const char c : text) {
        if (!matcher.advance(static_cast<std::uint8_t>(c))) return false;
    }
    return matcher.accepts();
}

TEST(CallGrammar, TextStaysFreeAndCallsStayGood) {
    CallGrammarOptions options;
    options.format = format_named("hermes", {"think"});
    options.tools = tools_of(tools_json);
    const auto grammar = tool_call_grammar(options);
    ASSERT_TRUE(grammar.ok());
    const std::string call = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
    for (const std::string& text :
         {std::string(), std::string("Hello, {World} <b> <tool_cal"), call, "Let me see.\n" + call, call + "\n" + call,
          "<think>\nHm.\n</think>\n\n" + call, std::string("<think>a <tool_call></think>So.")})
        EXPECT_TRUE(matches(*grammar, text)) << text;
    for (const std::string& text :
         {std::string("<tool_call>"), std::string("a <tool_call>x"), call + "x",
          std::string("<tool_call>\n{\"name\": \"rm\", \"arguments\": {}}\n</tool_call>"), std::string("<think>Hm.")})
        EXPECT_FALSE(matches(*grammar, text)) << text;

    options.one_call = true;
    options.choice = ToolChoice::required;
    const auto one = tool_call_grammar(options);
    ASSERT_TRUE(one.ok());
    EXPECT_TRUE(matches(*one, call));
    EXPECT_FALSE(matches(*one, call + "\n" + call));
    EXPECT_FALSE(matches(*one, ""));
    EXPECT_FALSE(matches(*one, "Hello"));
}

TEST(CallGrammar, WhatCannotBeKeptToIsRefused) {
    const auto error = [](const char* format, const std::string& tools, ToolChoice choice = ToolChoice::automatic) {
        const auto parsed = parse_tools(tools);
        EXPECT_TRUE(parsed.ok()) << tools;
        CallGrammarOptions options;
        options.format = format_named(format, {});
        if (parsed.ok()) options.tools = *parsed;
        options.choice = choice;
        options.name = "absent";
        const auto grammar = tool_call_grammar(options);
        EXPECT_FALSE(grammar.ok()) << format << ": " << tools;
        return grammar.ok() ? std::string() : grammar.error().message;
    };
    const auto with = [](const char* parameters) {
        return std::string(R"([{"name": "f", "parameters": )") + parameters + "}]";
    };
    EXPECT_EQ(error("none", with("{}")), "this format has no calls");
    EXPECT_EQ(error("hermes", "[]"), "there are no tools to call");
    EXPECT_EQ(error("hermes", with("{}"), ToolChoice::named), "there is no tool 'absent'");
    EXPECT_EQ(error("hermes", with(R"({"type": "array"})")), "tool f: its parameters are not of type object");
    EXPECT_NE(error("hermes", with(R"({"type": "object", "patternProperties": {}})")).find("tool f: "),
              std::string::npos);
    for (const char* const parameters :
         {R"({"properties": {"a": {"type": "string", "maxLength": 3}}})", R"({"properties": {"a": {}}})",
          R"({"properties": {"a": {"type": "array", "items": {"$ref": "#"}}}})", R"({"anyOf": [{}]})",
          R"({"properties": {}, "required": ["a"]})", R"({"properties": {"a": {"type": "string", "enum": [1]}}})"}) {
        EXPECT_NE(error("qwen3-coder", with(parameters)).find("cannot be held to"), std::string::npos) << parameters;
    }
}

TEST(Grammar, AnIncludedGrammarMatchesWhereItStands) {
    using grammar::GrammarBuilder;
    const auto nested = grammar::Grammar();
    GrammarBuilder inner;
    const std::uint32_t brackets = inner.add_rule();
    inner.define(brackets,
                 inner.sequence({inner.bytes("("), inner.repeat(inner.call(brackets), 0, 2), inner.bytes(")")}));
    const auto part = inner.compile(brackets);
    ASSERT_TRUE(part.ok());
    GrammarBuilder outer;
    const std::uint32_t root = outer.add_rule();
    const GrammarBuilder::Id one = outer.include(*part);
    const std::uint32_t tail = outer.add_rule();
    outer.define(tail, outer.choice({outer.sequence({}), outer.sequence({outer.bytes("+"), outer.call(root)})}));
    outer.define(root, outer.sequence({one, outer.bytes("-"), outer.include(*part), one, outer.call(tail)}));
    const auto whole = outer.compile(root);
    ASSERT_TRUE(whole.ok());
    EXPECT_TRUE(matches(*whole, "(()())-()(())"));
    EXPECT_TRUE(matches(*whole, "()-()()+()-()()"));
    EXPECT_FALSE(matches(*whole, "()-()"));
    EXPECT_FALSE(matches(*whole, "(()()())-()()"));
}

}  // namespace
}  // namespace puna::text::chat_parse
