// A set of token ids.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "text/vocabulary.h"

namespace puna::text::grammar {

/// A bit for each id of a vocabulary.
class TokenMask {
  public:
    /// Empty, for ids from 0 to `size` less one.
    explicit TokenMask(std::size_t size) : size_(size), words_((size + 63) / 64) {}

    std::size_t size() const { return size_; }
    void add(TokenId id) { words_[static_cast<std::size_t>(id) / 64] |= bit(id); }
    bool has(TokenId id) const { return (words_[static_cast<std::size_t>(id) / 64] & bit(id)) != 0; }
    bool empty() const {
        return std::all_of(words_.begin(), words_.end(), [](std::uint64_t word) { return word == 0; });
    }
    /// [i]: ids 64 i to 64 i + 63, the lowest bit first.
    const std::vector<std::uint64_t>& words() const { return words_; }

  private:
    static std::uint64_t bit(TokenId id) { return std::uint64_t{1} << (static_cast<std::size_t>(id) % 64); }

    std::size_t size_;
    std::vector<std::uint64_t> words_;
};

}  // namespace puna::text::grammar
