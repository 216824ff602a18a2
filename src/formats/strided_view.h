// Elements that do not lie in row-major order: a transposed matrix, every second column of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace puna::formats {

/// Both outermost first. Immutable.
struct StridedView {
    std::vector<std::uint64_t> shape;    // none of them 0
    std::vector<std::uint64_t> strides;  // in elements
    std::size_t element_bytes = 1;

    /// That the elements take, one behind the other.
    std::uint64_t bytes() const;
};

/// Copies the elements to `to` in row-major order. `from` begins with the first of them and reaches to the last. They
/// are read about as they lie, and `tick` is called now and then.
void copy_in_order(const StridedView& view, std::span<const std::byte> from, std::byte* to,
                   const std::function<void()>& tick);

}  // namespace puna::formats
