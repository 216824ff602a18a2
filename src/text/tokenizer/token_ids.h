// Ids of tokens by their texts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/vocabulary.h"

namespace puna::text {

/// A hash table of ids alone: their texts stay where they are, in `texts[id]`, which must outlive the table and not
/// change. Open addressing with linear probing, at most half full. A program asks it several hundred thousand times
/// before its first token, so a look-up is to touch one line of the table and one text. Reading is thread-safe.
class TokenIds {
  public:
    explicit TokenIds(const std::vector<std::string>& texts) : texts_(texts) {}

    /// Empties the table and makes room for all of `texts`; comes before the first `insert`.
    void allocate() {
        std::size_t capacity = 16;
        while (capacity < 2 * texts_.size())
            capacity *= 2;
        slots_.assign(capacity, Slot{});
    }

    /// The id that the table holds for the text of `id`: `id` itself if the text is new. It may be exchanged for
    /// another of the same text.
    TokenId& insert(TokenId id) {
        const std::string_view text = texts_[static_cast<std::size_t>(id)];
        const std::uint32_t hash = hash_of(text);
        Slot& slot = slots_[slot_of(text, hash)];
        if (slot.id == no_token) slot = {hash, id};
        return slot.id;
    }

    /// `no_token` if no token has this text.
    TokenId find(std::string_view text) const {
        return slots_.empty() ? no_token : slots_[slot_of(text, hash_of(text))].id;
    }

  private:
    struct Slot {
        std::uint32_t hash = 0;
        TokenId id = no_token;  // a free slot
    };

    static std::uint32_t hash_of(std::string_view text) {
        return static_cast<std::uint32_t>(std::hash<std::string_view>{}(text));
    }

    /// The slot that holds `text`, or the free one where it would go.
    std::size_t slot_of(std::string_view text, std::uint32_t hash) const {
        const std::size_t mask = slots_.size() - 1;
        std::size_t i = hash & mask;
        while (slots_[i].id != no_token &&
               (slots_[i].hash != hash || texts_[static_cast<std::size_t>(slots_[i].id)] != text))
            i = (i + 1) & mask;
        return i;
    }

    const std::vector<std::string>& texts_;
    std::vector<Slot> slots_;
};

}  // namespace puna::text
