// The names of files that hold one model together: NAME-00001-of-00003.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>

namespace puna::base {

struct ShardName {
    std::string_view model;   // what stands before the ending; may be empty
    std::string_view number;  // five digits, from "00001"
};

/// Of a file's name without its extension; nullopt for a file that is not one of several.
inline std::optional<ShardName> parse_shard_name(std::string_view stem) {
    constexpr std::string_view pattern = "-ddddd-of-ddddd";
    if (stem.size() < pattern.size()) return std::nullopt;
    const std::size_t start = stem.size() - pattern.size();
    const auto fits = [](char c, char expected) { return expected == 'd' ? c >= '0' && c <= '9' : c == expected; };
    if (!std::ranges::equal(stem.substr(start), pattern, fits)) return std::nullopt;
    return ShardName{stem.substr(0, start), stem.substr(start + 1, 5)};
}

}  // namespace puna::base
