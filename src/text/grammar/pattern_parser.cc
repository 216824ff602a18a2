#include "text/grammar/pattern_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "base/try.h"
#include "text/unicode/utf8.h"

namespace puna::text::grammar {
namespace {

constexpr std::size_t max_pattern = 1 << 20;
constexpr int max_groups = 10'000;
constexpr int max_depth = 200;  // groups within groups

using Id = GrammarBuilder::Id;
using Ranges = std::vector<CharRange>;

Ranges complement(Ranges ranges) {
    std::sort(ranges.begin(), ranges.end(), [](CharRange a, CharRange b) { return a.first < b.first; });
    Ranges out;
    char32_t next = 0;
    for (const auto [first, last] : ranges) {
        if (first > next) out.push_back({next, first - 1});
        next = std::max<char32_t>(next, last + 1);
    }
    if (next <= max_code_point) out.push_back({next, max_code_point});
    return out;
}

/// Any character but the line terminators of ECMA-262.
Ranges within_line() {
    return complement({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}});
}

bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

class Parser {
  public:
    enum class Form { gbnf, whole_regex, search_regex };
    Parser(std::string_view text, Form form)
        : text_(text), gbnf_(form == Form::gbnf), search_(form == Form::search_regex) {}

    Result<Grammar> parse() {
        if (text_.size() > max_pattern) return fail("is longer than 1 MiB");
        return gbnf_ ? parse_rules() : parse_regex();
    }

  private:
    struct Rule {
        std::uint32_t id;
        bool defined = false;
        std::size_t used_at = 0;
    };

    Error fail(std::string_view what) const {
        return {ErrorCode::invalid_argument,
                fmt::format("the {} {}, at byte {}", gbnf_ ? "grammar" : "regular expression", what, at_),
                "see docs/constraints.md for what is supported"};
    }

    bool end() const { return at_ >= text_.size(); }
    char peek() const { return end() ? '\0' : text_[at_]; }
    bool take(std::string_view what) {
        if (text_.substr(at_, what.size()) != what) return false;
        at_ += what.size();
        return true;
    }

    void skip_space() {
        if (!gbnf_) return;
        while (!end()) {
            if (peek() == '#') {
                at_ = std::min(text_.find('\n', at_), text_.size());
            } else if (std::string_view(" \t\r\n").find(peek()) != std::string_view::npos) {
                ++at_;
            } else {
                return;
            }
        }
    }

    std::string_view take_name() {
        const std::size_t begin = at_;
        while (!end() && is_name(peek()))
            ++at_;
        return text_.substr(begin, at_ - begin);
    }

    /// Whether the next rule begins here.
    bool at_rule() {
        const std::size_t begin = at_;
        const bool found = !take_name().empty() && (skip_space(), take("::="));
        at_ = begin;
        return found;
    }

    Rule& rule(std::string_view name) {
        const auto [entry, added] = rules_.try_emplace(std::string(name));
        if (added) entry->second = {builder_.add_rule(), false, at_};
        return entry->second;
    }

    Result<Grammar> parse_rules() {
        for (skip_space(); !end(); skip_space()) {
            if (!at_rule()) return fail("lacks a rule, `name ::= ...`,");
            const std::string_view name = take_name();
            Rule& defined = rule(name);
            if (defined.defined) return fail(fmt::format("defines rule '{}' twice", name));
            defined.defined = true;
            skip_space();
            take("::=");
            PUNA_TRY(const Id body, parse_choice());
            if (!end() && !at_rule()) return fail("has something unexpected");
            builder_.define(defined.id, body);
        }
        for (const auto& [name, rule] : rules_) {
            if (rule.defined) continue;
            at_ = rule.used_at;
            return fail(fmt::format("uses rule '{}', which it does not define", name));
        }
        const auto root = rules_.find("root");
        if (root == rules_.end()) return fail("has no rule 'root'");
        return builder_.compile(root->second.id);
    }

    Result<Grammar> parse_regex() {
        const std::uint32_t root = builder_.add_rule();
        take("^");
        anchored_ = at_ != 0;
        PUNA_TRY(Id body, parse_choice());
        if (!end()) return fail("has a ')' without its '('");
        if (bound_ && choices_at_top_ > 1) return fail("has ^ or $ beside a | that is not in a group");
        const auto anything = [&] { return builder_.repeat(builder_.characters({{0, max_code_point}}), 0, unbounded); };
        if (search_ && !anchored_) body = builder_.sequence({anything(), body});
        if (search_ && !anchored_at_end_) body = builder_.sequence({body, anything()});
        builder_.define(root, body);
        return builder_.compile(root);
    }

    Result<Id> parse_choice() {
        std::vector<Id> choices;
        do {
            std::vector<Id> parts;
            for (skip_space(); !end() && peek() != '|' && peek() != ')'; skip_space()) {
                if (gbnf_ && at_rule()) break;
                if (!gbnf_ && peek() == '$' && at_ + 1 == text_.size()) {
                    ++at_;
                    bound_ = anchored_at_end_ = true;
                    break;
                }
                PUNA_TRY(const Id part, parse_repeat());
                parts.push_back(part);
            }
            choices.push_back(builder_.sequence(std::move(parts)));
        } while (take("|"));
        if (depth_ == 0) choices_at_top_ = choices.size();
        bound_ = bound_ || anchored_;
        return builder_.choice(std::move(choices));
    }

    Result<Id> parse_repeat() {
        PUNA_TRY(const Id part, parse_atom());
        skip_space();
        std::uint32_t min = 0, max = unbounded;
        if (take("+")) {
            min = 1;
        } else if (take("?")) {
            max = 1;
        } else if (take("{")) {
            PUNA_TRY(min, parse_count());
            max = min;
            if (take(",")) {
                max = unbounded;
                if (peek() != '}') {
                    PUNA_TRY(max, parse_count());
                }
            }
            if (!take("}")) return fail("has a repetition without its '}'");
            if (max < min) return fail("has a repetition whose most is less than its least");
        } else if (!take("*")) {
            return part;
        }
        if (!gbnf_) take("?");  // lazy: the same texts match
        skip_space();
        if (std::string_view("*+?{").find(peek()) != std::string_view::npos && !end())
            return fail("repeats a repetition without a group");
        return builder_.repeat(part, min, max);
    }

    Result<std::uint32_t> parse_count() {
        std::uint32_t count = 0;
        const std::size_t begin = at_;
        for (; peek() >= '0' && peek() <= '9'; ++at_) {
            count = 10 * count + static_cast<std::uint32_t>(peek() - '0');
            if (count > max_repeat) return fail(fmt::format("repeats more than {} times", max_repeat));
        }
        if (at_ == begin) return fail("lacks a number in a repetition");
        return count;
    }

    Result<Id> parse_atom() {
        if (take("(")) return parse_group();
        if (take("[")) return parse_class();
        if (take(".")) return builder_.characters(gbnf_ ? Ranges{{0, max_code_point}} : within_line());
        if (gbnf_) {
            if (take("\"")) return parse_literal();
            if (is_name(peek())) {
                const std::uint32_t id = rule(take_name()).id;
                return builder_.call(id);
            }
            return fail("has something unexpected");
        }
        if (std::string_view("*+?{}]^$").find(peek()) != std::string_view::npos)
            return fail(fmt::format("has a '{}' that means nothing here; write \\{}", peek(), peek()));
        PUNA_TRY(const Ranges ranges, parse_character());
        return builder_.characters(ranges);
    }

    Result<Id> parse_group() {
        if (++groups_ > max_groups) return fail(fmt::format("has more than {} groups", max_groups));
        if (depth_ == max_depth) return fail(fmt::format("nests groups deeper than {}", max_depth));
        if (!gbnf_ && take("?") && !take(":")) return fail("has a group other than (...) and (?:...)");
        ++depth_;
        PUNA_TRY(const Id inner, parse_choice());
        --depth_;
        if (!take(")")) return fail("has a '(' without its ')'");
        return inner;
    }

    Result<Id> parse_literal() {
        std::vector<Id> parts;
        while (!take("\"")) {
            if (end()) return fail("has a string without its closing quote");
            PUNA_TRY(const Ranges ranges, parse_character());
            parts.push_back(builder_.characters(ranges));
        }
        return builder_.sequence(std::move(parts));
    }

    Result<Id> parse_class() {
        const bool negated = take("^");
        Ranges ranges;
        while (!take("]")) {
            if (end()) return fail("has a '[' without its ']'");
            PUNA_TRY(Ranges item, parse_character());
            if (peek() == '-' && text_.substr(at_, 2) != "-]") {
                if (item.size() != 1 || item[0].first != item[0].last)
                    return fail("has a range in a class whose beginning is not a character");
                ++at_;
                if (end()) return fail("has a '[' without its ']'");
                PUNA_TRY(const Ranges to, parse_character());
                if (to.size() != 1 || to[0].first != to[0].last || to[0].first < item[0].first)
                    return fail("has a range in a class whose end is not a character after its beginning");
                item[0].last = to[0].first;
            }
            ranges.insert(ranges.end(), item.begin(), item.end());
        }
        // Twice the complement: sorted, and without overlaps, which would be readings of their own.
        ranges = complement(std::move(ranges));
        return builder_.characters(negated ? ranges : complement(std::move(ranges)));
    }

    /// One character or escape.
    Result<Ranges> parse_character() {
        if (!take("\\")) {
            const Utf8Char c = decode_utf8(text_.substr(at_));
            if (!c.valid) return fail("is not valid UTF-8");
            at_ += c.length;
            return Ranges{{c.code_point, c.code_point}};
        }
        if (end()) return fail("ends in a backslash");
        const char c = text_[at_++];
        const auto one = [](char32_t code) { return Ranges{{code, code}}; };
        switch (c) {
            case 'n': return one('\n');
            case 'r': return one('\r');
            case 't': return one('\t');
            case 'x': return parse_hex(2);
            case 'u': return parse_hex(4);
            default: break;
        }
        if (gbnf_ && c == 'U') return parse_hex(8);
        if (!gbnf_) {
            const Ranges digits{{'0', '9'}}, word{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
            const Ranges space{{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                               {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                               {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
            switch (c) {
                case 'd': return digits;
                case 'D': return complement(digits);
                case 'w': return word;
                case 'W': return complement(word);
                case 's': return space;
                case 'S': return complement(space);
                case 'f': return one('\f');
                case 'v': return one('\v');
                case '0': return one(0);
                default: break;
            }
        }
        if (is_name(c) && c != '-' && c != '_')
            return fail(fmt::format("has the escape \\{}, which is not supported", c));
        if (static_cast<unsigned char>(c) >= 0x80) return fail("has a backslash before a character that needs none");
        return one(static_cast<char32_t>(c));
    }

    Result<Ranges> parse_hex(int digits) {
        char32_t code = 0;
        for (int i = 0; i < digits; ++i, ++at_) {
            const std::size_t digit = std::string_view("0123456789abcdef").find(static_cast<char>(peek() | 0x20));
            if (end() || digit == std::string_view::npos || (peek() < '0'))
                return fail("has an escape with too few digits");
            code = code << 4 | static_cast<char32_t>(digit);
        }
        if (!is_character(code)) return fail("has an escape that is no Unicode character");
        return Ranges{{code, code}};
    }

    std::string_view text_;
    bool gbnf_, search_;
    std::size_t at_ = 0;
    int groups_ = 0, depth_ = 0;
    bool anchored_ = false, anchored_at_end_ = false, bound_ = false;
    std::size_t choices_at_top_ = 0;
    GrammarBuilder builder_;
    std::map<std::string, Rule> rules_;
};

}  // namespace

Result<Grammar> compile_regex(std::string_view regex) {
    return Parser(regex, Parser::Form::whole_regex).parse();
}
Result<Grammar> compile_regex_search(std::string_view regex) {
    return Parser(regex, Parser::Form::search_regex).parse();
}
Result<Grammar> compile_gbnf(std::string_view gbnf) {
    return Parser(gbnf, Parser::Form::gbnf).parse();
}

}  // namespace puna::text::grammar
