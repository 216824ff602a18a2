#include "text/grammar/multiple_digits.h"

#include <string>
#include <vector>

namespace puna::text::grammar {
namespace {

std::uint64_t power_of_ten(std::size_t exponent) {
    std::uint64_t power = 1;
    for (; exponent > 0; --exponent)
        power *= 10;
    return power;
}

GrammarBuilder::Id digit_range(GrammarBuilder& builder, unsigned first, unsigned last) {
    return builder.byte_range(static_cast<std::uint8_t>('0' + first), static_cast<std::uint8_t>('0' + last));
}

}  // namespace

/// The remainder of the whole number if zeros follow: that of the digits before, and `digit` with `digits` behind it.
std::uint64_t MultipleDigits::with_digit(std::uint64_t remainder, unsigned digit, std::size_t digits) const {
    return (remainder + digit * (power_of_ten(digits) % multiple_)) % multiple_;
}

/// Any `digits` digits that make the number a multiple.
MultipleDigits::Id MultipleDigits::any(std::size_t digits, std::uint64_t remainder) {
    const std::uint64_t missing = remainder == 0 ? 0 : multiple_ - remainder;
    if (missing >= power_of_ten(digits)) return builder_.choice({});
    if (digits == 0) return builder_.sequence({});
    const auto [entry, added] = rules_.try_emplace({digits, remainder}, 0);
    if (!added) return builder_.call(entry->second);
    if (rules_.size() > max_states) {
        too_many_ = true;
        rules_.erase(entry);
        return builder_.choice({});
    }
    const std::uint32_t rule = entry->second = builder_.add_rule();
    std::vector<Id> choices;
    for (unsigned first = 0, last = 0; first <= 9; first = last = last + 1) {
        const std::uint64_t next = with_digit(remainder, first, digits - 1);
        while (last < 9 && with_digit(remainder, last + 1, digits - 1) == next)
            ++last;
        choices.push_back(builder_.sequence({digit_range(builder_, first, last), any(digits - 1, next)}));
    }
    builder_.define(rule, builder_.choice(std::move(choices)));
    return builder_.call(rule);
}

MultipleDigits::Id MultipleDigits::bounded(std::string_view low, std::string_view high, std::uint64_t remainder) {
    const std::size_t digits = low.size();
    const std::string zeros(digits, '0'), nines(digits, '9');
    if (low == zeros && high == nines) return any(digits, remainder);
    std::vector<Id> choices;
    for (char digit = low[0]; digit <= high[0]; ++digit) {
        const auto value = static_cast<unsigned>(digit - '0');
        const std::string_view from = digit == low[0] ? low : std::string_view(zeros);
        const std::string_view to = digit == high[0] ? high : std::string_view(nines);
        choices.push_back(
            builder_.sequence({digit_range(builder_, value, value),
                               bounded(from.substr(1), to.substr(1), with_digit(remainder, value, digits - 1))}));
    }
    return builder_.choice(std::move(choices));
}

}  // namespace puna::text::grammar
