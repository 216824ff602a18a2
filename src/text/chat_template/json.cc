#include "text/chat_template/json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/try.h"
#include "text/chat_template/characters.h"
#include "text/chat_template/python_format.h"

namespace puna::text::jinja {
namespace {

Error not_serializable(const Value& value) {
    return {
        ErrorCode::invalid_argument, fmt::format("Object of type {} is not JSON serializable", value.type_name()), {}};
}

std::string escaped(std::string_view text, const Character& character, bool ensure_ascii) {
    const auto c = static_cast<std::uint32_t>(character.code_point);
    switch (c) {
        case '"': return "\\\"";
        case '\\': return "\\\\";
        case '\n': return "\\n";
        case '\r': return "\\r";
        case '\t': return "\\t";
        case '\f': return "\\f";
        case '\b': return "\\b";
        default: break;
    }
    const bool as_it_is = c >= 0x20 && (!ensure_ascii || c < 0x7F);
    if (as_it_is) return std::string(text.substr(character.begin, character.end - character.begin));
    if (c < 0x10000) return fmt::format("\\u{:04x}", c);
    return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((c - 0x10000) >> 10u), 0xDC00 + ((c - 0x10000) & 0x3FFu));
}

class Writer {
  public:
    Writer(TextBuilder& out, const JsonOptions& options) : out_(out), options_(options) {}

    Result<void> write(const Value& value, std::size_t level) {
        if (out_.budget().exhausted()) return {};
        if (const Text* text = value.as_text()) {
            write_string(*text);
        } else if (const Sequence* sequence = value.as_sequence();
                   sequence != nullptr && (sequence->is_tuple() || sequence->kind() == Sequence::Kind::list)) {
            return write_list(sequence->items(), level);
        } else if (const Dict* dict = value.as_dict()) {
            return write_dict(*dict, level);
        } else if (const auto written = scalar(value)) {
            out_.append(*written, Origin::input);
        } else {
            return not_serializable(value);
        }
        return {};
    }

  private:
    static std::optional<std::string> scalar(const Value& value) {
        if (value.is_none()) return "null";
        if (const bool* flag = value.as_bool()) return *flag ? "true" : "false";
        if (const auto integer = value.as_integer()) return format_integer(*integer);
        const double* number = value.as_float();
        if (number == nullptr) return std::nullopt;
        if (std::isnan(*number)) return "NaN";
        if (std::isinf(*number)) return *number < 0 ? "-Infinity" : "Infinity";
        return format_float(*number);
    }

    void write_string(const Text& text) {
        out_.append("\"", Origin::input);
        std::size_t begin = 0;
        for (const Text::Run& run : text.runs()) {
            std::string written;
            while (begin < run.end) {
                const Character character = character_at(text.bytes().substr(0, run.end), begin);
                written += escaped(text.bytes(), character, options_.ensure_ascii);
                begin = character.end;
            }
            out_.append(written, run.origin);
        }
        out_.append("\"", Origin::input);
    }

    void write_line_break(std::size_t level) {
        if (!options_.indent) return;
        out_.append("\n", Origin::input);
        out_.append_repeated(*options_.indent, level);
    }

    Result<void> write_list(const std::vector<Value>& items, std::size_t level) {
        out_.append("[", Origin::input);
        for (std::size_t i = 0; i < items.size() && !out_.budget().exhausted(); ++i) {
            if (i > 0) out_.append(options_.item_separator);
            write_line_break(level + 1);
            PUNA_CHECK(write(items[i], level + 1));
        }
        if (!items.empty()) write_line_break(level);
        out_.append("]", Origin::input);
        return {};
    }

    Result<void> write_dict(const Dict& dict, std::size_t level) {
        PUNA_TRY(const std::vector<Dict::Entry> entries, ordered(dict));
        out_.append("{", Origin::input);
        for (std::size_t i = 0; i < entries.size() && !out_.budget().exhausted(); ++i) {
            if (i > 0) out_.append(options_.item_separator);
            write_line_break(level + 1);
            PUNA_CHECK(write_key(entries[i].first));
            out_.append(options_.key_separator);
            PUNA_CHECK(write(entries[i].second, level + 1));
        }
        if (!entries.empty()) write_line_break(level);
        out_.append("}", Origin::input);
        return {};
    }

    Result<void> write_key(const Value& key) {
        if (const Text* text = key.as_text()) {
            write_string(*text);
            return {};
        }
        const auto written = scalar(key);
        if (!written) {
            return Error{ErrorCode::invalid_argument,
                         fmt::format("keys must be str, int, float, bool or None, not {}", key.type_name()),
                         {}};
        }
        out_.append("\"" + *written + "\"", Origin::input);
        return {};
    }

    Result<std::vector<Dict::Entry>> ordered(const Dict& dict) {
        out_.budget().spend_items(dict.size());
        std::vector<Dict::Entry> entries = dict.entries();
        if (!options_.sort_keys) return entries;
        const auto is_text = [](const Dict::Entry& entry) { return entry.first.as_text() != nullptr; };
        const auto is_integer = [](const Dict::Entry& entry) { return entry.first.as_integer().has_value(); };
        if (std::ranges::all_of(entries, is_text)) {
            std::ranges::stable_sort(entries, {}, [](const Dict::Entry& e) { return e.first.as_text()->bytes(); });
        } else if (std::ranges::all_of(entries, is_integer)) {
            std::ranges::stable_sort(entries, {}, [](const Dict::Entry& e) { return *e.first.as_integer(); });
        } else if (entries.size() > 1) {
            return Error{ErrorCode::invalid_argument, "keys to sort are neither all texts nor all integers", {}};
        }
        return entries;
    }

    TextBuilder& out_;
    const JsonOptions& options_;
};

}  // namespace

Result<void> append_json(TextBuilder& out, const Value& value, const JsonOptions& options) {
    return Writer(out, options).write(value, 0);
}

}  // namespace puna::text::jinja
