#include "text/chat_template/text_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/try.h"
#include "text/chat_template/access.h"
#include "text/chat_template/characters.h"
#include "text/chat_template/functions.h"
#include "text/chat_template/methods.h"

namespace puna::text::jinja {
namespace {

constexpr std::size_t npos = std::string_view::npos;

Result<const Text*> require_text(Evaluator& evaluator, const Value& value) {
    PUNA_CHECK(evaluator.require_defined(value));
    if (const Text* text = value.as_text()) return text;
    return evaluator.fail(fmt::format("expected str, got {}", value.type_name()));
}

Value part(Evaluator& evaluator, const Text& text, std::size_t begin, std::size_t end) {
    return {part_of(evaluator.budget(), text, begin, end)};
}

/// The byte range of text[start:end], as the methods that take those two have it.
Result<std::string_view> window(Evaluator& evaluator, const Text& text, const Parameters& given, std::size_t start,
                                std::size_t end, std::size_t& offset) {
    offset = 0;
    if (given[start] == nullptr && given[end] == nullptr) return text.bytes();
    const auto size = static_cast<std::int64_t>(count_characters(text.bytes()));
    const auto bound = [&](std::size_t index, std::int64_t otherwise) -> Result<std::int64_t> {
        if (given[index] == nullptr || given[index]->is_none()) return otherwise;
        PUNA_TRY(const std::int64_t value, given.integer(evaluator, index, otherwise));
        return std::clamp<std::int64_t>(value < 0 ? value + size : value, 0, size);
    };
    PUNA_TRY(const std::int64_t first, bound(start, 0));
    PUNA_TRY(const std::int64_t last, bound(end, size));
    offset = byte_offset(text.bytes(), static_cast<std::size_t>(first));
    const std::size_t stop = byte_offset(text.bytes(), static_cast<std::size_t>(last));
    return text.bytes().substr(offset, stop > offset ? stop - offset : 0);
}

/// startswith and endswith: one text or a tuple of them.
template <bool at_start>
Result<Value> has_affix(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    const std::string_view name = at_start ? "startswith" : "endswith";
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, name, arguments, {"affix", "start", "end"}, 1));
    PUNA_CHECK(evaluator.require_defined(*given[0]));
    std::size_t offset = 0;
    PUNA_TRY(const std::string_view bytes, window(evaluator, own_text(self), given, 1, 2, offset));
    std::vector<Value> candidates{*given[0]};
    if (const Sequence* tuple = given[0]->as_sequence(); tuple != nullptr && tuple->is_tuple()) {
        candidates = tuple->items();
    }
    for (const Value& candidate : candidates) {
        const Text* affix = candidate.as_text();
        if (affix == nullptr) {
            return evaluator.fail(
                fmt::format("{} first arg must be str or a tuple of str, not {}", name, candidate.type_name()));
        }
        if (at_start ? bytes.starts_with(affix->bytes()) : bytes.ends_with(affix->bytes())) return Value(true);
    }
    return Value(false);
}

/// The byte of the last occurrence.
std::size_t find_last(Evaluator& evaluator, std::string_view text, std::string_view searched) {
    if (searched.empty()) return text.size();
    std::size_t last = npos;
    for (std::size_t at = find_text(text, searched); at != npos; at = find_text(text, searched, at + 1)) {
        last = at;
        if (!evaluator.budget().spend_text(searched.size())) break;
    }
    return last;
}

/// find, rfind, index and rindex.
template <bool from_end, bool must_be_there>
Result<Value> find(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "find", arguments, {"sub", "start", "end"}, 1));
    PUNA_TRY(const Text* searched, require_text(evaluator, *given[0]));
    std::size_t offset = 0;
    PUNA_TRY(const std::string_view bytes, window(evaluator, own_text(self), given, 1, 2, offset));
    const std::size_t found =
        from_end ? find_last(evaluator, bytes, searched->bytes()) : find_text(bytes, searched->bytes());
    if (found != npos) return Value::size(count_characters(own_text(self).bytes().substr(0, offset + found)));
    if (must_be_there) return evaluator.fail("substring not found");
    return Value::integer(-1);
}

Result<Value> count(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "count", arguments, {"sub", "start", "end"}, 1));
    PUNA_TRY(const Text* searched, require_text(evaluator, *given[0]));
    std::size_t offset = 0;
    PUNA_TRY(const std::string_view bytes, window(evaluator, own_text(self), given, 1, 2, offset));
    if (searched->size() == 0) return Value::size(count_characters(bytes) + 1);
    std::size_t found = 0;
    for (std::size_t at = find_text(bytes, searched->bytes()); at != npos;
         at = find_text(bytes, searched->bytes(), at + searched->size()))
        ++found;
    return Value::size(found);
}

Result<Value> replace(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "replace", arguments, {"old", "new", "count"}, 2));
    PUNA_TRY(const Text* old, require_text(evaluator, *given[0]));
    PUNA_TRY(const Text* replacement, require_text(evaluator, *given[1]));
    PUNA_TRY(const std::int64_t limit, given.integer(evaluator, 2, -1));
    return replace_text(evaluator, own_text(self), *old, *replacement, limit);
}

template <bool left, bool right>
Result<Value> strip_method(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "strip", arguments, {"chars"}, 0));
    return strip_text(evaluator, own_text(self), left, right, given.or_none(0));
}

template <bool at_start>
Result<Value> remove_affix(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "removeprefix", arguments, {"affix"}, 1));
    PUNA_TRY(const Text* affix, require_text(evaluator, *given[0]));
    const Text& text = own_text(self);
    const std::string_view bytes = text.bytes();
    if (at_start && bytes.starts_with(affix->bytes())) return part(evaluator, text, affix->size(), text.size());
    if (!at_start && bytes.ends_with(affix->bytes())) return part(evaluator, text, 0, text.size() - affix->size());
    return self;
}

/// Ranges of bytes that `split` yields.
using Pieces = std::vector<ByteRange>;

/// At runs of whitespace; at most `limit` cuts, if that is not negative.
Pieces split_at_spaces(std::string_view text, std::int64_t limit) {
    Pieces pieces;
    std::size_t begin = strip(text, true, false).begin;
    while (begin < text.size()) {
        if (limit >= 0 && static_cast<std::int64_t>(pieces.size()) == limit) {
            pieces.push_back({begin, text.size()});
            break;
        }
        std::size_t end = begin;
        while (end < text.size()) {
            const Character character = character_at(text, end);
            if (character.valid && is_space(character.code_point)) break;
            end = character.end;
        }
        pieces.push_back({begin, end});
        begin = end + strip(text.substr(end), true, false).begin;
    }
    return pieces;
}

Pieces split_at_spaces_from_end(std::string_view text, std::int64_t limit) {
    Pieces pieces;
    std::size_t end = strip(text, false, true).end;
    while (end > 0) {
        if (limit >= 0 && static_cast<std::int64_t>(pieces.size()) == limit) {
            pieces.push_back({0, end});
            break;
        }
        std::size_t begin = end;
        while (begin > 0) {
            const Character character = character_before(text, begin);
            if (character.valid && is_space(character.code_point)) break;
            begin = character.begin;
        }
        pieces.push_back({begin, end});
        end = strip(text.substr(0, begin), false, true).end;
    }
    std::ranges::reverse(pieces);
    return pieces;
}

Pieces split_at(std::string_view text, std::string_view separator, std::int64_t limit) {
    Pieces pieces;
    std::size_t begin = 0;
    while (limit < 0 || static_cast<std::int64_t>(pieces.size()) < limit) {
        const std::size_t at = find_text(text, separator, begin);
        if (at == npos) break;
        pieces.push_back({begin, at});
        begin = at + separator.size();
    }
    pieces.push_back({begin, text.size()});
    return pieces;
}

Pieces split_at_from_end(std::string_view text, std::string_view separator, std::int64_t limit) {
    Pieces pieces;
    std::size_t end = text.size();
    std::size_t at = end;
    while (at >= separator.size() && (limit < 0 || static_cast<std::int64_t>(pieces.size()) < limit)) {
        at -= separator.size();
        while (at > 0 && text.compare(at, separator.size(), separator) != 0)
            --at;
        if (text.compare(at, separator.size(), separator) != 0) break;
        pieces.push_back({at + separator.size(), end});
        end = at;
    }
    pieces.push_back({0, end});
    std::ranges::reverse(pieces);
    return pieces;
}

template <bool from_end>
Result<Value> split(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "split", arguments, {"sep", "maxsplit"}, 0));
    PUNA_TRY(const std::int64_t wanted, given.integer(evaluator, 1, -1));
    // Of more pieces than can be paid for, the budget's end is all that is seen.
    const auto most = static_cast<std::int64_t>(evaluator.budget().affordable_items()) + 1;
    const std::int64_t limit = wanted < 0 ? most : std::min(wanted, most);
    const Text& text = own_text(self);
    Pieces pieces;
    if (given.or_none(0).is_none()) {
        pieces = from_end ? split_at_spaces_from_end(text.bytes(), limit) : split_at_spaces(text.bytes(), limit);
    } else {
        PUNA_TRY(const Text* separator, require_text(evaluator, *given[0]));
        if (separator->size() == 0) return evaluator.fail("empty separator");
        // Backwards, each byte is compared with the separator.
        if (from_end) evaluator.budget().spend(1 + text.size() / 64 * (1 + separator->size() / 64));
        if (evaluator.budget().exhausted()) return Value();
        pieces = from_end ? split_at_from_end(text.bytes(), separator->bytes(), limit)
                          : split_at(text.bytes(), separator->bytes(), limit);
    }
    std::vector<Value> items;
    for (const auto& [begin, end] : pieces) {
        if (!evaluator.budget().spend_items(1)) break;
        items.push_back(part(evaluator, text, begin, end));
    }
    return Value::list(std::move(items));
}

template <bool from_end>
Result<Value> partition(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "partition", arguments, {"sep"}, 1));
    PUNA_TRY(const Text* separator, require_text(evaluator, *given[0]));
    if (separator->size() == 0) return evaluator.fail("empty separator");
    const Text& text = own_text(self);
    const std::size_t at =
        from_end ? find_last(evaluator, text.bytes(), separator->bytes()) : find_text(text.bytes(), separator->bytes());
    const Value nothing = Value::trusted("");
    if (at == npos) {
        return from_end ? Value::tuple({nothing, nothing, self}) : Value::tuple({self, nothing, nothing});
    }
    const std::size_t end = at + separator->size();
    return Value::tuple(
        {part(evaluator, text, 0, at), part(evaluator, text, at, end), part(evaluator, text, end, text.size())});
}

Result<Value> lines(Evaluator& evaluator, const Value& self, const Arguments& arguments) {
    PUNA_TRY(const Parameters given, Parameters::bind(evaluator, "splitlines", arguments, {"keepends"}, 0));
    return Value::list(split_lines(evaluator, own_text(self), given.flag(0, false)));
}

bool is_line_end(char32_t c) {
    return (c >= '\n' && c <= '\r') || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

constexpr std::array<Method, 18> search_method_table{{{"startswith", has_affix<true>},
                                                      {"endswith", has_affix<false>},
                                                      {"find", find<false, false>},
                                                      {"rfind", find<true, false>},
                                                      {"index", find<false, true>},
                                                      {"rindex", find<true, true>},
                                                      {"count", count},
                                                      {"replace", replace},
                                                      {"strip", strip_method<true, true>},
                                                      {"lstrip", strip_method<true, false>},
                                                      {"rstrip", strip_method<false, true>},
                                                      {"removeprefix", remove_affix<true>},
                                                      {"removesuffix", remove_affix<false>},
                                                      {"split", split<false>},
                                                      {"rsplit", split<true>},
                                                      {"partition", partition<false>},
                                                      {"rpartition", partition<true>},
                                                      {"splitlines", lines}}};

}  // namespace

Value replace_text(Evaluator& evaluator, const Text& text, const Text& old, const Text& replacement,
                   std::int64_t limit) {
    TextBuilder builder(evaluator.budget());
    const std::string_view bytes = text.bytes();
    evaluator.budget().spend_text(bytes.size());
    std::size_t begin = 0;
    std::size_t from = 0;
    while (limit != 0 && !evaluator.budget().exhausted()) {
        const std::size_t at = find_text(bytes, old.bytes(), from);
        if (at == npos) break;
        builder.append(text, begin, at);
        builder.append(replacement);
        begin = at + old.size();
        from = begin;
        if (old.size() == 0) {
            if (at == bytes.size()) break;
            from = character_at(bytes, at).end;
        }
        --limit;
    }
    builder.append(text, begin, bytes.size());
    return {builder.take_shared()};
}

std::vector<Value> split_lines(Evaluator& evaluator, const Text& text, bool keep_ends) {
    std::vector<Value> result;
    const std::string_view bytes = text.bytes();
    std::size_t begin = 0;
    for (std::size_t i = 0; i < bytes.size() && !evaluator.budget().exhausted();) {
        const Character character = character_at(bytes, i);
        i = character.end;
        if (!character.valid || !is_line_end(character.code_point)) continue;
        if (character.code_point == '\r' && i < bytes.size() && bytes[i] == '\n') ++i;
        evaluator.budget().spend_items(1);
        result.push_back(part(evaluator, text, begin, keep_ends ? i : character.begin));
        begin = i;
    }
    if (begin < bytes.size()) result.push_back(part(evaluator, text, begin, bytes.size()));
    return result;
}

Result<Value> strip_text(Evaluator& evaluator, const Text& text, bool left, bool right, const Value& characters) {
    ByteRange range{};
    if (characters.is_none()) {
        range = strip(text.bytes(), left, right);
    } else {
        PUNA_TRY(const Text* set, require_text(evaluator, characters));
        evaluator.budget().spend_text(8 * set->size());
        const CharacterSet stripped(set->bytes());
        range = strip(text.bytes(), left, right, &stripped);
    }
    return part(evaluator, text, range.begin, range.end);
}

std::span<const Method> text_search_methods() {
    return search_method_table;
}

}  // namespace puna::text::jinja
