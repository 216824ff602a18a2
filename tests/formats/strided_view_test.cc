// Views of elements that do not lie in order, copied: against an index computed for each element.
#include "formats/strided_view.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <random>
#include <vector>

namespace puna::formats {
namespace {

/// The whole extent of a view: where its last element ends.
std::uint64_t extent(const StridedView& view) {
    std::uint64_t last = 0;
    for (std::size_t i = 0; i < view.shape.size(); ++i)
        last += (view.shape[i] - 1) * view.strides[i];
    return (last + 1) * view.element_bytes;
}

std::vector<std::byte> expected(const StridedView& view, const std::vector<std::byte>& from) {
    const std::uint64_t count = view.bytes() / view.element_bytes;
    std::vector<std::byte> out(view.bytes());
    for (std::uint64_t n = 0; n < count; ++n) {
        std::uint64_t rest = n;
        std::uint64_t at = 0;
        for (std::size_t i = view.shape.size(); i-- > 0; rest /= view.shape[i])
            at += rest % view.shape[i] * view.strides[i];
        std::memcpy(out.data() + n * view.element_bytes, from.data() + at * view.element_bytes, view.element_bytes);
    }
    return out;
}

TEST(StridedView, ElementsComeInRowMajorOrder) {
    const std::vector<StridedView> views = {
        {{}, {}, 4},
        {{5}, {3}, 2},
        {{1, 7}, {0, 2}, 4},
        {{130, 65}, {1, 130}, 4},
        {{65, 200}, {1, 65}, 2},
        {{3, 100}, {150, 1}, 8},
        {{4, 3, 70}, {1, 280, 4}, 1},
        {{70, 1, 3, 66}, {3, 0, 1, 210}, 2},
    };
    std::mt19937_64 random(20'240'229);
    for (const StridedView& view : views) {
        std::vector<std::byte> from(extent(view));
        for (std::byte& byte : from)
            byte = static_cast<std::byte>(random());
        std::vector<std::byte> out(view.bytes());
        copy_in_order(view, from, out.data(), [] {});
        EXPECT_EQ(out, expected(view, from)) << &view - views.data();
    }
}

/// So that whoever reads a file can give its pages back meanwhile.
TEST(StridedView, TicksAsItGoes) {
    const StridedView view = {{1024, 65'536}, {1, 1024}, 1};
    const std::vector<std::byte> from(view.bytes());
    std::vector<std::byte> out(view.bytes());
    std::size_t ticks = 0;
    copy_in_order(view, from, out.data(), [&] { ++ticks; });
    EXPECT_EQ(ticks, 2U);
}

}  // namespace
}  // namespace puna::formats
