#include "text/unicode/utf8.h"

#include <gtest/gtest.h>

#include <random>

#include "text/unicode/unicode.h"

namespace puna::text {
namespace {

std::string encode(char32_t c) {
    std::string bytes;
    const auto put = [&bytes](char32_t byte) { bytes += static_cast<char>(byte); };
    if (c < 0x80) return put(c), bytes;
    if (c < 0x800) return put(0xC0 | c >> 6), put(0x80 | (c & 0x3F)), bytes;
    if (c < 0x10000) return put(0xE0 | c >> 12), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F)), bytes;
    return put(0xF0 | c >> 18), put(0x80 | (c >> 12 & 0x3F)), put(0x80 | (c >> 6 & 0x3F)), put(0x80 | (c & 0x3F)),
           bytes;
}

std::string repeated(int count, std::string_view text) {
    std::string out;
    for (int i = 0; i < count; ++i)
        out += text;
    return out;
}

TEST(Utf8, DecodesEveryCodePointAndNothingElse) {
    for (char32_t c = 0; c < 0x110100; ++c) {
        const std::string bytes = encode(c);
        const bool exists = c < 0x110000 && (c < 0xD800 || c > 0xDFFF);
        const Utf8Char decoded = decode_utf8(bytes + "x");
        ASSERT_EQ(decoded.valid, exists) << std::hex << static_cast<unsigned>(c);
        ASSERT_EQ(decoded.code_point, exists ? c : replacement_character);
        ASSERT_EQ(decoded.length, exists ? bytes.size() : 1u);
        ASSERT_EQ(is_character(c), exists);
        if (exists) {
            std::string appended = "y";
            append_utf8(appended, c);
            ASSERT_EQ(appended, "y" + bytes);
            ASSERT_EQ(to_valid_utf8(bytes), bytes);
        }
    }
}

TEST(Utf8, TakesInvalidAndCutBytesOneAtATime) {
    for (const std::string_view bytes :
         {"\x80", "\xC0\xAF", "\xC3", "\xE2\x82", "\xF0\x9F\x98", "\xED\xA0\x80", "\xFF"}) {
        const Utf8Char decoded = decode_utf8(bytes);
        EXPECT_FALSE(decoded.valid);
        EXPECT_EQ(decoded.length, 1);
    }
}

// The examples of The Unicode Standard, tables 3-8 to 3-11.
TEST(Utf8, ReplacesMaximalSubparts) {
    const auto replaced = [](int count) { return repeated(count, replacement_utf8); };
    EXPECT_EQ(to_valid_utf8("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), replaced(8) + "A");
    EXPECT_EQ(to_valid_utf8("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), replaced(8) + "A");
    EXPECT_EQ(to_valid_utf8("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), replaced(5) + "A" + replaced(2) + "B");
    EXPECT_EQ(to_valid_utf8("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), replaced(4) + "A");
}

TEST(Utf8, SettledPartsAddUpToTheWhole) {
    std::mt19937 random(7);
    constexpr std::string_view alphabet = "a\x80\xBF\xC2\xE0\xA0\xE2\x82\xED\x9F\xF0\x90\xF4\x8F\xFF";
    for (int round = 0; round < 20000; ++round) {
        std::string bytes;
        for (std::size_t i = random() % 12; i > 0; --i)
            bytes += alphabet[random() % alphabet.size()];
        std::string pending;
        std::string text;
        for (const char byte : bytes) {
            pending += byte;
            const std::size_t settled = settled_length(pending);
            ASSERT_LE(pending.size() - settled, 3u);
            text += to_valid_utf8(pending.substr(0, settled));
            pending.erase(0, settled);
        }
        ASSERT_EQ(text + to_valid_utf8(pending), to_valid_utf8(bytes));
    }
}

TEST(Unicode, ClassesAreThoseOfTheCharacterDatabase) {
    const auto expect = [](CharClass name, std::u32string_view characters) {
        for (const char32_t c : characters)
            EXPECT_EQ(char_class(c), name) << std::hex << static_cast<unsigned>(c);
    };
    expect(CharClass::letter, U"azAZªµºÀÿΩжאعहกあ漢한\U00020000\U0001D49C\U000323AF");
    expect(CharClass::number, U"09²½٣३Ⅷ〇①\U0001D7CF");
    expect(CharClass::mark, U"\u0301\u093F\u0E31\uFE0F");
    expect(CharClass::whitespace, U"\t\n\v\f\r \u0085\u00A0\u1680\u2000\u200A\u2028\u2029\u202F\u205F\u3000");
    expect(CharClass::punctuation, U"!_-«»。、؟।");
    expect(CharClass::symbol, U"$+<=>^`|~€∑😀");
    expect(CharClass::other, std::u32string_view(U"\0\x1c\x7f\u00AD\u200B\u2060\uFEFF\uE000\uFFFF", 9));
    EXPECT_EQ(char_class(0x110000), CharClass::other);
    EXPECT_EQ(char_class(0xFFFFFFFF), CharClass::other);
}

TEST(Unicode, RangesAscendAndAgreeWithTheAsciiTable) {
    for (std::size_t i = 0; i < class_range_count; ++i) {
        EXPECT_LE(class_ranges[i].first, class_ranges[i].last);
        EXPECT_NE(class_ranges[i].name, CharClass::other);
        if (i > 0) {
            EXPECT_GT(class_ranges[i].first, class_ranges[i - 1].last);
        }
        for (char32_t c = class_ranges[i].first; c <= class_ranges[i].last && c < 128; ++c) {
            EXPECT_EQ(ascii_classes[c], class_ranges[i].name);
        }
    }
}

}  // namespace
}  // namespace puna::text
