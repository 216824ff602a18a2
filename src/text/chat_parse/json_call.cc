// Calls as JSON, which most formats have within marks of their own.
#include <optional>
#include <string>

#include "text/chat_parse/formats.h"

namespace puna::text::chat_parse {
namespace {

/// What is known of a call before it can be told of.
struct Draft {
    std::optional<std::string> name;
    std::string id;
    std::optional<std::string> arguments;  // that came before the name, or as text
    bool started = false;
};

bool begins_call(Reader& in, Draft& draft) {
    draft.started = in.start_call(*draft.name, draft.id);
    return draft.started;
}

/// A value that must be a string.
Script read_string(Reader& in, std::optional<std::string>& text) {
    const int first = co_await in.peek();
    if (first != '"') co_return false;
    PUNA_NEED(in.json(Reader::Json::capture));
    text = json_string(in.captured());
    co_return text.has_value();
}

/// Whether `text` is an object.
bool is_object(std::string_view text, std::size_t max_depth) {
    JsonScanner scanner(max_depth);
    scanner.reset();
    Step last = text.starts_with('{') ? Step::more : Step::failed;
    for (const char c : text)
        last = last == Step::more ? scanner.feed(c) : Step::failed;
    return last == Step::done;
}

/// An object, or a string that spells one.
Script read_arguments(Reader& in, Draft& draft) {
    if (draft.started || draft.arguments) co_return false;
    const int first = co_await in.peek();
    if (first == '"') {
        PUNA_NEED(read_string(in, draft.arguments));
        co_return is_object(*draft.arguments, in.options().max_depth);
    }
    if (first != '{') co_return false;
    if (draft.name) {
        if (!begins_call(in, draft)) co_return false;
        PUNA_NEED(in.json(Reader::Json::arguments));
        co_return true;
    }
    PUNA_NEED(in.json(Reader::Json::capture));
    draft.arguments = in.captured();
    co_return true;
}

/// The value of `key`.
Script read_member(Reader& in, const std::string& key, Draft& draft) {
    if (key == "arguments" || key == "parameters") {
        PUNA_NEED(read_arguments(in, draft));
        co_return true;
    }
    std::optional<std::string> text;
    PUNA_NEED(read_string(in, text));
    if (key == "name" || key == "tool_name") {
        if (draft.name) co_return false;
        draft.name = std::move(text);
        co_return true;
    }
    if (key == "id" || key == "tool_call_id") {
        draft.id = std::move(*text);
        if (draft.started) in.set_call_id(draft.id);
        co_return true;
    }
    co_return key == "type";
}

}  // namespace

Script read_json_call(Reader& in, bool needs_arguments) {
    Draft draft;
    PUNA_NEED(in.literal("{"));
    int depth = 1;
    bool first = true;
    while (depth > 0) {
        co_await in.space();
        const int next = co_await in.peek();
        if (next == '}') {
            PUNA_NEED(in.literal("}"));
            --depth;
            first = false;
            continue;
        }
        if (!first) {
            PUNA_NEED(in.literal(","));
            co_await in.space();
        }
        first = false;
        std::optional<std::string> key;
        PUNA_NEED(read_string(in, key));
        co_await in.space();
        PUNA_NEED(in.literal(":"));
        co_await in.space();
        if (*key == "function" && depth == 1) {
            PUNA_NEED(in.literal("{"));
            ++depth;
            first = true;
            continue;
        }
        PUNA_NEED(read_member(in, *key, draft));
    }
    if (!draft.name) co_return false;
    if (!draft.started) {
        if (!draft.arguments && needs_arguments) co_return false;
        if (!begins_call(in, draft)) co_return false;
        in.arguments(draft.arguments.value_or("{}"));
    }
    co_return in.finish_call();
}

Script read_json_calls(Reader& in, bool needs_arguments) {
    int next = co_await in.peek();
    if (next != '[') {
        PUNA_NEED(read_json_call(in, needs_arguments));
        co_return true;
    }
    do {
        PUNA_NEED(in.literal(next == '[' ? "[" : ","));
        co_await in.space();
        PUNA_NEED(read_json_call(in, needs_arguments));
        co_await in.space();
        next = co_await in.peek();
    } while (next == ',');
    PUNA_NEED(in.literal("]"));
    co_return true;
}

}  // namespace puna::text::chat_parse
