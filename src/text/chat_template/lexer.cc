// Text outside of tags, and where tags begin and end. What is within them is the tag lexer's.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/try.h"
#include "text/chat_template/characters.h"
#include "text/chat_template/tag_lexer.h"
#include "text/chat_template/token.h"

namespace puna::text::jinja {
namespace {

/// Line breaks of any kind become \n; the last one goes.
std::string with_plain_line_breaks(std::string_view source) {
    std::string plain;
    plain.reserve(source.size());
    for (std::size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r') {
            plain += '\n';
            if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
        } else {
            plain += source[i];
        }
    }
    if (!plain.empty() && plain.back() == '\n') plain.pop_back();
    return plain;
}

std::size_t skip_spaces(std::string_view text, std::size_t begin) {
    return begin + strip(text.substr(begin), true, false).begin;
}

class Lexer {
  public:
    explicit Lexer(std::string source) : source_(std::move(source)) {}

    Result<std::vector<Token>> run() {
        while (position_ < source_.size()) {
            const std::size_t tag = find_tag();
            if (tag == std::string::npos) {
                add_data(source_.substr(position_));
                break;
            }
            PUNA_CHECK(read_tag(tag));
        }
        tokens_.push_back({TokenType::end, line_});
        return std::move(tokens_);
    }

  private:
    /// `{{`, `{%` or `{#`.
    std::size_t find_tag() const {
        std::size_t found = source_.find('{', position_);
        while (found != std::string::npos && found + 1 < source_.size()) {
            const char next = source_[found + 1];
            if (next == '{' || next == '%' || next == '#') return found;
            found = source_.find('{', found + 1);
        }
        return std::string::npos;
    }

    /// The text up to the tag, the tag's sign (`-`, `+` or 0) and the tag.
    Result<void> read_tag(std::size_t tag) {
        const char kind = source_[tag + 1];
        const char sign = sign_at(tag + 2);
        add_data_before(tag, sign, kind != '{');
        position_ = tag + 2 + (sign != 0 ? 1 : 0);
        if (kind == '#') return skip_comment();
        if (kind == '%') {
            const std::size_t end = end_of_keyword_tag(position_, "raw", false);
            if (end != std::string::npos) return read_raw(end);
        }
        const bool is_block = kind == '%';
        tokens_.push_back({is_block ? TokenType::block_begin : TokenType::variable_begin, line_});
        TagLexer inside(source_, position_, line_, is_block, tokens_);
        PUNA_CHECK(inside.run());
        move_to(inside.position());
        return {};
    }

    char sign_at(std::size_t index) const {
        const char c = index < source_.size() ? source_[index] : '\0';
        return c == '-' || c == '+' ? c : '\0';
    }

    void add_data(std::string text) {
        if (!text.empty()) tokens_.push_back({TokenType::data, line_, std::move(text)});
    }

    /// Adds the text from the position to `end`, as far as whitespace control leaves it, and moves there.
    void add_data_before(std::size_t end, char sign, bool strip_line) {
        std::string_view text = std::string_view(source_).substr(position_, end - position_);
        if (sign == '-') {
            text = text.substr(0, strip(text, false, true).end);
        } else if (sign != '+' && strip_line) {
            const std::size_t line_break = text.rfind('\n');
            const std::size_t line_begin = line_break == std::string_view::npos ? 0 : line_break + 1;
            const bool at_line_begin = line_begin > 0 || at_line_begin_;
            if (at_line_begin && skip_spaces(text, line_begin) == text.size()) text = text.substr(0, line_begin);
        }
        add_data(std::string(text));
        move_to(end);
    }

    /// Goes forward and counts lines.
    void move_to(std::size_t position) {
        line_ += static_cast<std::size_t>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(position_),
                                                     source_.begin() + static_cast<std::ptrdiff_t>(position), '\n'));
        position_ = position;
        at_line_begin_ = position_ > 0 && source_[position_ - 1] == '\n';
    }

    Result<void> skip_comment() {
        const std::size_t end = source_.find("#}", position_);
        if (end == std::string::npos) return syntax_error(line_, "Missing end of comment tag");
        const char sign = end > position_ ? sign_at(end - 1) : '\0';
        move_to(end_of_tag(end + 2, sign, true));
        return {};
    }

    /// Where the text goes on after a tag that ends at `end`.
    std::size_t end_of_tag(std::size_t end, char sign, bool trim) const {
        if (sign == '-') return skip_spaces(source_, end);
        const bool line_break = end < source_.size() && source_[end] == '\n';
        return trim && sign != '+' && line_break ? end + 1 : end;
    }

    /// If a tag holds `keyword` alone, where the text goes on after it; `begin` lies after the tag's sign.
    std::size_t end_of_keyword_tag(std::size_t begin, std::string_view keyword, bool trim) const {
        std::size_t i = skip_spaces(source_, begin);
        if (source_.compare(i, keyword.size(), keyword) != 0) return std::string::npos;
        i = skip_spaces(source_, i + keyword.size());
        const char sign = sign_at(i);
        if (sign == '+' && !trim) return std::string::npos;
        if (sign != 0) ++i;
        if (source_.compare(i, 2, "%}") != 0) return std::string::npos;
        return end_of_tag(i + 2, sign, trim);
    }

    /// Text without tags, from `begin` to `{% endraw %}`.
    Result<void> read_raw(std::size_t begin) {
        const std::size_t line = line_;
        move_to(begin);
        for (std::size_t tag = source_.find("{%", begin); tag != std::string::npos; tag = source_.find("{%", tag + 2)) {
            const char sign = sign_at(tag + 2);
            const std::size_t end = end_of_keyword_tag(tag + 2 + (sign != 0 ? 1 : 0), "endraw", true);
            if (end == std::string::npos) continue;
            add_data_before(tag, sign, true);
            move_to(end);
            return {};
        }
        return syntax_error(line, "Missing end of raw directive");
    }

    std::string source_;
    std::size_t position_ = 0;
    std::size_t line_ = 1;
    bool at_line_begin_ = true;
    std::vector<Token> tokens_;
};

}  // namespace

Error template_error(ErrorCode code, std::size_t line, std::string_view message, std::string_view hint) {
    const std::string where = line == 0 ? "chat template" : fmt::format("chat template, line {}", line);
    return {code, fmt::format("{}: {}", where, message), std::string(hint)};
}

Result<std::vector<Token>> tokenize(std::string_view source) {
    return Lexer(with_plain_line_breaks(source)).run();
}

}  // namespace puna::text::jinja
