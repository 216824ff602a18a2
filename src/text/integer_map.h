// A hash map from 64-bit keys to 64-bit values for tables that are asked millions of times.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace puna::text {

/// Open addressing with linear probing, at most half full. The key ~0 must not be used. Reading is thread-safe.
class IntegerMap {
  public:
    explicit IntegerMap(std::size_t expected = 0) {
        std::size_t capacity = 16;
        while (capacity < 2 * expected)
            capacity *= 2;
        slots_.resize(capacity);
    }

    /// The first value given for a key stays. Whether this was the first.
    bool insert(std::uint64_t key, std::uint64_t value) {
        if (2 * (count_ + 1) > slots_.size()) grow();
        Slot& slot = slots_[slot_of(key)];
        if (slot.key == key) return false;
        slot = {key, value};
        ++count_;
        return true;
    }

    std::size_t size() const { return count_; }
    /// Keeps the memory, and fits the table to what was last in it: one large use does not make all later ones slow.
    void clear() {
        std::size_t capacity = 16;
        while (capacity < 4 * count_)
            capacity *= 2;
        slots_.assign(std::min(capacity, slots_.size()), Slot{});
        count_ = 0;
    }

    /// Null if absent.
    const std::uint64_t* find(std::uint64_t key) const {
        const Slot& slot = slots_[slot_of(key)];
        return slot.key == key ? &slot.value : nullptr;
    }

  private:
    static constexpr std::uint64_t free_key = ~std::uint64_t{0};
    struct Slot {
        std::uint64_t key = free_key;
        std::uint64_t value = 0;
    };

    /// The slot that holds `key`, or the free one where it would go.
    std::size_t slot_of(std::uint64_t key) const {
        const std::size_t mask = slots_.size() - 1;
        std::size_t slot = mix(key) & mask;
        while (slots_[slot].key != key && slots_[slot].key != free_key)
            slot = (slot + 1) & mask;
        return slot;
    }

    /// The finalizer of MurmurHash3 (Appleby).
    static std::uint64_t mix(std::uint64_t key) {
        key = (key ^ key >> 33) * 0xFF51AFD7ED558CCDu;
        key = (key ^ key >> 33) * 0xC4CEB9FE1A85EC53u;
        return key ^ key >> 33;
    }

    void grow() {
        std::vector<Slot> old(2 * slots_.size());
        old.swap(slots_);
        for (const Slot& slot : old) {
            if (slot.key != free_key) slots_[slot_of(slot.key)] = slot;
        }
    }

    std::vector<Slot> slots_;
    std::size_t count_ = 0;
};

}  // namespace puna::text
