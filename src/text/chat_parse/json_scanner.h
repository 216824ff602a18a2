// One JSON value, byte by byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace puna::text::chat_parse {

/// What a byte means to whoever reads it.
enum class Step : std::uint8_t {
    more,    ///< taken
    done,    ///< taken, and it was the last
    before,  ///< not taken: what was read ended before it
    failed,  ///< not taken: it cannot stand there
};

/// White space of JSON.
constexpr bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// Checks the syntax of RFC 8259, but for what lies within strings: there it looks at escapes and control characters
/// alone.
class JsonScanner {
  public:
    explicit JsonScanner(std::size_t max_depth) : max_depth_(max_depth) {}

    /// Begins a value, without white space before it.
    void reset();
    Step feed(char c);
    /// Whether the value is complete where the text ends: a number is.
    bool complete() const;

  private:
    enum class State : std::uint8_t {
        value,
        first_item,  // a value, or ]
        first_key,   // a key, or }
        key,
        colon,
        behind,  // a value within something
        string,
        escape,
        hex,
        word,  // true, false, null
        minus,
        zero,
        whole,
        point,
        fraction,
        exponent,
        exponent_sign,
        exponent_digits,
    };
    Step begin_value(char c);
    Step open(char closer, State next);
    Step end_value();
    Step number(char c);
    bool number_may_end() const;

    std::size_t max_depth_;
    std::vector<char> closers_;  // of what is open, outermost first
    State state_ = State::value;
    bool in_key_ = false;    // state string: of a key
    int digits_ = 0;         // state hex: that are to come
    std::string_view word_;  // state word: what is to come
};

}  // namespace puna::text::chat_parse
