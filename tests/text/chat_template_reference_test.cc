// Texts equal those of the engine that Transformers uses: tools/make_chat_template_expected.py.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/chat_template_fixture.h"

namespace puna::text {
namespace {

using testing::HasSubstr;

TEST(ChatTemplateReference, Snippets) {
    const OrderedJson fixture = read_ordered_json("jinja_snippets.json");
    const jinja::Dict variables = variables_from(fixture.at("variables"));
    ASSERT_GT(fixture.at("good").size(), 800u);
    for (const OrderedJson& snippet : fixture.at("good")) {
        const std::string source = snippet.at(0);
        const auto spans = render(source, variables);
        ASSERT_TRUE(spans.ok() || !spans.error().message.empty());
        EXPECT_EQ(spans.ok() ? joined(*spans) : spans.error().message, snippet.at(1).get<std::string>()) << source;
    }
}

TEST(ChatTemplateReference, SnippetsThatFail) {
    const OrderedJson fixture = read_ordered_json("jinja_snippets.json");
    const jinja::Dict variables = variables_from(fixture.at("variables"));
    ASSERT_GT(fixture.at("bad").size(), 150u);
    for (const OrderedJson& snippet : fixture.at("bad")) {
        const std::string source = snippet.at(0);
        const std::string kind = snippet.at(1);
        const auto parsed = ChatTemplate::parse(source);
        EXPECT_EQ(parsed.ok(), kind != "syntax") << source;
        if (!parsed.ok()) {
            EXPECT_EQ(parsed.error().code, ErrorCode::file_malformed);
            EXPECT_THAT(parsed.error().message, HasSubstr("chat template, line ")) << source;
            continue;
        }
        const auto spans = parsed->render(variables, {.now = fixture_time()});
        ASSERT_FALSE(spans.ok()) << source << " gives " << joined(*spans);
        EXPECT_EQ(spans.error().code, ErrorCode::invalid_argument);
        EXPECT_THAT(spans.error().message, HasSubstr("chat template, line ")) << source;
        // What is undefined, and what the template raises, is said in the same words.
        if (kind == "other") continue;
        EXPECT_THAT(spans.error().message, HasSubstr(snippet.at(2).get<std::string>())) << source;
    }
}

TEST(ChatTemplateReference, Templates) {
    const OrderedJson fixture = read_ordered_json("chat_templates.json");
    ASSERT_GE(fixture.at("expected").size(), 40u);
    for (const auto& [name, results] : fixture.at("expected").items()) {
        const auto parsed = ChatTemplate::parse(read_test_file("chat_templates/" + name + ".jinja"));
        ASSERT_TRUE(parsed.ok()) << name << ": " << parsed.error().message;
        for (const auto& [conversation, expected] : results.items()) {
            jinja::Dict variables = variables_from(fixture.at("conversations").at(conversation));
            for (const auto& [token, text] : fixture.at("tokens").items())
                variables.set(token, TemplateValue::trusted(text));
            const auto spans = parsed->render(variables, {.now = fixture_time()});
            if (expected.is_string()) {
                EXPECT_EQ(spans.ok() ? joined(*spans) : spans.error().message, expected.get<std::string>())
                    << name << ", " << conversation;
                continue;
            }
            ASSERT_FALSE(spans.ok()) << name << ", " << conversation << " gives " << joined(*spans);
            if (expected.at("kind") == "other") continue;
            EXPECT_THAT(spans.error().message, HasSubstr(expected.at("message").get<std::string>()))
                << name << ", " << conversation;
        }
    }
}

// The table of docs/chat-templates.md says what the test above compares.
TEST(ChatTemplateReference, TheTableOfTemplatesIsTrue) {
    const OrderedJson fixture = read_ordered_json("chat_templates.json");
    const std::string page = read_test_file("../../../docs/chat-templates.md");
    std::vector<std::string> legend, letters;
    for (const auto& [name, conversation] : fixture.at("conversations").items()) {
        letters.push_back(std::string(1, static_cast<char>('a' + letters.size())));
        legend.push_back(fmt::format("{} {}", letters.back(), name));
    }
    const std::string head = fmt::format("\n| template | {} |\n", fmt::join(letters, " | "));
    EXPECT_THAT(page, HasSubstr(fmt::format("\n{}.\n", fmt::join(legend, ", "))));
    EXPECT_THAT(page, HasSubstr(head));
    for (const auto& [name, results] : fixture.at("expected").items()) {
        std::vector<std::string> marks;
        for (const auto& [conversation, unused] : fixture.at("conversations").items()) {
            const OrderedJson& expected = results.at(conversation);
            marks.emplace_back(expected.is_string() ? "=" : expected.at("kind") == "other" ? "e" : "r");
        }
        EXPECT_THAT(page, HasSubstr(fmt::format("\n| `{}` | {} |\n", name, fmt::join(marks, " | "))));
    }
    const std::string first_cell = "\n| `";
    const std::size_t table = page.find(head);
    ASSERT_NE(table, std::string::npos);
    std::size_t found = 0;
    for (std::size_t at = table; (at = page.find(first_cell, at)) != std::string::npos; ++at)
        ++found;
    EXPECT_EQ(found, fixture.at("expected").size());
}

}  // namespace
}  // namespace puna::text
