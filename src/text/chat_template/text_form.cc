// Methods that put texts together: join, format, padding.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/characters.h"
#include "text/chat_template/functions.h"
#include "text/chat_template/methods.h"
#include "text/chat_template/number_text.h"
#include "text/chat_template/pad_text.h"
#include "text/chat_template/python_format.h"

namespace puna::text::jinja {
namespace {

Result<Value> join(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "join", arguments, {"iterable"}, 1));
    PUNA_TRY(const std::vector<Value> items, to_vector(evaluator, *given[0]));
    TextBuilder builder(evaluator.budget());
    for (std::size_t i = 0; i < items.size() && !evaluator.budget().exhausted(); ++i) {
        const Text* item = items[i].as_text();
        if (item == nullptr) {
            return evaluator.fail(
                fmt::format("sequence item {}: expected str instance, {} found", i, items[i].type_name()));
        }
        if (i > 0) builder.append(own_text(self));
        builder.append(*item);
    }
    return Value(builder.take_shared());
}

template <Alignment alignment>
Result<Value> justify(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "ljust", arguments, {"width", "fillchar"}, 1));
    PUNA_TRY(const std::int64_t width, given.integer(evaluator, 0, 0));
    Text filler(" ", Origin::templ);
    if (given[1] != nullptr) {
        const Text* character = given[1]->as_text();
        if (character == nullptr || count_characters(character->bytes()) != 1) {
            return evaluator.fail("The fill character must be exactly one character long");
        }
        filler = *character;
    }
    return pad_text(evaluator, own_text(self), width, filler, alignment);
}

Result<Value> zfill(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "zfill", arguments, {"width"}, 1));
    PUNA_TRY(const std::int64_t width, given.integer(evaluator, 0, 0));
    const Text& text = own_text(self);
    const std::size_t sign = text.bytes().starts_with('-') || text.bytes().starts_with('+') ? 1 : 0;
    const auto characters = static_cast<std::int64_t>(count_characters(text.bytes()));
    TextBuilder builder(evaluator.budget());
    builder.append(text, 0, sign);
    builder.append_repeated(Text("0", Origin::templ),
                            static_cast<std::size_t>(std::max<std::int64_t>(0, width - characters)));
    builder.append(text, sign, text.size());
    return Value(builder.take_shared());
}

/// The value that a replacement field of `format` names: empty (the next argument), a number or a name, and attributes
/// or elements of that.
Result<Value> field_value(Evaluator& evaluator, std::string_view field, const Arguments& arguments, std::size_t& next) {
    const std::size_t end = std::min(field.find_first_of(".["), field.size());
    const std::string_view first = field.substr(0, end);
    Value value;
    const auto number = first.empty() ? std::nullopt : parse_integer(first, 10);
    if (first.empty() || number) {
        const std::size_t index = number ? static_cast<std::size_t>(*number) : next++;
        if (index >= arguments.positional.size()) {
            return evaluator.fail("Replacement index out of range for positional args tuple");
        }
        value = arguments.positional[index];
    } else {
        const auto found =
            std::ranges::find(arguments.named, first, [](const auto& entry) { return std::string_view(entry.first); });
        if (found == arguments.named.end()) return evaluator.fail(fmt::format("format has no argument '{}'", first));
        value = found->second;
    }
    std::string_view path = field.substr(end);
    while (!path.empty()) {
        const bool is_element = path.front() == '[';
        path.remove_prefix(1);
        const std::size_t stop = std::min(path.find_first_of(is_element ? "]" : ".["), path.size());
        const std::string_view name = path.substr(0, stop);
        path.remove_prefix(std::min(path.size(), stop + (is_element ? 1 : 0)));
        if (!path.empty() && path.front() != '.' && path.front() != '[') {
            return evaluator.fail("Only '.' or '[' may follow ']' in format field specifier");
        }
        const auto index = is_element ? parse_integer(name, 10) : std::nullopt;
        const Value key = index ? Value(*index) : Value::trusted(std::string(name));
        PUNA_TRY(value, is_element ? get_item(evaluator, value, key) : get_attribute(evaluator, value, name));
    }
    return value;
}

/// str.format, with `!s` and `!r`; format specifications (":>10") are refused.
Result<Value> format(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    const Text& text = own_text(self);
    const std::string_view bytes = text.bytes();
    TextBuilder builder(evaluator.budget());
    std::size_t next = 0;
    for (std::size_t i = 0; i < bytes.size();) {
        const std::size_t brace = std::min(bytes.find_first_of("{}", i), bytes.size());
        builder.append(text, i, brace);
        if (brace == bytes.size()) break;
        if (brace + 1 < bytes.size() && bytes[brace + 1] == bytes[brace]) {
            builder.append(text, brace, brace + 1);
            i = brace + 2;
            continue;
        }
        const std::size_t end = bytes.find('}', brace);
        if (bytes[brace] == '}' || end == std::string_view::npos) {
            return evaluator.fail(fmt::format("Single '{}' encountered in format string", bytes[brace]));
        }
        std::string_view field = bytes.substr(brace + 1, end - brace - 1);
        i = end + 1;
        const bool as_repr = field.ends_with("!r");
        if (as_repr || field.ends_with("!s")) field.remove_suffix(2);
        if (field.ends_with(':')) field.remove_suffix(1);
        if (field.find_first_of("{!:") != std::string_view::npos) {
            return evaluator.fail("format specifications are not supported in str.format");
        }
        PUNA_TRY(const Value value, field_value(evaluator, field, arguments, next));
        if (as_repr) {
            append_repr(builder, value);
        } else {
            append_str(builder, value);
        }
    }
    return Value(builder.take_shared());
}

constexpr std::array<Method, 6> form_method_table{{{"join", join},
                                                   {"format", format},
                                                   {"ljust", justify<Alignment::left>},
                                                   {"rjust", justify<Alignment::right>},
                                                   {"center", justify<Alignment::center>},
                                                   {"zfill", zfill}}};

}  // namespace

Value pad_text(Evaluator& evaluator, const Text& text, std::int64_t width, const Text& filler, Alignment alignment) {
    const auto characters = static_cast<std::int64_t>(count_characters(text.bytes()));
    const std::int64_t missing = std::max<std::int64_t>(0, width - characters);
    std::int64_t left = 0;
    if (alignment == Alignment::right) left = missing;
    // As CPython divides: of an odd number, the larger part goes left if the width is odd.
    if (alignment == Alignment::center) left = missing / 2 + (missing & width & 1);
    TextBuilder builder(evaluator.budget());
    builder.append_repeated(filler, static_cast<std::size_t>(left));
    builder.append(text);
    builder.append_repeated(filler, static_cast<std::size_t>(missing - left));
    return {builder.take_shared()};
}

std::span<const Method> text_form_methods() {
    return form_method_table;
}

}  // namespace puna::text::jinja
