// What stands for characters of several code points while a line is edited.
#include "cli/chat/stand_ins.h"

#include <gtest/gtest.h>

#include <clocale>
#include <cwchar>

#include "text/unicode/utf8.h"

namespace puna::cli {
namespace {

class StandInsTest : public testing::Test {
  protected:
    StandInsTest() { std::setlocale(LC_CTYPE, "C.UTF-8"); }
    static std::vector<int> columns_of(std::string_view text) {
        std::vector<int> columns;
        for (std::size_t i = 0; i < text.size();) {
            const text::Utf8Char character = text::decode_utf8(text.substr(i));
            columns.push_back(wcwidth(static_cast<wchar_t>(character.code_point)));
            i += character.length;
        }
        return columns;
    }
    StandIns stand_ins_;
};

TEST_F(StandInsTest, GiveEachCharacterItsColumns) {
    using Columns = std::vector<int>;
    const std::vector<std::pair<std::string, Columns>> texts = {
        {"abc", {1, 1, 1}},
        {"e\xCC\x81x", {1, 1}},                                    // e and an acute accent
        {"e\xCC\x81\xCC\xA3x", {1, 1}},                            // two accents
        {"\xE7\xBE\x8A\xEF\xB8\x80", {2}},                         // an ideograph and a variation selector
        {"\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9", {2, 2}},  // man, joiner, woman
        {"\xE0\xA4\x95\xE0\xA5\x8D\xE0\xA4\xB7", {1, 1}},          // ka, virama, ssa
    };
    for (const auto& [text, columns] : texts) {
        const std::string contracted = stand_ins_.contracted(text);
        EXPECT_EQ(columns_of(contracted), columns) << text;
        EXPECT_EQ(stand_ins_.expanded(contracted), text);
        EXPECT_EQ(stand_ins_.contracted(text), contracted);
    }
}

TEST_F(StandInsTest, GiveEveryTextBack) {
    // Stand-ins that are typed, accents of nothing, bytes that are no UTF-8, control characters.
    for (const std::string text :
         {"\xF3\xB0\x80\x80\xF0\xAF\xA0\x80", "\xCC\x81x", "\xFF\xCC\x81\xC3", "\n\xCC\x81", ""})
        EXPECT_EQ(stand_ins_.expanded(stand_ins_.contracted(text)), text);
    // More of them than there are stand-ins of two columns.
    std::string many;
    for (char32_t code_point = 0x4E00; code_point < 0x4E00 + 1000; ++code_point) {
        text::append_utf8(many, code_point);
        text::append_utf8(many, 0xFE00);
    }
    EXPECT_EQ(stand_ins_.expanded(stand_ins_.contracted(many)), many);
}

}  // namespace
}  // namespace puna::cli
