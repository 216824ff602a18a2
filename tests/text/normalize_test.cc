// Composition: what Python's unicodedata makes of the same texts (tools/make_nfc_expected.py), bytes that are no text,
// and runs of marks that would take a quadratic way for ever.
#include "text/unicode/normalize.h"

#include <gtest/gtest.h>

#include "text/unicode/utf8.h"
#include "text/vocabulary_fixture.h"

namespace puna::text {
namespace {

TEST(Nfc, IsThatOfUnicodedata) {
    const auto expected = read_fixture("text/data/nfc.json");
    for (const char* list : {"decomposed", "sequences"}) {
        ASSERT_GT(expected.at(list).size(), 500U);
        for (const auto& pair : expected.at(list)) {
            const std::string text = pair[0];
            const std::string composed = pair[1];
            EXPECT_EQ(to_nfc(text), composed) << pair.dump(-1, ' ', true);
            EXPECT_EQ(to_nfc(composed), composed) << pair.dump(-1, ' ', true);
            if (text != composed) {
                EXPECT_TRUE(may_need_nfc(text)) << pair.dump(-1, ' ', true);
            }
        }
    }
}

// Section 3.12 of The Unicode Standard: a syllable is composed by arithmetic.
TEST(Nfc, ComposesEverySyllableOfHangul) {
    for (char32_t syllable = 0xAC00; syllable < 0xD7A4; ++syllable) {
        const char32_t index = syllable - 0xAC00;
        std::string parts;
        std::string whole;
        append_utf8(parts, 0x1100 + index / 588);
        append_utf8(parts, 0x1161 + index % 588 / 28);
        if (index % 28 != 0) append_utf8(parts, 0x11A7 + index % 28);
        append_utf8(whole, syllable);
        ASSERT_EQ(to_nfc(parts), whole) << static_cast<std::uint32_t>(syllable);
    }
}

TEST(Nfc, KeepsTheJamoBeforeTheTrailingOnes) {
    EXPECT_EQ(to_nfc("\u1112\u1161\u11a7\u11a8"), "\ud558\u11a7\u11a8");
    EXPECT_EQ(to_nfc("\ud558\u11a7"), "\ud558\u11a7");
    EXPECT_EQ(to_nfc("\u11a7\u0323\u0301"), "\u11a7\u0323\u0301");
}

TEST(Nfc, LeavesAloneWhatIsComposedOrNoText) {
    for (const std::string text :
         {"", "a", "plain ASCII\n", "Größe, naïve, İstanbul ǅ", "\xCB\xBF", "高原の草原", "😀"})
        EXPECT_EQ(to_nfc(text), text);
    EXPECT_FALSE(may_need_nfc("Größe \xCB\xBF"));  // U+02FF
    EXPECT_TRUE(may_need_nfc("e\xCC\x80"));        // U+0300
}

TEST(Nfc, InvalidBytesStayAndNothingComposesAcrossThem) {
    const std::string acute = "\xCC\x81";
    const std::string e_acute = "\xC3\xA9";
    EXPECT_EQ(to_nfc("e" + acute + "\xFF" + acute + "e" + acute), e_acute + "\xFF" + acute + e_acute);
    EXPECT_EQ(to_nfc("e\xCC"), "e\xCC");
    EXPECT_EQ(to_nfc("e\xCC" + acute), "e\xCC" + acute);
    EXPECT_EQ(to_nfc("\xED\xA0\x80" + acute), "\xED\xA0\x80" + acute);  // half a surrogate pair
    EXPECT_EQ(to_nfc(acute + "e"), acute + "e");
    std::string all;
    for (int byte = 0; byte < 256; ++byte)
        all += static_cast<char>(byte);
    EXPECT_EQ(to_nfc(all), all);
}

TEST(Nfc, SortsLongRunsOfMarks) {
    constexpr std::size_t count = 200'000;
    const std::string above = "\xCC\x82";  // U+0302, class 230
    const std::string below = "\xCC\xAD";  // U+032D, class 220
    std::string text = "x";
    std::string sorted = "x";
    for (std::size_t i = 0; i < count; ++i)
        text.append(above).append(below);
    for (const std::string& mark : {below, above}) {
        for (std::size_t i = 0; i < count; ++i)
            sorted += mark;
    }
    EXPECT_TRUE(to_nfc(text) == sorted);
}

}  // namespace
}  // namespace puna::text
