#include "text/tokenizer/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace puna::text {
namespace {

using testing::ElementsAre;

std::vector<std::string> pieces(std::string_view name, std::string_view text) {
    std::vector<std::size_t> ends;
    find_pre_tokenizer(name)->split(text, ends);
    std::vector<std::string> pieces;
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
        pieces.emplace_back(text.substr(begin, end - begin));
        begin = end;
    }
    EXPECT_EQ(begin, text.size());
    return pieces;
}

TEST(PreTokenizer, Gpt2) {
    EXPECT_THAT(pieces("gpt-2", "Hello  it's I'M 12345 a1!?  \n\n x"),
                ElementsAre("Hello", " ", " it", "'s", " I", "'", "M", " 12345", " a", "1", "!?", "  \n\n", " x"));
    EXPECT_THAT(pieces("default", "x \n "), ElementsAre("x", " \n "));
    EXPECT_THAT(pieces("", ""), ElementsAre());
}

TEST(PreTokenizer, Llama3) {
    EXPECT_THAT(pieces("llama-bpe", "it'S I'M 12345 (a)\n\n  x\ty !\n"),
                ElementsAre("it", "'S", " I", "'M", " ", "123", "45", " (", "a", ")\n\n", " ", " x", "\ty", " !\n"));
    EXPECT_THAT(pieces("llama3", "a'\u017Fb \n \n  "), ElementsAre("a", "'\u017F", "b", " \n \n", "  "));
}

TEST(PreTokenizer, SmolLm) {
    EXPECT_THAT(pieces("smollm", "a  12 b  "), ElementsAre("a", "  ", "1", "2", " b", "  "));
}

TEST(PreTokenizer, Qwen2) {
    EXPECT_THAT(pieces("qwen2", "x 12's\r\n y"), ElementsAre("x", " ", "1", "2", "'s", "\r\n", " y"));
}

TEST(PreTokenizer, InvalidBytesAreNoLetters) {
    for (const std::string_view name : {"gpt-2", "llama-bpe", "smollm", "qwen2"}) {
        EXPECT_THAT(pieces(name, "\xFF\x80 \xE2\x82"), ElementsAre("\xFF\x80", " \xE2\x82"));
    }
}

TEST(PreTokenizer, UnknownNames) {
    EXPECT_EQ(find_pre_tokenizer("llama"), nullptr);
    EXPECT_THAT(known_pre_tokenizers(), testing::HasSubstr("llama-bpe, "));
}

}  // namespace
}  // namespace puna::text
