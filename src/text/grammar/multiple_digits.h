// Decimal digits of the multiples of an integer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string_view>
#include <utility>

#include "text/grammar/grammar.h"

namespace puna::text::grammar {

/// Reads a number from its first digit on and knows the remainder so far: a finite automaton, whose states are rules.
/// A state is the number of digits to come and what the digits before them add to the remainder in the end; powers of
/// ten need few of these.
class MultipleDigits {
  public:
    using Id = GrammarBuilder::Id;
    static constexpr std::size_t max_states = 5000;

    /// `multiple` is from 1 to 10^9. The builder must outlive it.
    MultipleDigits(GrammarBuilder& builder, std::uint64_t multiple) : builder_(builder), multiple_(multiple) {}

    /// Multiples from `low` to `high`, numbers of equally many digits, at most 18.
    Id between(std::string_view low, std::string_view high) { return bounded(low, high, 0); }
    /// Whether a state was left out, because there were too many.
    bool too_many() const { return too_many_; }

  private:
    Id bounded(std::string_view low, std::string_view high, std::uint64_t remainder);
    Id any(std::size_t digits, std::uint64_t remainder);
    std::uint64_t with_digit(std::uint64_t remainder, unsigned digit, std::size_t digits) const;

    GrammarBuilder& builder_;
    std::uint64_t multiple_;
    std::map<std::pair<std::size_t, std::uint64_t>, std::uint32_t> rules_;  // [digits to come, remainder]
    bool too_many_ = false;
};

}  // namespace puna::text::grammar
