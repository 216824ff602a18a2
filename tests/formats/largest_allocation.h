// What the tests of hostile files look at: the largest allocation since it was last set to 0.
#pragma once

#include <atomic>
#include <cstddef>

namespace puna::formats {

/// Kept by gguf_malformed_test.cc, whose operator new serves the whole program.
extern std::atomic<std::size_t> largest_allocation;

}  // namespace puna::formats
