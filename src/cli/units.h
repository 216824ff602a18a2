// Numbers for people.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace puna::cli {

/// 97,517,568 -> "93.0 MiB".
inline std::string bytes_words(std::uint64_t bytes) {
    if (bytes < 1024) return fmt::format("{} B", bytes);
    constexpr const char* units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = static_cast<double>(bytes) / 1024;
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < std::size(units)) {
        value /= 1024;
        ++unit;
    }
    return fmt::format("{:.1f} {}", value, units[unit]);
}

/// 134,515,008 -> "134.5 M".
inline std::string count_words(std::uint64_t count) {
    if (count < 1000) return fmt::format("{}", count);
    constexpr const char* units[] = {"k", "M", "G", "T", "P", "E"};
    double value = static_cast<double>(count) / 1000;
    std::size_t unit = 0;
    while (value >= 1000 && unit + 1 < std::size(units)) {
        value /= 1000;
        ++unit;
    }
    return fmt::format("{:.1f} {}", value, units[unit]);
}

/// "1 thread", "2 threads"; `one`: what one of them is called.
inline std::string counted(std::uint64_t count, std::string_view one) {
    return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

}  // namespace puna::cli
