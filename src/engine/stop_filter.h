// Finds stop strings in text that comes in pieces.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace puna::engine {

/// Passes text on up to the first stop string, and holds back what may turn out to be the beginning of one. The first
/// is the one whose end comes first; of several that end there, the longest. So the outcome does not depend on how the
/// text was cut into pieces. For one thread at a time.
///
/// Each stop string is matched by the automaton of Knuth, Morris and Pratt 1977, a state each, in constant amortized
/// time a byte. Text and stop strings are whole UTF-8, so a match, or the beginning of one, never splits a character.
class StopFilter {
  public:
    /// None of `stops` may be empty.
    explicit StopFilter(const std::vector<std::string>& stops);

    /// What has become certain with `text`. Nothing more once `stopped()`.
    std::string push(std::string_view text);
    /// What is still held back, at the end of the text.
    std::string finish();
    bool stopped() const { return stopped_; }

  private:
    struct Pattern {
        std::string text;
        std::vector<std::size_t> border;  // [i]: the longest proper prefix of text[0, i] that also ends it
        std::size_t matched = 0;          // bytes of `text` that the input ends with

        void advance(char byte);
    };
    std::vector<Pattern> patterns_;
    std::string held_;
    bool stopped_ = false;
};

}  // namespace puna::engine
