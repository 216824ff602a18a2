// What a template may use up while it renders: templates come with model files, and those are not to be trusted.
#pragma once

#include <cstddef>
#include <cstdint>

namespace puna::text {

/// Limits on one rendering. One step is the evaluation of one part of an expression or statement; text costs a step
/// for each 4 bytes that are read or made, and lists 8 for each element, so that steps bound the memory as well.
struct ChatTemplateLimits {
    std::uint64_t steps = 20'000'000;
    std::size_t depth = 400;                            ///< of nested evaluations, macro calls among them
    std::size_t output_bytes = std::size_t{64} << 20u;  ///< of the rendered text
};

namespace jinja {

/// Lists and dictionaries nested deeper than this are refused.
inline constexpr std::size_t max_value_depth = 100;

/// Counts steps down. Once they are used up it stays exhausted: whoever works in a loop may stop early with any result,
/// since the evaluator ends the rendering at its next step.
class Budget {
  public:
    explicit Budget(std::uint64_t steps) : left_(steps) {}

    /// False if exhausted.
    bool spend(std::uint64_t steps) {
        if (steps > left_) exhausted_ = true;
        left_ -= exhausted_ ? left_ : steps;
        return !exhausted_;
    }
    bool spend_text(std::size_t bytes) { return spend(1 + bytes / 4); }
    bool spend_items(std::size_t count) { return count < (std::uint64_t{1} << 60u) && spend(1 + 8 * count); }
    bool exhausted() const { return exhausted_; }

  private:
    std::uint64_t left_;
    bool exhausted_ = false;
};

}  // namespace jinja
}  // namespace puna::text
