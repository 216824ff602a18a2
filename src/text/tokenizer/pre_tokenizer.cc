#include "text/tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <array>

#include "text/unicode/unicode.h"
#include "text/unicode/utf8.h"

namespace puna::text {
namespace {

enum class Case { exact, ignored };

/// A position's character; `length` 0 is the text's end.
struct Char {
    char32_t code_point = 0;
    std::size_t length = 0;
    CharClass name = CharClass::other;

    bool exists() const { return length != 0; }
    bool is_letter() const { return name == CharClass::letter; }
    bool is_number() const { return name == CharClass::number; }
    bool is_whitespace() const { return exists() && name == CharClass::whitespace; }
    bool is_newline() const { return code_point == '\n' || code_point == '\r'; }
    /// [^\s\p{L}\p{N}]
    bool is_other() const { return exists() && !is_letter() && !is_number() && !is_whitespace(); }
};

/// The alternatives that the regular expressions are made of. Each takes the position where it begins and gives the
/// one where it ends.
class Scanner {
  public:
    explicit Scanner(std::string_view text) : text_(text) {}

    std::size_t size() const { return text_.size(); }

    Char at(std::size_t position) const {
        if (position >= text_.size()) return {};
        const Utf8Char decoded = decode_utf8(text_.substr(position));
        const CharClass name = decoded.valid ? char_class(decoded.code_point) : CharClass::other;
        return {decoded.code_point, decoded.length, name};
    }

    /// The end of the longest run of characters with `property`, at most `limit` of them.
    std::size_t run(std::size_t begin, bool (Char::*property)() const, std::size_t limit = ~std::size_t{0}) const {
        std::size_t end = begin;
        for (std::size_t count = 0; count < limit; ++count) {
            const Char c = at(end);
            if (!c.exists() || !(c.*property)()) break;
            end += c.length;
        }
        return end;
    }

    /// 's|'t|'re|'ve|'m|'ll|'d; `begin` itself if none is there.
    std::size_t contraction(std::size_t begin, Case letter_case) const {
        if (text_[begin] != '\'') return begin;
        const std::size_t first = begin + 1;
        // The long s folds to an s.
        if (letter_case == Case::ignored && text_.substr(first, 2) == "\xC5\xBF") return first + 2;
        for (const std::string_view ending : {"s", "t", "re", "ve", "m", "ll", "d"}) {
            if (matches(first, ending, letter_case)) return first + ending.size();
        }
        return begin;
    }

    /// \s+(?!\S)|\s+ : whitespace, but its last character only if nothing or nothing else precedes what follows.
    std::size_t whitespace(std::size_t begin) const {
        std::size_t last = begin;
        std::size_t end = begin;
        for (Char c = at(end); c.is_whitespace(); c = at(end)) {
            last = end;
            end += c.length;
        }
        return end == size() || last == begin ? end : last;
    }

    /// \s*[\r\n]+ : the end of the last newline in the whitespace that begins here; `begin` if there is none.
    std::size_t through_last_newline(std::size_t begin) const {
        std::size_t newline_end = begin;
        std::size_t end = begin;
        for (Char c = at(end); c.is_whitespace(); c = at(end)) {
            end += c.length;
            if (c.is_newline()) newline_end = end;
        }
        return newline_end;
    }

  private:
    bool matches(std::size_t begin, std::string_view word, Case letter_case) const {
        if (text_.size() - begin < word.size()) return false;
        for (std::size_t i = 0; i < word.size(); ++i) {
            char c = text_[begin + i];
            if (letter_case == Case::ignored && c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
            if (c != word[i]) return false;
        }
        return true;
    }

    std::string_view text_;
};

/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// Radford et al. 2019, "Language Models are Unsupervised Multitask Learners".
std::size_t gpt2_end(const Scanner& scanner, std::size_t begin) {
    if (const std::size_t end = scanner.contraction(begin, Case::exact); end != begin) return end;
    const Char c = scanner.at(begin);
    const std::size_t body = c.code_point == ' ' ? begin + 1 : begin;
    const Char first = scanner.at(body);
    if (first.is_letter()) return scanner.run(body, &Char::is_letter);
    if (first.is_number()) return scanner.run(body, &Char::is_number);
    if (first.is_other()) return scanner.run(body, &Char::is_other);
    return scanner.whitespace(begin);
}

/// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max_digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|
/// \s+(?!\S)|\s+
template <std::size_t max_digits>
std::size_t llama3_end(const Scanner& scanner, std::size_t begin) {
    if (const std::size_t end = scanner.contraction(begin, Case::ignored); end != begin) return end;
    const Char c = scanner.at(begin);
    if (c.is_letter()) return scanner.run(begin, &Char::is_letter);
    if (c.is_number()) return scanner.run(begin, &Char::is_number, max_digits);
    if (!c.is_newline() && scanner.at(begin + c.length).is_letter()) {
        return scanner.run(begin + c.length, &Char::is_letter);
    }
    const std::size_t body = c.code_point == ' ' ? begin + 1 : begin;
    if (scanner.at(body).is_other()) return scanner.run(scanner.run(body, &Char::is_other), &Char::is_newline);
    if (const std::size_t end = scanner.through_last_newline(begin); end != begin) return end;
    return scanner.whitespace(begin);
}

template <auto piece_end>
void split_with(std::string_view text, std::vector<std::size_t>& ends) {
    const Scanner scanner(text);
    for (std::size_t position = 0; position < text.size(); ends.push_back(position)) {
        position = piece_end(scanner, position);
    }
}

/// Each number character stands alone; what lies between is split as GPT-2 does, as if it were a text of its own.
void split_smollm(std::string_view text, std::vector<std::size_t>& ends) {
    const Scanner scanner(text);
    std::size_t begin = 0;
    const auto split_between = [&](std::size_t end) {
        const std::size_t old_count = ends.size();
        split_with<gpt2_end>(text.substr(begin, end - begin), ends);
        std::for_each(ends.begin() + static_cast<std::ptrdiff_t>(old_count), ends.end(),
                      [begin](std::size_t& piece_end) { piece_end += begin; });
    };
    for (std::size_t position = 0; position < text.size();) {
        const Char c = scanner.at(position);
        if (c.is_number()) {
            split_between(position);
            begin = position + c.length;
            ends.push_back(begin);
        }
        position += c.length;
    }
    split_between(text.size());
}

constexpr std::array<PreTokenizer, 9> pre_tokenizers{{
    {"default", split_with<gpt2_end>, false},
    {"gpt-2", split_with<gpt2_end>, false},
    {"llama-bpe", split_with<llama3_end<3>>, true},
    {"llama3", split_with<llama3_end<3>>, true},
    {"llama-v3", split_with<llama3_end<3>>, true},
    {"dbrx", split_with<llama3_end<3>>, false},
    {"smollm", split_smollm, false},
    {"qwen2", split_with<llama3_end<1>>, false},
    {"deepseek-r1-qwen", split_with<llama3_end<1>>, false},
}};

}  // namespace

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
    if (name.empty()) name = "default";
    const auto* found = std::ranges::find(pre_tokenizers, name, &PreTokenizer::name);
    return found != pre_tokenizers.end() ? found : nullptr;
}

std::string known_pre_tokenizers() {
    std::string names;
    for (const PreTokenizer& known : pre_tokenizers) {
        if (!names.empty()) names += ", ";
        names += known.name;
    }
    return names;
}

}  // namespace puna::text
