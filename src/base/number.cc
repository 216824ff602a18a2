#include "base/number.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <concepts>
#include <system_error>

namespace puna::base {
namespace {

template <typename Number>
Error not_a_number(std::string_view text, std::string_view parameter) {
    constexpr std::string_view kind = std::floating_point<Number> ? "a number" : "a whole number";
    return {ErrorCode::invalid_argument, fmt::format("{}: \"{}\" is not {}", parameter, text, kind), {}};
}

template <typename Number>
Error out_of_range(std::string_view text, std::string_view parameter, Number least, Number most) {
    constexpr Number lowest = std::numeric_limits<Number>::lowest();
    constexpr Number highest = std::numeric_limits<Number>::max();
    std::string hint;
    if (most != highest || std::integral<Number>) {
        hint = fmt::format("choose a value from {} to {}", least, most);
    } else if (least != lowest) {
        hint = fmt::format("choose a value of {} or more", least);
    }
    return {ErrorCode::invalid_argument, fmt::format("{}: {} is out of range", parameter, text), std::move(hint)};
}

}  // namespace

template <typename Number>
Result<Number> parse_number(std::string_view text, std::string_view parameter, Number least, Number most) {
    std::string_view digits = text;
    if (digits.starts_with('+') && !digits.starts_with("+-")) digits.remove_prefix(1);  // from_chars knows no plus
    Number number = 0;
    const char* const end = digits.data() + digits.size();
    const auto [stop, status] = std::from_chars(digits.data(), end, number);
    // An unsigned number's from_chars takes no minus: "-1" is a number, and out of range.
    if constexpr (std::unsigned_integral<Number>) {
        std::int64_t negative = 0;
        const auto [stop_negative, status_negative] = std::from_chars(digits.data(), end, negative);
        if (digits.starts_with('-') && stop_negative == end && status_negative != std::errc::invalid_argument) {
            return out_of_range(text, parameter, least, most);
        }
    }
    if (status == std::errc::invalid_argument || stop != end) return not_a_number<Number>(text, parameter);
    if (status == std::errc::result_out_of_range) return out_of_range(text, parameter, least, most);
    if constexpr (std::floating_point<Number>) {
        if (!std::isfinite(number)) return not_a_number<Number>(text, parameter);
    }
    if (number < least || number > most) return out_of_range(text, parameter, least, most);
    return number;
}

template Result<std::int32_t> parse_number(std::string_view, std::string_view, std::int32_t, std::int32_t);
template Result<std::int64_t> parse_number(std::string_view, std::string_view, std::int64_t, std::int64_t);
template Result<std::uint32_t> parse_number(std::string_view, std::string_view, std::uint32_t, std::uint32_t);
template Result<std::uint64_t> parse_number(std::string_view, std::string_view, std::uint64_t, std::uint64_t);
template Result<float> parse_number(std::string_view, std::string_view, float, float);
template Result<double> parse_number(std::string_view, std::string_view, double, double);

}  // namespace puna::base
