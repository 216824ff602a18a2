#include "text/grammar/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "base/try.h"
#include "text/grammar/multiple_digits.h"
#include "text/unicode/utf8.h"

namespace puna::text::grammar {
namespace {

constexpr std::size_t max_string_states = 50'000;
constexpr std::uint64_t greatest_integer = 999'999'999'999'999'999;  // 18 digits
constexpr std::uint64_t greatest_whole = 999'999'999'999'999;        // 15 digits: a double holds them all
constexpr std::uint32_t significant_digits = 15;                     // any two such numbers are different doubles

/// The letter behind the backslash for a character that has an escape of two characters; 0 for others.
char short_escape(std::uint32_t c) {
    switch (c) {
        case '"': return '"';
        case '\\': return '\\';
        case '\b': return 'b';
        case '\f': return 'f';
        case '\n': return 'n';
        case '\r': return 'r';
        case '\t': return 't';
        default: return 0;
    }
}

/// Of at most 19 digits.
std::uint64_t to_unsigned(std::string_view digits) {
    std::uint64_t number = 0;
    for (const char c : digits)
        number = 10 * number + static_cast<std::uint64_t>(c - '0');
    return number;
}

/// How a JSON string spells a character that it may not hold as it is.
std::string escape(std::uint32_t c) {
    if (const char letter = short_escape(c); letter != 0) return {'\\', letter};
    return fmt::format("\\u{:04x}", c);
}

/// The byte nodes of a network without calls that are reached from a node without taking a byte.
struct Closure {
    std::vector<std::uint32_t> bytes;
    bool accepts = false;
};
Closure closure_of(const Grammar& grammar, std::uint32_t node) {
    Closure closure;
    std::set<std::uint32_t> seen;
    std::vector<std::uint32_t> work{node};
    while (!work.empty()) {
        const std::uint32_t at = work.back();
        work.pop_back();
        if (!grammar.productive[at] || !seen.insert(at).second) continue;
        const Node& n = grammar.nodes[at];
        if (n.op == Op::byte) closure.bytes.push_back(at);
        if (n.op == Op::ret) closure.accepts = true;
        if (n.op == Op::split) work.insert(work.end(), {n.a, n.b});
    }
    std::sort(closure.bytes.begin(), closure.bytes.end());
    return closure;
}

}  // namespace

JsonText::Id JsonText::space() {
    if (!space_) {
        const std::uint32_t rule = builder_.add_rule();
        const Id indent = builder_.repeat(builder_.characters({{' ', ' '}, {'\t', '\t'}}), 0, 24);
        builder_.define(
            rule, builder_.choice({nothing(), builder_.bytes(" "), builder_.sequence({builder_.bytes("\n"), indent})}));
        space_ = builder_.call(rule);
    }
    return *space_;
}

/// RFC 8259, section 7. An escaped surrogate comes with its other half, so that the two are one character.
JsonText::Id JsonText::character() {
    if (!character_) {
        const auto hex = [&](const std::vector<CharRange>& ranges) { return builder_.characters(ranges); };
        const Id any = hex({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
        const Id d = hex({{'D', 'D'}, {'d', 'd'}}),
                 other = hex({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}});
        const Id high = hex({{'8', '9'}, {'A', 'B'}, {'a', 'b'}}), low = hex({{'C', 'F'}, {'c', 'f'}});
        const Id code = builder_.choice(
            {builder_.sequence({other, any, any, any}), builder_.sequence({d, digit('0', '7'), any, any}),
             builder_.sequence({d, high, any, any, builder_.bytes("\\u"), d, low, any, any})});
        std::vector<CharRange> letters;
        for (const char letter : std::string_view("\"/\\bfnrt"))
            letters.push_back({static_cast<char32_t>(letter), static_cast<char32_t>(letter)});
        const Id escaped =
            builder_.choice({builder_.characters(letters), builder_.sequence({builder_.bytes("u"), code})});
        const std::uint32_t rule = builder_.add_rule();
        builder_.define(rule, builder_.choice({builder_.characters({{' ', '!'}, {'#', '['}, {']', max_code_point}}),
                                               builder_.sequence({builder_.bytes("\\"), escaped})}));
        character_ = builder_.call(rule);
    }
    return *character_;
}

JsonText::Id JsonText::string(std::uint32_t min, std::uint32_t max) {
    return builder_.sequence({builder_.bytes("\""), builder_.repeat(character(), min, max), builder_.bytes("\"")});
}

JsonText::Id JsonText::literal_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<std::uint8_t>(c);
        out += byte < ' ' || c == '"' || c == '\\' ? escape(byte) : std::string(1, c);
    }
    return builder_.bytes(out + '"');
}

/// Bytes of UTF-8 as a JSON string spells them. Of a range of control characters, those with a short escape.
JsonText::Id JsonText::text_byte(std::uint32_t low, std::uint32_t high) {
    std::vector<Id> choices;
    constexpr std::pair<std::uint32_t, std::uint32_t> plain[] = {{' ', '!'}, {'#', '['}, {']', 0xFF}};
    for (const auto& [first, last] : plain) {
        if (std::max(low, first) > std::min(high, last)) continue;
        choices.push_back(builder_.byte_range(static_cast<std::uint8_t>(std::max(low, first)),
                                              static_cast<std::uint8_t>(std::min(high, last))));
    }
    for (std::uint32_t c = low; c <= std::min<std::uint32_t>(high, '\\'); ++c) {
        if (short_escape(c) != 0 || (low == high && c < ' ')) choices.push_back(builder_.bytes(escape(c)));
    }
    return builder_.choice(std::move(choices));
}

// The product of the patterns' automata with a counter of characters, a rule for each of its states.
Result<JsonText::Id> JsonText::string_like(const std::vector<Grammar>& patterns, std::uint64_t min, std::uint64_t max) {
    using State = std::vector<std::uint64_t>;  // [pattern] a node; then characters so far, of which no more than matter
    std::vector<std::map<std::uint32_t, Closure>> closures(patterns.size());
    std::map<State, std::uint32_t> rules;
    std::vector<State> work;
    const auto rule_of = [&](const State& state) {
        const auto [entry, added] = rules.try_emplace(state, 0);
        if (added) {
            entry->second = builder_.add_rule();
            work.push_back(state);
        }
        return entry->second;
    };
    struct Move {
        std::uint32_t low, high;
        State to;
        bool operator==(const Move&) const = default;
        auto operator<=>(const Move&) const = default;
    };
    State first;
    for (const Grammar& pattern : patterns)
        first.push_back(pattern.starts[pattern.root]);
    first.push_back(0);
    const std::uint32_t root = rule_of(first);
    while (!work.empty()) {
        const State state = std::move(work.back());
        work.pop_back();
        bool accepts = state.back() >= min;
        std::set<Move> moves{{0, 255, {}}};
        for (std::size_t i = 0; i < patterns.size(); ++i) {
            const auto node = static_cast<std::uint32_t>(state[i]);
            const auto [entry, added] = closures[i].try_emplace(node);
            if (added) entry->second = closure_of(patterns[i], node);
            accepts = accepts && entry->second.accepts;
            std::set<Move> narrowed;
            for (const Move& move : moves) {
                for (const std::uint32_t byte : entry->second.bytes) {
                    const Node& n = patterns[i].nodes[byte];
                    Move next{std::max<std::uint32_t>(move.low, n.low), std::min<std::uint32_t>(move.high, n.high),
                              move.to};
                    if (next.low > next.high) continue;
                    next.to.push_back(n.a);
                    narrowed.insert(std::move(next));
                }
            }
            moves = std::move(narrowed);
            if (moves.size() > max_string_states) break;
        }
        std::vector<Id> choices;
        if (accepts) choices.push_back(builder_.bytes("\""));
        for (const Move& move : moves) {
            const bool begins_character = move.low < 0x80 || move.low >= 0xC0;
            std::uint64_t count = state.back() + (begins_character ? 1 : 0);
            if (count > max) continue;
            if (max >= unbounded) count = std::min(count, min);
            State to = move.to;
            to.push_back(count);
            choices.push_back(builder_.sequence({text_byte(move.low, move.high), builder_.call(rule_of(to))}));
        }
        builder_.define(rules[state], builder_.choice(std::move(choices)));
        if (rules.size() > max_string_states || moves.size() > max_string_states) {
            return Error{ErrorCode::invalid_argument,
                         fmt::format("pattern, format and length of a string together need more than {} states",
                                     max_string_states),
                         "lower maxLength, or write the length into the pattern"};
        }
    }
    return builder_.sequence({builder_.bytes("\""), builder_.call(root)});
}

JsonText::Id JsonText::one_spelling(const std::vector<CharRange>& ranges) {
    if (!beyond_ascii_) {
        const std::uint32_t rule = builder_.add_rule();
        builder_.define(rule, builder_.characters({{0x80, max_code_point}}));
        beyond_ascii_ = builder_.call(rule);
    }
    std::vector<Id> choices;
    for (const auto [first, last] : ranges) {
        if (first < 0x80) choices.push_back(text_byte(first, std::min<char32_t>(last, 0x7F)));
        if (first <= 0x80 && last == max_code_point) {
            choices.push_back(*beyond_ascii_);
        } else if (last >= 0x80) {
            choices.push_back(builder_.characters({{std::max<char32_t>(first, 0x80), last}}));
        }
    }
    return builder_.choice(std::move(choices));
}

// A trie of the names, a rule for each of its nodes; what leaves it is free.
JsonText::Id JsonText::string_other_than(const std::vector<std::string>& names) {
    const Id quote = builder_.bytes("\"");
    const std::uint32_t free = builder_.add_rule();
    builder_.define(free,
                    builder_.sequence({builder_.repeat(one_spelling({{0, max_code_point}}), 0, unbounded), quote}));
    std::map<std::string, std::map<char32_t, std::string>> children;  // [beginning of a name] by the next character
    std::set<std::string> whole(names.begin(), names.end());
    children[""];
    for (const std::string& name : names) {
        for (std::size_t at = 0; at < name.size();) {
            const Utf8Char c = decode_utf8(std::string_view(name).substr(at));
            const std::string beginning = name.substr(0, at);
            at += c.length;
            children[beginning][c.code_point] = name.substr(0, at);
            children[name.substr(0, at)];
        }
    }
    std::map<std::string, std::uint32_t> rules;
    for (const auto& [beginning, next] : children)
        rules[beginning] = builder_.add_rule();
    for (const auto& [beginning, next] : children) {
        std::vector<Id> choices;
        if (!whole.contains(beginning)) choices.push_back(quote);
        std::vector<CharRange> others;
        char32_t from = 0;
        for (const auto& [c, to] : next) {
            choices.push_back(builder_.sequence({one_spelling({{c, c}}), builder_.call(rules[to])}));
            if (c > from) others.push_back({from, c - 1});
            from = c + 1;
        }
        if (from <= max_code_point) others.push_back({from, max_code_point});
        choices.push_back(builder_.sequence({one_spelling(others), builder_.call(free)}));
        builder_.define(rules[beginning], builder_.choice(std::move(choices)));
    }
    return builder_.sequence({quote, builder_.call(rules[""])});
}

/// Digits that make a number from `low` to `high`, which are equally long.
JsonText::Id JsonText::same_length(std::string_view low, std::string_view high) {
    if (low.empty()) return nothing();
    const auto rest = static_cast<std::uint32_t>(low.size() - 1);
    const std::string zeros(rest, '0'), nines(rest, '9');
    if (low.substr(1) == zeros && high.substr(1) == nines)
        return builder_.sequence({digit(low[0], high[0]), digits(rest, rest)});
    if (low[0] == high[0])
        return builder_.sequence({digit(low[0], low[0]), same_length(low.substr(1), high.substr(1))});
    std::vector<Id> choices{builder_.sequence({digit(low[0], low[0]), same_length(low.substr(1), nines)})};
    if (low[0] + 1 < high[0])
        choices.push_back(builder_.sequence(
            {digit(static_cast<char>(low[0] + 1), static_cast<char>(high[0] - 1)), digits(rest, rest)}));
    choices.push_back(builder_.sequence({digit(high[0], high[0]), same_length(zeros, high.substr(1))}));
    return builder_.choice(std::move(choices));
}

template <typename SameLength>
JsonText::Id JsonText::natural(std::uint64_t low, std::uint64_t high, SameLength same_length) {
    std::vector<Id> choices;
    while (low <= high) {
        const std::string first = fmt::format("{}", low);
        const std::uint64_t longest = to_unsigned(std::string(first.size(), '9'));
        const std::uint64_t last = std::min(high, longest);
        choices.push_back(same_length(std::string_view(first), std::string_view(fmt::format("{}", last))));
        low = last + 1;
    }
    return builder_.choice(std::move(choices));
}

JsonText::Id JsonText::natural(std::uint64_t low, std::uint64_t high) {
    return natural(low, high, [&](std::string_view first, std::string_view last) { return same_length(first, last); });
}

Result<JsonText::Id> JsonText::integer(std::optional<Bound> min, std::optional<Bound> max, std::uint64_t multiple) {
    constexpr auto limit = static_cast<double>(greatest_integer);
    std::int64_t low = -static_cast<std::int64_t>(greatest_integer), high = -low;
    if (min) {
        const double least = min->exclusive ? std::floor(min->value) + 1 : std::ceil(min->value);
        if (least > limit) return builder_.choice({});
        if (least > -limit) low = static_cast<std::int64_t>(least);
    }
    if (max) {
        const double most = max->exclusive ? std::ceil(max->value) - 1 : std::floor(max->value);
        if (most < -limit) return builder_.choice({});
        if (most < limit) high = static_cast<std::int64_t>(most);
    }
    MultipleDigits multiples(builder_, multiple);
    const auto magnitudes = [&](std::int64_t from, std::int64_t to) {
        const auto first = static_cast<std::uint64_t>(from), last = static_cast<std::uint64_t>(to);
        return multiple == 1 ? natural(first, last) : natural(first, last, [&](std::string_view a, std::string_view b) {
            return multiples.between(a, b);
        });
    };
    std::vector<Id> choices;
    if (high >= 0 && low <= high) choices.push_back(magnitudes(std::max<std::int64_t>(low, 0), high));
    if (low < 0 && low <= high)
        choices.push_back(
            builder_.sequence({builder_.bytes("-"), magnitudes(-std::min<std::int64_t>(high, -1), -low)}));
    if (multiples.too_many()) {
        return Error{ErrorCode::invalid_argument,
                     fmt::format("multiples of {} need more than {} states", multiple, MultipleDigits::max_states),
                     "give a smaller range, or another multipleOf"};
    }
    return builder_.choice(std::move(choices));
}

struct JsonText::Decimal {
    std::uint64_t whole = 0;
    std::string fraction;  // its digits, without zeros at the end
};

/// The digits behind the point, at most `places`, of which there may be none. `low` and `high` are those of the bounds
/// where the digits before them are those of the bounds.
struct JsonText::Fraction {
    std::optional<std::string> low, high;
    bool low_out = false, high_out = false;  // whether the bounds themselves are left out
    std::uint32_t places = 0;

    bool only_zeros(const std::string& digits, std::uint32_t at) const {
        return digits.find_first_not_of('0', std::min<std::size_t>(at, digits.size())) == std::string::npos;
    }
    /// Whether the number may end before the digit `at`, all before it being those of the bounds.
    bool may_end(std::uint32_t at) const {
        if (low && (!only_zeros(*low, at) || low_out)) return false;
        return !high || !only_zeros(*high, at) || !high_out;
    }
    static char digit_at(const std::string& digits, std::uint32_t at) { return at < digits.size() ? digits[at] : '0'; }
};

/// At least one digit, from place `at` on.
JsonText::Id JsonText::fraction_digits(const Fraction& fraction, std::uint32_t at) {
    if (at == fraction.places) return builder_.choice({});
    const char low = fraction.low ? Fraction::digit_at(*fraction.low, at) : '0';
    const char high = fraction.high ? Fraction::digit_at(*fraction.high, at) : '9';
    std::vector<Id> choices;
    const auto add = [&](char first, char last, bool at_low, bool at_high) {
        if (first > last) return;
        Fraction rest = fraction;
        if (!at_low || (fraction.low && rest.only_zeros(*fraction.low, at + 1) && !fraction.low_out)) rest.low.reset();
        if (!at_high) rest.high.reset();
        Id next = digits(0, rest.places - at - 1);
        if (rest.low || rest.high) {
            next = fraction_digits(rest, at + 1);
            if (rest.may_end(at + 1)) next = builder_.choice({nothing(), next});
        }
        choices.push_back(builder_.sequence({digit(first, last), next}));
    };
    const bool tight_low = fraction.low.has_value(), tight_high = fraction.high.has_value();
    if (tight_low && tight_high && low == high) {
        add(low, low, true, true);
    } else {
        if (tight_low) add(low, low, true, false);
        add(static_cast<char>(tight_low ? low + 1 : low), static_cast<char>(tight_high ? high - 1 : high), false,
            false);
        if (tight_high) add(high, high, false, true);
    }
    return builder_.choice(std::move(choices));
}

JsonText::Id JsonText::fraction(const Fraction& fraction) {
    const Id digits = builder_.sequence({builder_.bytes("."), fraction_digits(fraction, 0)});
    return fraction.may_end(0) ? optional(digits) : digits;
}

JsonText::Id JsonText::magnitude(const Decimal& low, bool low_out, const Decimal& high, bool high_out,
                                 std::uint32_t places) {
    if (low.whole > high.whole) return builder_.choice({});
    const auto whole = [&](std::uint64_t number) { return builder_.bytes(fmt::format("{}", number)); };
    if (low.whole == high.whole)
        return builder_.sequence(
            {whole(low.whole), fraction({low.fraction, high.fraction, low_out, high_out, places})});
    std::vector<Id> choices{
        builder_.sequence({whole(low.whole), fraction({low.fraction, std::nullopt, low_out, false, places})}),
        builder_.sequence({whole(high.whole), fraction({std::nullopt, high.fraction, false, high_out, places})})};
    if (low.whole + 1 < high.whole)
        choices.push_back(builder_.sequence(
            {natural(low.whole + 1, high.whole - 1), fraction({std::nullopt, std::nullopt, false, false, places})}));
    return builder_.choice(std::move(choices));
}

Result<JsonText::Id> JsonText::number(std::optional<Bound> min, std::optional<Bound> max) {
    if (!min && !max) {
        const Id sign = optional(builder_.bytes("-"));
        const Id whole = builder_.choice({builder_.bytes("0"), builder_.sequence({digit('1', '9'), digits(0, 14)})});
        const Id exponent = builder_.sequence({builder_.characters({{'E', 'E'}, {'e', 'e'}}),
                                               optional(builder_.characters({{'+', '+'}, {'-', '-'}})), digits(1, 2)});
        return builder_.sequence(
            {sign, whole, optional(builder_.sequence({builder_.bytes("."), digits(1, 15)})), optional(exponent)});
    }
    if (min && max && (min->value > max->value || (min->value == max->value && (min->exclusive || max->exclusive))))
        return builder_.choice({});
    std::uint32_t places = 12;
    std::uint32_t exact_places = significant_digits;  // with which a number is told from the bounds that are left out
    const auto decimal = [&](const Bound& bound) -> Result<Decimal> {
        const double value = std::abs(bound.value);
        for (int precision = 0; precision < static_cast<int>(significant_digits); ++precision) {
            std::string text = fmt::format("{:.{}f}", value, precision);
            const std::size_t point = std::min(text.find('.'), text.size());
            double read = 0;
            std::from_chars(text.data(), text.data() + text.size(), read);
            if (read != value) continue;
            if (point + static_cast<std::size_t>(precision) > significant_digits) break;
            Decimal out{to_unsigned(text.substr(0, point)), point < text.size() ? text.substr(point + 1) : ""};
            const std::uint32_t left = significant_digits - static_cast<std::uint32_t>(point);
            places = std::min(places, left);
            if (bound.exclusive) exact_places = std::min(exact_places, left);
            return out;
        }
        return Error{ErrorCode::invalid_argument,
                     fmt::format("the bound {} of a number has more than {} digits", value, significant_digits),
                     "use a rounder bound"};
    };
    Decimal low{greatest_whole, ""}, high{greatest_whole, ""};  // magnitudes
    if (min) {
        PUNA_TRY(low, decimal(*min));
    }
    if (max) {
        PUNA_TRY(high, decimal(*max));
    }
    places = std::max({places, min ? static_cast<std::uint32_t>(low.fraction.size()) : 0,
                       max ? static_cast<std::uint32_t>(high.fraction.size()) : 0});
    if (places > exact_places) {
        return Error{
            ErrorCode::invalid_argument,
            fmt::format("the bounds of a number have more than {} digits together, from the first of the one to "
                        "the last of the other",
                        significant_digits),
            "use rounder bounds, or minimum and maximum for exclusiveMinimum and exclusiveMaximum"};
    }
    const bool low_out = min && min->exclusive, high_out = max && max->exclusive;
    const Decimal zero;
    std::vector<Id> choices;
    if (!max || max->value >= 0) {
        const bool from_zero = !min || min->value < 0;
        choices.push_back(magnitude(from_zero ? zero : low, !from_zero && low_out, high, high_out, places));
    }
    if (!min || min->value < 0) {
        const bool to_zero = !max || max->value >= 0;
        choices.push_back(builder_.sequence(
            {builder_.bytes("-"), magnitude(to_zero ? zero : high, to_zero || high_out, low, low_out, places)}));
    }
    return builder_.choice(std::move(choices));
}

}  // namespace puna::text::grammar
