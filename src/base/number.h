// Numbers from text: flags, environment variables, lists.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

#include "puna/error.h"

namespace puna::base {

/// The number that `text` spells as a whole, in decimal: no space, no trailing junk, an optional sign. Floating-point
/// numbers may have an exponent and must be finite. The result is in [least, most]. `parameter` names the number in the
/// error. Independent of the locale. For std::int32_t, std::int64_t, std::uint32_t, std::uint64_t, float and double.
/// Errors: invalid_argument.
template <typename Number>
Result<Number> parse_number(std::string_view text, std::string_view parameter,
                            Number least = std::numeric_limits<Number>::lowest(),
                            Number most = std::numeric_limits<Number>::max());

}  // namespace puna::base
