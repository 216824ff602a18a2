#include "text/chat_parse/free_text.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "text/unicode/utf8.h"

namespace puna::text::chat_parse {
namespace {

using grammar::CharRange;
using grammar::GrammarBuilder;
using Id = GrammarBuilder::Id;

std::u32string characters_of(std::string_view text) {
    std::u32string characters;
    while (!text.empty()) {
        const Utf8Char c = decode_utf8(text);
        characters += c.code_point;
        text.remove_prefix(c.length);
    }
    return characters;
}

/// All but these.
std::vector<CharRange> complement(const std::set<char32_t>& characters) {
    std::vector<CharRange> ranges;
    char32_t next = 0;
    for (const char32_t c : characters) {
        if (c > next) ranges.push_back({next, c - 1});
        next = c + 1;
    }
    ranges.push_back({next, max_code_point});
    return ranges;
}

class TextAutomaton {
  public:
    TextAutomaton(GrammarBuilder& builder, const FreeText& text) : builder_(builder), text_(text) {
        for (const TextExit& exit : text.exits) {
            const std::u32string mark = characters_of(exit.mark);
            alphabet_.insert(mark.begin(), mark.end());
            for (std::size_t length = 0; length < mark.size(); ++length)
                rules_.try_emplace(mark.substr(0, length));
            exits_.emplace_back(mark, exit.then);
        }
        rules_.try_emplace({});
        for (auto& [beginning, rule] : rules_)
            rule = builder.add_rule();
    }

    Id build() {
        const std::uint32_t other = builder_.add_rule();
        builder_.define(other, step(builder_.characters(complement(alphabet_)), {}));
        for (const auto& [beginning, rule] : rules_) {
            std::vector<Id> choices{builder_.call(other)};
            for (const char32_t c : alphabet_)
                add_move(beginning, c, choices);
            if (text_.may_end) choices.push_back(builder_.sequence({}));
            builder_.define(rule, builder_.choice(std::move(choices)));
        }
        return text_.not_first.empty() ? builder_.call(rules_[{}]) : first_character();
    }

  private:
    Id step(Id character, const std::u32string& to) {
        return builder_.sequence({character, builder_.call(rules_[to])});
    }

    /// What `c` leads to behind `beginning`, the longest beginning of a mark that the text so far ends with.
    void add_move(const std::u32string& beginning, char32_t c, std::vector<Id>& choices) {
        std::u32string seen = beginning + c;
        const Id character = builder_.characters({{c, c}});
        for (const auto& [mark, then] : exits_) {
            if (!seen.ends_with(mark)) continue;
            if (then) choices.push_back(builder_.sequence({character, *then}));
            return;
        }
        while (!rules_.contains(seen))
            seen.erase(0, 1);
        choices.push_back(step(character, seen));
    }

    /// White space, and then not just anything.
    Id first_character() {
        constexpr std::u32string_view space = U" \t\r\n";
        const std::uint32_t rule = builder_.add_rule();
        std::set<char32_t> apart = alphabet_;
        apart.insert(space.begin(), space.end());
        apart.insert(text_.not_first.begin(), text_.not_first.end());
        std::vector<Id> choices{step(builder_.characters(complement(apart)), {})};
        for (const char32_t c : apart) {
            if (space.find(c) != std::u32string_view::npos) {
                choices.push_back(builder_.sequence({builder_.characters({{c, c}}), builder_.call(rule)}));
            } else if (text_.not_first.find(c) == std::u32string::npos) {
                add_move({}, c, choices);
            }
        }
        if (text_.may_end) choices.push_back(builder_.sequence({}));
        builder_.define(rule, builder_.choice(std::move(choices)));
        return builder_.call(rule);
    }

    GrammarBuilder& builder_;
    const FreeText& text_;
    std::vector<std::pair<std::u32string, std::optional<Id>>> exits_;
    std::set<char32_t> alphabet_;                    // of the marks
    std::map<std::u32string, std::uint32_t> rules_;  // [beginning of a mark]
};

}  // namespace

Id free_text(GrammarBuilder& builder, const FreeText& text) {
    return TextAutomaton(builder, text).build();
}

}  // namespace puna::text::chat_parse
