#include "sampling/selection.h"

#include <algorithm>

#include "sampling/logits.h"

namespace puna::sampling {
std::vector<TokenId> greatest(std::span<const float> values, std::size_t count) {
    std::vector<TokenId> heap;  // the worst of those kept is at the front
    if (count == 0) return heap;
    heap.reserve(std::min(count, values.size()));
    const auto better = [&](TokenId a, TokenId b) {
        const float value_a = values[static_cast<std::size_t>(a)];
        const float value_b = values[static_cast<std::size_t>(b)];
        return value_a > value_b || (value_a == value_b && a < b);
    };
    float bar = -infinity;  // what a value must exceed; an equal one comes too late, as ids ascend
    const auto visit = [&](std::size_t i) {
        if (values[i] <= bar) return;
        if (heap.size() == count) {
            std::pop_heap(heap.begin(), heap.end(), better);
            heap.pop_back();
        }
        heap.push_back(static_cast<TokenId>(i));
        std::push_heap(heap.begin(), heap.end(), better);
        if (heap.size() == count) bar = values[static_cast<std::size_t>(heap.front())];
    };
    constexpr std::size_t block = 32;  // compared at once; few hold a value that counts
    std::size_t i = 0;
    for (; i + block <= values.size(); i += block) {
        int any = 0;
        for (std::size_t j = 0; j < block; ++j)
            any |= values[i + j] > bar ? 1 : 0;
        if (any == 0) continue;
        for (std::size_t j = 0; j < block; ++j)
            visit(i + j);
    }
    for (; i < values.size(); ++i)
        visit(i);
    std::sort_heap(heap.begin(), heap.end(), better);
    return heap;
}

float greatest_value(std::span<const float> values) {
    constexpr std::size_t lanes = 16;  // independent, so that the compiler can use vectors
    float best[lanes];
    std::fill_n(best, lanes, -infinity);
    std::size_t i = 0;
    for (; i + lanes <= values.size(); i += lanes) {
        for (std::size_t j = 0; j < lanes; ++j)
            best[j] = values[i + j] > best[j] ? values[i + j] : best[j];
    }
    for (; i < values.size(); ++i)
        best[0] = std::max(best[0], values[i]);
    return *std::max_element(best, best + lanes);
}

}  // namespace puna::sampling
