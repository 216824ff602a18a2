// Byte pair encoding's loop, shared by the families: the best pair of neighbours becomes one symbol until none is left.
// Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units".
#pragma once

#include <cstddef>
#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

#include "text/vocabulary.h"

namespace puna::text {

inline constexpr std::uint32_t no_symbol = ~std::uint32_t{0};
/// Texts up to this length can be merged; positions then fit, also where each byte of the text becomes three.
inline constexpr std::size_t longest_text = std::size_t{1} << 30;

/// A stretch of the text; a link of a doubly linked list that lies in a vector.
struct Symbol {
    std::uint32_t begin = 0;   // byte in the text
    std::uint32_t length = 0;  // bytes; 0 once it has been merged into its left neighbour
    std::uint32_t previous = no_symbol;
    std::uint32_t next = no_symbol;
    TokenId id = no_token;
    bool frozen = false;  // takes no part in merges
};

/// What a pair of neighbours would become; `id` is `no_token` if they do not merge.
struct Merge {
    std::uint32_t priority = 0;  // the least goes first; of equals, the leftmost
    TokenId id = no_token;
};

inline void append_symbol(std::vector<Symbol>& symbols, Symbol symbol) {
    if (!symbols.empty()) {
        symbol.previous = static_cast<std::uint32_t>(symbols.size() - 1);
        symbols.back().next = static_cast<std::uint32_t>(symbols.size());
    }
    symbols.push_back(symbol);
}

/// Merges `symbols` (linked in order) in place, in O(n log n). `find(left, right)` is called with neighbours of which
/// none is frozen and gives their Merge. The symbols left over are those with a length.
template <typename Find>
void merge_symbols(std::vector<Symbol>& symbols, Find&& find) {
    struct Candidate {
        std::uint64_t order;   // the priority in the upper half, the left symbol in the lower
        std::uint32_t length;  // of both symbols when they were considered
        TokenId id;
        bool operator<(const Candidate& other) const { return order > other.order; }  // the least leaves first
        std::uint32_t left() const { return static_cast<std::uint32_t>(order); }
    };
    if (symbols.size() < 2) return;
    std::vector<Candidate> storage;
    storage.reserve(symbols.size());
    std::priority_queue<Candidate> queue({}, std::move(storage));

    const auto consider = [&](std::uint32_t left, std::uint32_t right) {
        if (left == no_symbol || right == no_symbol || symbols[left].frozen || symbols[right].frozen) return;
        const Merge merge = find(std::as_const(symbols[left]), std::as_const(symbols[right]));
        if (merge.id == no_token) return;
        const std::uint64_t order = std::uint64_t{merge.priority} << 32 | left;
        queue.push({order, symbols[left].length + symbols[right].length, merge.id});
    };
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
        consider(i, i + 1);

    while (!queue.empty()) {
        const Candidate best = queue.top();
        queue.pop();
        Symbol& left = symbols[best.left()];
        if (left.length == 0 || left.next == no_symbol) continue;
        Symbol& right = symbols[left.next];
        // Symbols only grow: another length means that one of the two has changed since.
        if (left.length + right.length != best.length) continue;
        left.length = best.length;
        left.id = best.id;
        left.next = right.next;
        right.length = 0;
        if (left.next != no_symbol) symbols[left.next].previous = best.left();
        consider(left.previous, best.left());
        consider(best.left(), left.next);
    }
}

}  // namespace puna::text
