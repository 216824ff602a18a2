#include "text/chat_template/text_case.h"

#include <array>

#include "base/try.h"
#include "text/chat_template/characters.h"
#include "text/chat_template/functions.h"
#include "text/chat_template/methods.h"
#include "text/unicode/case.h"

namespace puna::text::jinja {
namespace {

constexpr char32_t capital_sigma = 0x3A3;
constexpr char32_t small_sigma = 0x3C3;
constexpr char32_t final_sigma = 0x3C2;

bool is_ignorable(const Character& character) {
    return character.valid && (char_traits(character.code_point) & trait_case_ignorable) != 0;
}

bool is_cased(const Character& character) {
    return character.valid && (char_traits(character.code_point) & trait_cased) != 0;
}

/// Whether a sigma ends its word: the condition Final_Sigma of The Unicode Standard, table 3-17.
bool is_final(std::string_view text, const Character& sigma) {
    std::size_t begin = sigma.begin;
    while (begin > 0) {
        const Character before = character_before(text, begin);
        begin = before.begin;
        if (is_ignorable(before)) continue;
        if (!is_cased(before)) return false;
        break;
    }
    if (begin == 0 && (sigma.begin == 0 || is_ignorable(character_at(text, 0)))) return false;
    for (std::size_t end = sigma.end; end < text.size();) {
        const Character after = character_at(text, end);
        if (!is_ignorable(after)) return !is_cased(after);
        end = after.end;
    }
    return true;
}

CaseMapped mapped(std::string_view text, const Character& character, Case to) {
    if (to == Case::lower && character.code_point == capital_sigma) {
        return {{is_final(text, character) ? final_sigma : small_sigma}, 1};
    }
    return map_case(character.code_point, to);
}

/// Each character in the case that `choose` gives for it and its place; bytes keep their origin.
template <typename Choose>
Value change_case(Evaluator& evaluator, const Text& text, Choose choose) {
    const std::string_view bytes = text.bytes();
    TextBuilder builder(evaluator.budget());
    std::string written;
    std::size_t i = 0;
    for (const Text::Run& run : text.runs()) {
        while (i < run.end) {
            const Character character = character_at(bytes, i);
            i = character.end;
            if (!character.valid) {
                written += bytes[character.begin];
                continue;
            }
            const CaseMapped changed = mapped(bytes, character, choose(character));
            for (std::size_t k = 0; k < changed.count; ++k)
                append_utf8(written, changed.characters[k]);
        }
        builder.append(written, run.origin);
        written.clear();
    }
    return {builder.take_shared()};
}

/// What Jinja's filter takes for the beginning of a word comes after one of these.
bool ends_word(const Character& character) {
    constexpr std::u32string_view breaks = U"-({[<";
    return character.valid && (is_space(character.code_point) || breaks.find(character.code_point) != breaks.npos);
}

bool has_case(const Text& text, std::uint8_t wanted, std::uint8_t other) {
    bool found = false;
    for (std::size_t i = 0; i < text.size();) {
        const Character character = character_at(text.bytes(), i);
        i = character.end;
        const std::uint8_t traits = character.valid ? char_traits(character.code_point) : 0;
        if ((traits & (other | trait_title)) != 0) return false;
        found = found || (traits & wanted) != 0;
    }
    return found;
}

template <Value (*function)(Evaluator&, const Text&)>
Result<Value> case_method(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "the method", arguments, {}, 0));
    return function(evaluator, own_text(self));
}

/// The method `title`: words are runs of cased characters.
Value title_text(Evaluator& evaluator, const Text& text) {
    bool in_word = false;
    return change_case(evaluator, text, [&in_word](const Character& character) {
        const Case to = in_word ? Case::lower : Case::title;
        in_word = is_cased(character);
        return to;
    });
}

/// Whether the text is not empty and all its characters meet the condition.
template <bool (*holds)(char32_t)>
Result<Value> all_characters(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "the method", arguments, {}, 0));
    const std::string_view bytes = own_text(self).bytes();
    for (std::size_t i = 0; i < bytes.size();) {
        const Character character = character_at(bytes, i);
        if (!character.valid || !holds(character.code_point)) return Value(false);
        i = character.end;
    }
    return Value(!bytes.empty());
}

template <std::uint8_t traits>
bool has_trait(char32_t c) {
    return (char_traits(c) & traits) != 0;
}

bool is_alphanumeric(char32_t c) {
    return is_alpha(c) || has_trait < trait_decimal | trait_digit | trait_numeric > (c);
}

template <bool (*function)(const Text&)>
Result<Value> test_method(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "the method", arguments, {}, 0));
    return Value(function(own_text(self)));
}

constexpr std::array<Method, 12> case_method_table{{{"lower", case_method<lower_text>},
                                                    {"upper", case_method<upper_text>},
                                                    {"capitalize", case_method<capitalize_text>},
                                                    {"title", case_method<title_text>},
                                                    {"islower", test_method<is_lower_text>},
                                                    {"isupper", test_method<is_upper_text>},
                                                    {"isspace", all_characters<is_space>},
                                                    {"isalpha", all_characters<is_alpha>},
                                                    {"isalnum", all_characters<is_alphanumeric>},
                                                    {"isdecimal", all_characters<has_trait<trait_decimal>>},
                                                    {"isdigit", all_characters<has_trait<trait_digit>>},
                                                    {"isnumeric", all_characters<has_trait<trait_numeric>>}}};

}  // namespace

Value lower_text(Evaluator& evaluator, const Text& text) {
    return change_case(evaluator, text, [](const Character&) { return Case::lower; });
}

Value upper_text(Evaluator& evaluator, const Text& text) {
    return change_case(evaluator, text, [](const Character&) { return Case::upper; });
}

Value capitalize_text(Evaluator& evaluator, const Text& text) {
    return change_case(evaluator, text, [](const Character& c) { return c.begin == 0 ? Case::title : Case::lower; });
}

Value title_words(Evaluator& evaluator, const Text& text) {
    bool begins_word = true;
    return change_case(evaluator, text, [&begins_word](const Character& character) {
        const Case to = begins_word ? Case::upper : Case::lower;
        begins_word = ends_word(character);
        return to;
    });
}

bool is_lower_text(const Text& text) {
    return has_case(text, trait_lower, trait_upper);
}

bool is_upper_text(const Text& text) {
    return has_case(text, trait_upper, trait_lower);
}

std::span<const Method> text_case_methods() {
    return case_method_table;
}

}  // namespace puna::text::jinja
