// Names, numbers, strings and operators within one tag.
#pragma once

#include <string_view>
#include <vector>

#include "text/chat_template/token.h"

namespace puna::text::jinja {

class TagLexer {
  public:
    /// Reads from `position` of `source` (which must stay), in line `line`, and appends to `tokens`.
    TagLexer(std::string_view source, std::size_t position, std::size_t line, bool is_block, std::vector<Token>& tokens)
        : source_(source), position_(position), line_(line), is_block_(is_block), tokens_(tokens) {}

    /// Reads to the end of the tag, which it adds.
    Result<void> run();
    /// After `run`: where the text goes on.
    std::size_t position() const { return position_; }

  private:
    bool read_end();
    Result<void> read_token();
    struct IntegerForm {
        int base;
        std::size_t prefix;  // bytes before the digits
        std::size_t length;  // of all
    };
    std::size_t length_of_real() const;
    IntegerForm form_of_integer() const;
    Result<void> read_number();
    Result<void> read_string(char quote);
    bool read_name();
    Result<void> read_symbol();
    char peek(std::size_t offset = 0) const {
        return position_ + offset < source_.size() ? source_[position_ + offset] : '\0';
    }
    void add(TokenType type, std::string_view text) { tokens_.push_back({type, line_, std::string(text)}); }
    Error unexpected_character() const;

    std::string_view source_;
    std::size_t position_;
    std::size_t line_;
    bool is_block_;
    std::vector<Token>& tokens_;
    std::vector<char> brackets_;  // the closing ones that are due
};

}  // namespace puna::text::jinja
