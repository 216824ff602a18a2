// The demo model's own chat template, from its file; texts by tools/make_chat_template_expected.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "formats/model_file.h"
#include "text/chat_template/span_encoder.h"
#include "text/chat_template_fixture.h"

namespace puna::text {
namespace {

class DemoChatTemplate : public testing::Test {
  protected:
    void SetUp() override {
        auto file = formats::read_model_file(PUNA_DEMO_MODEL);
        ASSERT_TRUE(file.ok()) << file.error().message;
        source = (*file)->vocabulary.chat_template;
        auto created = Tokenizer::create((*file)->vocabulary);
        ASSERT_TRUE(created.ok());
        tokenizer = std::move(created).value();
    }

    std::vector<TextSpan> spans_of(const std::string& conversation) {
        const auto spans = render(source, variables_from(conversations.at(conversation)));
        EXPECT_TRUE(spans.ok()) << conversation << ": " << spans.error().message;
        return spans.ok() ? *spans : std::vector<TextSpan>();
    }

    std::string source;
    std::shared_ptr<const Tokenizer> tokenizer;
    OrderedJson conversations = read_ordered_json("chat_templates.json").at("conversations");
    OrderedJson expected = read_ordered_json("../../models/data/demo_chats.json");
};

TEST_F(DemoChatTemplate, RendersAsTransformersDoes) {
    ASSERT_GE(expected.size(), 10u);
    const SpanEncoder encoder(tokenizer);
    for (const auto& [name, text] : expected.items()) {
        const std::vector<TextSpan> spans = spans_of(name);
        EXPECT_EQ(joined(spans), text.get<std::string>()) << name;
        if (name == "strange text") continue;  // it spells control tokens out
        EXPECT_EQ(encoder.encode(spans), tokenizer->encode(joined(spans), {.add_bos = false, .parse_special = true}))
            << name;
    }
}

TEST_F(DemoChatTemplate, WordsOfTheUserAreNoControlTokens) {
    // The user writes <|im_start|>, which here is but text: each control token is one of the template's.
    const std::vector<TextSpan> spans = spans_of("strange text");
    const std::vector<TokenId> ids = SpanEncoder(tokenizer).encode(spans);
    const auto controls = std::ranges::count_if(ids, [this](TokenId id) { return tokenizer->is_control(id); });
    EXPECT_EQ(controls, 7);  // system, user, assistant; each begins and ends, and the last begins
    EXPECT_EQ(tokenizer->decode_bytes(ids, true), joined(spans));
}

}  // namespace
}  // namespace puna::text
