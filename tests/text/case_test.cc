#include "text/unicode/case.h"

#include <gtest/gtest.h>

#include <string>

namespace puna::text {
namespace {

std::u32string mapped(char32_t code_point, Case to) {
    const CaseMapped result = map_case(code_point, to);
    return {result.characters, result.count};
}

TEST(Case, MapsCharacters) {
    EXPECT_EQ(mapped(U'a', Case::upper), U"A");
    EXPECT_EQ(mapped(U'Z', Case::lower), U"z");
    EXPECT_EQ(mapped(U'1', Case::upper), U"1");
    EXPECT_EQ(mapped(U'é', Case::upper), U"É");
    EXPECT_EQ(mapped(U'Ж', Case::lower), U"ж");
    EXPECT_EQ(mapped(U'ÿ', Case::upper), U"Ÿ");
    EXPECT_EQ(mapped(U'ā', Case::upper), U"Ā");  // one of a row in which each second character is mapped
    EXPECT_EQ(mapped(U'Ā', Case::upper), U"Ā");
    EXPECT_EQ(mapped(0x10428, Case::upper), std::u32string(1, 0x10400));
    EXPECT_EQ(mapped(0x10FFFF, Case::upper), std::u32string(1, 0x10FFFF));
    EXPECT_EQ(mapped(0x110000, Case::lower), std::u32string(1, 0x110000));
}

// The Unicode Character Database, SpecialCasing.txt.
TEST(Case, MapsToSeveralCharacters) {
    EXPECT_EQ(mapped(U'ß', Case::upper), U"SS");
    EXPECT_EQ(mapped(U'ß', Case::title), U"Ss");
    EXPECT_EQ(mapped(U'ﬃ', Case::upper), U"FFI");
    EXPECT_EQ(mapped(U'İ', Case::lower), U"i\u0307");
    EXPECT_EQ(mapped(U'ǆ', Case::title), U"ǅ");
    EXPECT_EQ(mapped(U'ǆ', Case::upper), U"Ǆ");
}

TEST(Case, Traits) {
    EXPECT_EQ(char_traits(U'a'), trait_lower | trait_cased);
    EXPECT_EQ(char_traits(U'A'), trait_upper | trait_cased);
    EXPECT_EQ(char_traits(U'ǅ'), trait_title | trait_cased);
    EXPECT_EQ(char_traits(U'\''), trait_case_ignorable);
    EXPECT_EQ(char_traits(U'7'), trait_decimal | trait_digit | trait_numeric);
    EXPECT_EQ(char_traits(U'²'), trait_digit | trait_numeric);
    EXPECT_EQ(char_traits(U'½'), trait_numeric);
    EXPECT_EQ(char_traits(U' '), 0);
    EXPECT_EQ(char_traits(0x110000), 0);
}

}  // namespace
}  // namespace puna::text
