#include "formats/strided_view.h"

#include <algorithm>
#include <cstring>

namespace puna::formats {
namespace {

// Stretches of the source that are read side by side, and elements written side by side: both fit a first-level cache.
constexpr std::uint64_t tile_elements = 64;
constexpr std::uint64_t tick_bytes = std::uint64_t{32} << 20;

/// Strides in bytes.
struct Axis {
    std::uint64_t count = 1;
    std::uint64_t from = 0;
    std::uint64_t to = 0;
};

/// Those with more than one element, in the order of the shape.
std::vector<Axis> axes_of(const StridedView& view) {
    std::vector<Axis> axes;
    std::uint64_t to = view.element_bytes;
    for (std::size_t i = view.shape.size(); i-- > 0;) {
        if (view.shape[i] > 1) axes.push_back({view.shape[i], view.strides[i] * view.element_bytes, to});
        to *= view.shape[i];
    }
    std::reverse(axes.begin(), axes.end());
    return axes;
}

using CopyTile = void (*)(const std::byte* from, std::byte* to, const Axis& outer, const Axis& inner);

template <std::size_t bytes>
void copy_tile(const std::byte* from, std::byte* to, const Axis& outer, const Axis& inner) {
    for (std::uint64_t i = 0; i < outer.count; ++i) {
        const std::byte* a = from + i * outer.from;
        std::byte* b = to + i * outer.to;
        for (std::uint64_t j = 0; j < inner.count; ++j)
            std::memcpy(b + j * inner.to, a + j * inner.from, bytes);
    }
}

CopyTile tile_copier(std::size_t element_bytes) {
    switch (element_bytes) {
        case 1: return copy_tile<1>;
        case 2: return copy_tile<2>;
        case 4: return copy_tile<4>;
        default: return copy_tile<8>;  // the widest type there is
    }
}

}  // namespace

std::uint64_t StridedView::bytes() const {
    std::uint64_t product = element_bytes;
    for (const std::uint64_t count : shape)
        product *= count;
    return product;
}

void copy_in_order(const StridedView& view, std::span<const std::byte> from, std::byte* to,
                   const std::function<void()>& tick) {
    std::vector<Axis> axes = axes_of(view);
    // Two axes make a tile: the last, which is written side by side, and the one that is read side by side.
    Axis written;
    if (!axes.empty()) {
        written = axes.back();
        axes.pop_back();
    }
    std::stable_sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.from > b.from; });
    Axis read;
    if (!axes.empty()) {
        read = axes.back();
        axes.pop_back();
    }
    const CopyTile copy = tile_copier(view.element_bytes);
    std::vector<std::uint64_t> index(axes.size());
    std::uint64_t from_at = 0;
    std::uint64_t to_at = 0;
    std::uint64_t copied = 0;
    while (true) {
        for (std::uint64_t j = 0; j < written.count; j += tile_elements) {
            const Axis part = {std::min(tile_elements, written.count - j), written.from, written.to};
            copy(from.data() + from_at + j * written.from, to + to_at + j * written.to, read, part);
            copied += part.count * read.count * view.element_bytes;
            if (copied < tick_bytes) continue;
            copied = 0;
            tick();
        }
        std::size_t axis = axes.size();
        while (axis > 0) {
            const Axis& a = axes[--axis];
            from_at += a.from;
            to_at += a.to;
            if (++index[axis] < a.count) break;
            from_at -= a.from * a.count;
            to_at -= a.to * a.count;
            index[axis] = 0;
            if (axis == 0) return;
        }
        if (axes.empty()) return;
    }
}

}  // namespace puna::formats
