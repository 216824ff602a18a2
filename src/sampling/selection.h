// The greatest of many values without sorting them all.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "puna/model.h"

namespace puna::sampling {

/// Ids of the `count` greatest values, descending, the lower id first among equals. Values of -infinity are left out,
/// so fewer may come. No value may be NaN. One pass with a heap of `count` ids: about O(n) where count is far below n.
std::vector<TokenId> greatest(std::span<const float> values, std::size_t count);

/// -infinity if there is none. No value may be NaN.
float greatest_value(std::span<const float> values);

}  // namespace puna::sampling
