// "Did you mean ...?"
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace puna::cli {

/// The candidate that a mistyped `word` most likely meant; empty if none is close.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace puna::cli
