// What a template may use up while it renders: templates come with model files, and those are not to be trusted.
#pragma once

#include <cstddef>
#include <cstdint>

namespace puna::text {

/// Limits on one rendering. One step is the evaluation of one part of an expression or statement; text costs a step
/// for each 4 bytes that are read or made, lists 16 for each element, and texts and lists `object_steps` for
/// themselves, so that steps bound the memory as well: about 5 bytes for a step, and 100 MB for the default.
struct ChatTemplateLimits {
    std::uint64_t steps = 20'000'000;
    std::size_t depth = 400;                            ///< of nested evaluations, macro calls among them
    std::size_t output_bytes = std::size_t{32} << 20u;  ///< of the rendered text
};

namespace jinja {

/// Lists and dictionaries nested deeper than this are refused.
inline constexpr std::size_t max_value_depth = 100;

/// What a text or a list costs beside what it holds.
inline constexpr std::uint64_t object_steps = 24;
/// Longer texts are refused.
inline constexpr std::size_t max_text_bytes = std::size_t{32} << 20u;

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
    bool spend_items(std::size_t count) { return count < (std::uint64_t{1} << 60u) && spend(1 + item_steps * count); }
    void exhaust() {
        exhausted_ = true;
        left_ = 0;
    }
    bool exhausted() const { return exhausted_; }
    /// More elements than this exhaust it.
    std::size_t affordable_items() const { return static_cast<std::size_t>(left_ / item_steps); }

  private:
    static constexpr std::uint64_t item_steps = 16;
    std::uint64_t left_;
    bool exhausted_ = false;
};

}  // namespace jinja
}  // namespace puna::text
