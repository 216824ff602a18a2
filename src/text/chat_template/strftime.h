// Times as text, in English whatever the locale.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>

namespace puna::text::jinja {

/// As C's strftime in the "C" locale for a time without a time zone, with glibc's `-` (no padding). Nullopt if `format`
/// holds a conversion that is not known.
std::optional<std::string> format_time(std::string_view format, const std::tm& time);

}  // namespace puna::text::jinja
