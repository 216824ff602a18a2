#include "sampling/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/rng.h"

namespace puna::sampling {
namespace {

constexpr float inf = std::numeric_limits<float>::infinity();

std::vector<TokenId> by_sorting(const std::vector<float>& values, std::size_t count) {
    std::vector<TokenId> ids(values.size());
    std::iota(ids.begin(), ids.end(), 0);
    std::erase_if(ids, [&](TokenId id) { return values[static_cast<std::size_t>(id)] == -inf; });
    std::stable_sort(ids.begin(), ids.end(), [&](TokenId a, TokenId b) {
        return values[static_cast<std::size_t>(a)] > values[static_cast<std::size_t>(b)];
    });
    ids.resize(std::min(count, ids.size()));
    return ids;
}

TEST(Selection, AgreesWithAFullSort) {
    std::uint64_t draw = 0;
    for (const std::size_t size : {0U, 1U, 2U, 15U, 16U, 17U, 100U, 1000U}) {
        for (const std::size_t count : {0U, 1U, 2U, 10U, 99U, 100U, 5000U}) {
            std::vector<float> values(size);
            for (float& value : values) {
                value = static_cast<float>(static_cast<int>(base::uniform_draw(1, draw++) * 40) - 20);  // many ties
                if (value == -20) value = -inf;
            }
            EXPECT_EQ(greatest(values, count), by_sorting(values, count)) << size << " values, " << count << " asked";
            EXPECT_EQ(greatest_value(values), values.empty() ? -inf : *std::max_element(values.begin(), values.end()));
        }
    }
}

}  // namespace
}  // namespace puna::sampling
