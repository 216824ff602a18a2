// JSON's own syntax as expressions of a grammar: strings, numbers in a range, literal values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "puna/error.h"
#include "text/grammar/grammar.h"

namespace puna::text::grammar {

/// Puts expressions together in a builder, which must outlive it. Rules that several expressions share are made once.
/// Not thread-safe.
class JsonText {
  public:
    using Id = GrammarBuilder::Id;
    explicit JsonText(GrammarBuilder& builder) : builder_(builder) {}

    /// Nothing, a space, or a line break and at most 24 spaces or tabs.
    Id space();
    /// A string of `min` to `max` characters (`unbounded`: any number), in any of the spellings that JSON has for them.
    Id string(std::uint32_t min, std::uint32_t max);
    /// Strings of `min` to `max` characters that all `patterns` match as wholes, each character in one spelling.
    /// `patterns` must be compiled from regular expressions, which call no rules. Errors if there are too many states.
    Result<Id> string_like(const std::vector<Grammar>& patterns, std::uint64_t min, std::uint64_t max);
    /// Strings that are none of `names`, each character in one spelling.
    Id string_other_than(const std::vector<std::string>& names);
    /// `text` in one spelling, quotes included.
    Id literal_string(std::string_view text);

    /// An end of a range of numbers.
    struct Bound {
        double value = 0;
        bool exclusive = false;
    };
    static constexpr std::uint64_t greatest_multiple = 1'000'000'000;
    /// Integers between the bounds (none: of at most 18 digits) that are multiples of `multiple`, from 1 to
    /// `greatest_multiple`. Errors if that takes too many states.
    Result<Id> integer(std::optional<Bound> min, std::optional<Bound> max, std::uint64_t multiple);
    /// Numbers between the bounds, without exponent if there are any. Errors for bounds of more than 15 digits.
    Result<Id> number(std::optional<Bound> min, std::optional<Bound> max);

  private:
    struct Decimal;
    struct Fraction;
    Id digit(char low, char high) {
        return builder_.byte_range(static_cast<std::uint8_t>(low), static_cast<std::uint8_t>(high));
    }
    Id digits(std::uint32_t min, std::uint32_t max) { return builder_.repeat(digit('0', '9'), min, max); }
    Id nothing() { return builder_.sequence({}); }
    Id optional(Id part) { return builder_.repeat(part, 0, 1); }
    Id character();
    Id text_byte(std::uint32_t low, std::uint32_t high);
    Id one_spelling(const std::vector<CharRange>& ranges);
    Id same_length(std::string_view low, std::string_view high);
    /// Integers from `low` to `high`; same_length(first, last) makes those that are equally long.
    template <typename SameLength>
    Id natural(std::uint64_t low, std::uint64_t high, SameLength same_length);
    Id natural(std::uint64_t low, std::uint64_t high);
    Id fraction(const Fraction& fraction);
    Id fraction_digits(const Fraction& fraction, std::uint32_t at);
    Id magnitude(const Decimal& low, bool low_out, const Decimal& high, bool high_out, std::uint32_t places);

    GrammarBuilder& builder_;
    std::optional<Id> space_, character_, beyond_ascii_;
};

}  // namespace puna::text::grammar
