// Upper and lower case of single characters, and the properties that case and number tests ask for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace puna::text {

/// Flags that hold for a code point. `cased` and `case_ignorable` are those of The Unicode Standard, section 3.13
/// (a character that is both counts as ignorable where a word's last letter is looked for).
enum CharTrait : std::uint8_t {
    trait_lower = 1,
    trait_upper = 2,
    trait_title = 4,
    trait_cased = 8,
    trait_case_ignorable = 16,
    trait_decimal = 32,  ///< a digit of a decimal system
    trait_digit = 64,    ///< decimal ones, and superscripts and the like
    trait_numeric = 128  ///< whatever has a numeric value
};

/// The flags that hold for `code_point`; 0 for anything beyond U+10FFFF.
std::uint8_t char_traits(char32_t code_point);

/// A character's full case mapping: one to three characters.
struct CaseMapped {
    char32_t characters[3];
    std::size_t count;
};
enum class Case : std::uint8_t { lower, upper, title };
/// Without regard to what stands around it: a final sigma is the caller's affair.
CaseMapped map_case(char32_t code_point, Case to);

// The tables (case_data.cc), ascending and disjoint.
struct TraitRange {
    char32_t first;
    char32_t last;
    std::uint8_t traits;
};
struct CaseRange {
    char32_t first;
    char32_t last;
    std::uint32_t step;       // each step-th code point of the range has the mapping
    std::int32_t difference;  // of the mapped code point
};
struct CaseExpansion {
    char32_t from;
    char32_t to[3];  // 0 after the last
};
extern const TraitRange trait_ranges[];
extern const std::size_t trait_ranges_count;
extern const CaseRange lower_ranges[], upper_ranges[], title_ranges[];
extern const std::size_t lower_ranges_count, upper_ranges_count, title_ranges_count;
extern const CaseExpansion lower_expansions[], upper_expansions[], title_expansions[];
extern const std::size_t lower_expansions_count, upper_expansions_count, title_expansions_count;

}  // namespace puna::text
