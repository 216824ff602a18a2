#include "text/chat_template/strftime.h"

#include <fmt/format.h>

#include <array>

namespace puna::text::jinja {
namespace {

constexpr std::array<std::string_view, 7> days{"Sunday",   "Monday", "Tuesday", "Wednesday",
                                               "Thursday", "Friday", "Saturday"};
constexpr std::array<std::string_view, 12> months{"January",   "February", "March",    "April",
                                                  "May",       "June",     "July",     "August",
                                                  "September", "October",  "November", "December"};

template <std::size_t count>
std::string_view name_of(const std::array<std::string_view, count>& names, int index) {
    return index >= 0 && static_cast<std::size_t>(index) < count ? names[static_cast<std::size_t>(index)] : "?";
}

std::string padded(int value, std::size_t width, bool pad, char filler = '0') {
    std::string digits = fmt::format("{}", value);
    if (pad && digits.size() < width) digits.insert(0, width - digits.size(), filler);
    return digits;
}

int hour_of_twelve(int hour) {
    return hour % 12 == 0 ? 12 : hour % 12;
}

std::optional<std::string> convert(char conversion, bool pad, const std::tm& time) {
    switch (conversion) {
        case 'a': return std::string(name_of(days, time.tm_wday).substr(0, 3));
        case 'A': return std::string(name_of(days, time.tm_wday));
        case 'b':
        case 'h': return std::string(name_of(months, time.tm_mon).substr(0, 3));
        case 'B': return std::string(name_of(months, time.tm_mon));
        case 'c': return format_time("%a %b %e %H:%M:%S %Y", time);
        case 'C': return padded((time.tm_year + 1900) / 100, 2, pad);
        case 'd': return padded(time.tm_mday, 2, pad);
        case 'D':
        case 'x': return format_time("%m/%d/%y", time);
        case 'e': return padded(time.tm_mday, 2, pad, ' ');
        case 'f': return std::string("000000");
        case 'F': return format_time("%Y-%m-%d", time);
        case 'H': return padded(time.tm_hour, 2, pad);
        case 'I': return padded(hour_of_twelve(time.tm_hour), 2, pad);
        case 'j': return padded(time.tm_yday + 1, 3, pad);
        case 'm': return padded(time.tm_mon + 1, 2, pad);
        case 'M': return padded(time.tm_min, 2, pad);
        case 'n': return std::string("\n");
        case 'p': return std::string(time.tm_hour < 12 ? "AM" : "PM");
        case 'R': return format_time("%H:%M", time);
        case 'S': return padded(time.tm_sec, 2, pad);
        case 't': return std::string("\t");
        case 'T':
        case 'X': return format_time("%H:%M:%S", time);
        case 'u': return padded(time.tm_wday == 0 ? 7 : time.tm_wday, 1, pad);
        case 'w': return padded(time.tm_wday, 1, pad);
        case 'y': return padded(time.tm_year % 100, 2, pad);
        case 'Y': return padded(time.tm_year + 1900, 1, pad);
        case 'z':
        case 'Z': return std::string();
        case '%': return std::string("%");
        default: return std::nullopt;
    }
}

}  // namespace

std::optional<std::string> format_time(std::string_view format, const std::tm& time) {
    std::string out;
    for (std::size_t i = 0; i < format.size(); ++i) {
        if (format[i] != '%') {
            out += format[i];
            continue;
        }
        const bool pad = i + 1 >= format.size() || format[i + 1] != '-';
        i += pad ? 1 : 2;
        if (i >= format.size()) return std::nullopt;
        const auto converted = convert(format[i], pad, time);
        if (!converted) return std::nullopt;
        out += *converted;
    }
    return out;
}

}  // namespace puna::text::jinja
