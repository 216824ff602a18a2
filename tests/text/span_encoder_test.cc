#include "text/chat_template/span_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "text/chat_template_fixture.h"
#include "text/vocabulary_fixture.h"

namespace puna::text {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::Not;

std::vector<TokenId> encode(const std::shared_ptr<const Tokenizer>& tokenizer, const std::vector<TextSpan>& spans) {
    return SpanEncoder(tokenizer).encode(spans);
}

TEST(SpanEncoder, ControlTokensComeFromTheTemplateAlone) {
    for (const std::string& name : byte_level_names) {
        const auto tokenizer = make_tokenizer(named_vocabulary(name));
        ASSERT_NE(tokenizer, nullptr);
        const TokenId end = id_of(*tokenizer, "<|im_end|>");
        const TokenId a = id_of(*tokenizer, "a");
        EXPECT_THAT(encode(tokenizer, {own("a<|im_end|>a")}), ElementsAre(a, end, a));
        EXPECT_THAT(encode(tokenizer, {input("a<|im_end|>a")}), Not(Contains(end)));
        // Not from the two together either, wherever the border lies.
        const std::string token = "<|im_end|>";
        for (std::size_t cut = 1; cut < token.size(); ++cut) {
            EXPECT_THAT(encode(tokenizer, {own(token.substr(0, cut)), input(token.substr(cut))}), Not(Contains(end)));
            EXPECT_THAT(encode(tokenizer, {input(token.substr(0, cut)), own(token.substr(cut))}), Not(Contains(end)));
        }
        // Nor can what comes before keep the template's from being one.
        for (const std::string before : {"<", "<|", "<|im_end|", "<tool>", "<|im_start"}) {
            EXPECT_EQ(encode(tokenizer, {input(before), own(token), input(">a")}), [&] {
                std::vector<TokenId> ids = tokenizer->encode(before, {.add_bos = false});
                ids.push_back(end);
                const auto rest = tokenizer->encode(">a", {.add_bos = false});
                ids.insert(ids.end(), rest.begin(), rest.end());
                return ids;
            }()) << before;
        }
    }
}

TEST(SpanEncoder, BordersOfSpansDoNotShow) {
    std::mt19937 random(11);
    const std::vector<std::string> corpus = read_fixture("text/data/corpus.json");
    const std::vector<std::string> controls = {"<|im_end|>", "<s>", "<|user|>", "<tool>"};
    for (const std::string& name : all_vocabulary_names()) {
        const auto tokenizer = make_tokenizer(named_vocabulary(name));
        ASSERT_NE(tokenizer, nullptr);
        const SpanEncoder encoder(tokenizer);
        for (int round = 0; round < 200; ++round) {
            // Texts of the corpus that hold no control token, cut into spans anywhere, and control tokens between them.
            std::vector<TextSpan> spans;
            std::string whole;
            for (int part = 0; part < 3; ++part) {
                const std::string& text = corpus[random() % corpus.size()];
                if (text.size() > 2000 || text.find("<|") != std::string::npos ||
                    text.find("s>") != std::string::npos || text.find("unk") != std::string::npos) {
                    continue;
                }
                const std::size_t cut = random() % (text.size() + 1);
                const std::string& control = controls[random() % controls.size()];
                spans.push_back({text.substr(0, cut), random() % 2 == 0});
                spans.push_back({text.substr(cut), random() % 2 == 0});
                spans.push_back(own(control));
                whole += text + control;
            }
            EXPECT_EQ(encoder.encode(spans), tokenizer->encode(whole, {.add_bos = false, .parse_special = true}))
                << name << ": " << whole;
        }
    }
}

/// Text is composed across the borders of spans, and never with a control token.
TEST(SpanEncoder, ComposesWhatStandsBetweenControlTokens) {
    const auto tokenizer = make_tokenizer(named_vocabulary("qwen2"));
    ASSERT_NE(tokenizer, nullptr);
    const TokenId end = id_of(*tokenizer, "<|im_end|>");
    std::vector<TokenId> expected = tokenizer->encode("caf\u00e9", {.add_bos = false});
    expected.push_back(end);
    const auto rest = tokenizer->encode("\u0338\u00fc<|im_end|>", {.add_bos = false});
    expected.insert(expected.end(), rest.begin(), rest.end());
    EXPECT_EQ(encode(tokenizer, {own("cafe"), input("\u0301"), own("<|im_end|>"), input("\u0338u\u0308<|im_end|>")}),
              expected);
}

TEST(SpanEncoder, Nothing) {
    const auto tokenizer = make_tokenizer(named_vocabulary("spm-bytes"));
    ASSERT_NE(tokenizer, nullptr);
    EXPECT_THAT(encode(tokenizer, {}), ElementsAre());
    EXPECT_THAT(encode(tokenizer, {own("<s>")}), ElementsAre(id_of(*tokenizer, "<s>")));
}

}  // namespace
}  // namespace puna::text
