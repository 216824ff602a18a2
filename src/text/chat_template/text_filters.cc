#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/characters.h"
#include "text/chat_template/filters.h"
#include "text/chat_template/functions.h"
#include "text/chat_template/json.h"
#include "text/chat_template/operators.h"
#include "text/chat_template/pad_text.h"
#include "text/chat_template/python_format.h"
#include "text/chat_template/text_case.h"
#include "text/chat_template/text_search.h"
#include "text/unicode/case.h"

namespace puna::text::jinja {
namespace {

TextPtr text_of(Evaluator& evaluator, const Value& value) {
    return to_text(evaluator.budget(), value);
}

/// A filter that takes no arguments and makes one text of another.
template <Value (*function)(Evaluator&, const Text&)>
Result<Value> simple(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "the filter", arguments, {}, 0));
    return function(evaluator, *text_of(evaluator, subject));
}

Result<Value> string(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "string", arguments, {}, 0));
    return Value(text_of(evaluator, subject));
}

Result<Value> trim(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "trim", arguments, {"chars"}, 0));
    return strip_text(evaluator, *text_of(evaluator, subject), true, true, given.or_none(0));
}

Result<Value> replace_filter(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "replace", arguments, {"old", "new", "count"}, 2));
    std::int64_t limit = -1;
    if (!given.or_none(2).is_none()) {
        PUNA_TRY(limit, given.integer(evaluator, 2, -1));
    }
    return replace_text(evaluator, *text_of(evaluator, subject), *text_of(evaluator, *given[0]),
                        *text_of(evaluator, *given[1]), limit);
}

Result<Value> center(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "center", arguments, {"width"}, 0));
    PUNA_TRY(const std::int64_t width, given.integer(evaluator, 0, 80));
    return pad_text(evaluator, *text_of(evaluator, subject), width, Text(" ", Origin::templ), Alignment::center);
}

Result<Value> format_filter(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    if (!arguments.named.empty() && !arguments.positional.empty()) {
        return evaluator.fail("can't handle positional and keyword arguments at the same time");
    }
    const TextPtr text = text_of(evaluator, subject);
    if (arguments.named.empty()) return format_printf(evaluator, *text, Value::tuple(arguments.positional));
    auto dict = std::make_shared<Dict>();
    for (const auto& [name, value] : arguments.named)
        dict->set(name, value);
    return format_printf(evaluator, *text, Value(DictPtr(std::move(dict))));
}

Result<Value> join_filter(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "join", arguments, {"d", "attribute"}, 0));
    const TextPtr separator = given[0] == nullptr ? std::make_shared<const Text>() : text_of(evaluator, *given[0]);
    const Value attribute = given.or_none(1);
    const AttributePath path(attribute);
    PUNA_TRY(const std::vector<Value> items, to_vector(evaluator, subject));
    TextBuilder builder(evaluator.budget());
    for (std::size_t i = 0; i < items.size() && !evaluator.budget().exhausted(); ++i) {
        if (i > 0) builder.append(*separator);
        PUNA_TRY(const Value item, path.get(evaluator, items[i]));
        append_str(builder, item);
    }
    return Value(builder.take_shared());
}

Result<Value> indent(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "indent", arguments, {"width", "first", "blank"}, 0));
    PUNA_CHECK(evaluator.require_defined(subject));
    if (subject.as_text() == nullptr) {
        return evaluator.fail(fmt::format("indent takes a text, not {}", subject.type_name()));
    }
    Text indention;
    if (given[0] != nullptr && given[0]->as_text() != nullptr) {
        indention = *given[0]->as_text();
    } else {
        PUNA_TRY(const std::int64_t width, given.integer(evaluator, 0, 4));
        TextBuilder spaces(evaluator.budget());
        spaces.append_repeated(Text(" ", Origin::templ), static_cast<std::size_t>(std::max<std::int64_t>(0, width)));
        indention = spaces.take();
    }
    // As Python's splitlines sees the text with a line break at its end.
    TextBuilder whole(evaluator.budget());
    whole.append(*subject.as_text());
    whole.append("\n", Origin::templ);
    const std::vector<Value> lines = split_lines(evaluator, whole.take(), false);
    const bool blank = given.flag(2, false);
    TextBuilder builder(evaluator.budget());
    if (given.flag(1, false)) builder.append(indention);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        const Text& line = *lines[i].as_text();
        if (i > 0) builder.append("\n", Origin::templ);
        if (i > 0 && (blank || line.size() > 0)) builder.append(indention);
        builder.append(line);
    }
    return Value(builder.take_shared());
}

Result<Value> truncate(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given,
             Parameters::bind(evaluator, "truncate", arguments, {"length", "killwords", "end", "leeway"}, 0));
    PUNA_TRY(const std::int64_t length, given.integer(evaluator, 0, 255));
    const TextPtr end = given[2] == nullptr ? Value::trusted("...").text() : text_of(evaluator, *given[2]);
    std::int64_t leeway = 5;
    if (!given.or_none(3).is_none()) {
        PUNA_TRY(leeway, given.integer(evaluator, 3, 5));
    }
    const auto end_length = static_cast<std::int64_t>(count_characters(end->bytes()));
    if (length < end_length) return evaluator.fail(fmt::format("expected length >= {}, got {}", end_length, length));
    if (leeway < 0) return evaluator.fail(fmt::format("expected leeway >= 0, got {}", leeway));
    PUNA_TRY(const std::size_t size, length_of(evaluator, subject));
    if (static_cast<std::int64_t>(size) <= length + leeway) return subject;
    const Text* text = subject.as_text();
    if (text == nullptr) return evaluator.fail(fmt::format("truncate takes a text, not {}", subject.type_name()));
    std::size_t stop = byte_offset(text->bytes(), static_cast<std::size_t>(length - end_length));
    if (!given.flag(1, false)) stop = std::min(text->bytes().substr(0, stop).rfind(' '), stop);
    TextBuilder builder(evaluator.budget());
    builder.append(*text, 0, stop);
    builder.append(*end);
    return Value(builder.take_shared());
}

/// HTML's special characters. Text that is marked safe is text like any other here: nothing escapes by itself.
Value escape_text(Evaluator& evaluator, const Text& text) {
    constexpr std::string_view special = "&<>'\"";
    constexpr std::array<std::string_view, 5> names{"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    TextBuilder builder(evaluator.budget());
    std::size_t begin = 0;
    while (true) {
        const std::size_t at = text.bytes().find_first_of(special, begin);
        if (at == std::string_view::npos) break;
        builder.append(text, begin, at);
        builder.append(names[special.find(text.bytes()[at])], text.origin_at(at));
        begin = at + 1;
    }
    builder.append(text, begin, text.size());
    return {builder.take_shared()};
}

Result<Value> wordcount(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_CHECK(Parameters::bind(evaluator, "wordcount", arguments, {}, 0));
    const TextPtr text = text_of(evaluator, subject);
    std::size_t count = 0;
    bool in_word = false;
    for (std::size_t i = 0; i < text->size();) {
        const Character character = character_at(text->bytes(), i);
        const char32_t c = character.code_point;
        const bool is_part = character.valid && (c == '_' || is_alpha(c) ||
                                                 (char_traits(c) & (trait_decimal | trait_digit | trait_numeric)) != 0);
        if (is_part && !in_word) ++count;
        in_word = is_part;
        i = character.end;
    }
    return Value::size(count);
}

/// json.dumps' parameters, as Transformers passes them on.
Result<JsonOptions> json_options(Evaluator& evaluator, const Parameters& given) {
    JsonOptions options;
    options.ensure_ascii = given.flag(0, false);
    options.sort_keys = given.flag(3, false);
    const Value indent = given.or_none(1);
    if (const Text* text = indent.as_text()) {
        options.indent = *text;
    } else if (!indent.is_none()) {
        PUNA_TRY(const std::int64_t width, given.integer(evaluator, 1, 0));
        TextBuilder spaces(evaluator.budget());
        spaces.append_repeated(Text(" ", Origin::input), static_cast<std::size_t>(std::max<std::int64_t>(0, width)));
        options.indent = spaces.take();
    }
    options.item_separator = Text(options.indent ? "," : ", ", Origin::input);
    options.key_separator = Text(": ", Origin::input);
    if (!given.or_none(2).is_none()) {
        PUNA_TRY(const std::vector<Value> separators, to_vector(evaluator, *given[2]));
        if (separators.size() != 2 || separators[0].as_text() == nullptr || separators[1].as_text() == nullptr) {
            return evaluator.fail("separators must be two texts");
        }
        options.item_separator = *separators[0].as_text();
        options.key_separator = *separators[1].as_text();
    }
    return options;
}

Result<Value> tojson(Evaluator& evaluator, const Value& subject, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "tojson", arguments,
                                                      {"ensure_ascii", "indent", "separators", "sort_keys"}, 0));
    PUNA_TRY(const JsonOptions options, json_options(evaluator, given));
    TextBuilder builder(evaluator.budget());
    if (const auto written = append_json(builder, subject, options); !written.ok()) {
        return evaluator.fail(written.error().message);
    }
    return Value(builder.take_shared());
}

constexpr std::array<Filter, 18> text_filter_table{{{"capitalize", simple<capitalize_text>},
                                                    {"center", center},
                                                    {"e", simple<escape_text>},
                                                    {"escape", simple<escape_text>},
                                                    {"format", format_filter},
                                                    {"indent", indent},
                                                    {"join", join_filter},
                                                    {"lower", simple<lower_text>},
                                                    {"replace", replace_filter},
                                                    {"safe", string},
                                                    {"string", string},
                                                    {"title", simple<title_words>},
                                                    {"tojson", tojson},
                                                    {"trim", trim},
                                                    {"truncate", truncate},
                                                    {"upper", simple<upper_text>},
                                                    {"wordcount", wordcount},
                                                    {"forceescape", simple<escape_text>}}};

}  // namespace

std::span<const Filter> text_filters() {
    return text_filter_table;
}

}  // namespace puna::text::jinja
