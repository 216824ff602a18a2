// Qwen3-Coder: <tool_call>, <function=NAME>, <parameter=KEY> with the value as it is, and their ends. What type a value
// has is the schema's to say: one that need not be a string and is JSON is taken as such.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "text/chat_parse/formats.h"

namespace puna::text::chat_parse {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t max_key = 256;
constexpr std::string_view key_ends[] = {">"}, value_ends[] = {"</parameter>"};

/// Whether the tool's schema says that `key` has types, and string is none of them.
bool is_no_string(const Tool* tool, const std::string& key) {
    const Json schema = tool == nullptr ? Json() : Json::parse(tool->parameters, nullptr, /*allow_exceptions=*/false);
    const auto member = [](const Json& json, const std::string& name) {
        const auto found = json.is_object() ? json.find(name) : json.end();
        return json.is_object() && found != json.end() ? *found : Json();
    };
    const Json type = member(member(member(schema, "properties"), key), "type");
    if (type.is_array()) return std::ranges::find(type, Json("string")) == type.end();
    return type.is_string() && type != "string";
}

std::string json_text(const std::string& text) {
    return Json(text).dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

std::string argument(const Tool* tool, const std::string& key, std::string value) {
    // The line breaks beside the marks are theirs.
    if (value.starts_with('\n')) value.erase(0, 1);
    if (value.ends_with('\n')) value.pop_back();
    if (is_no_string(tool, key) && Json::accept(value)) return value;
    return json_text(value);
}

}  // namespace

Script read_qwen3_coder(Reader& in) {
    co_await in.space();
    PUNA_NEED(in.literal("<function="));
    PUNA_NEED(in.name());
    const std::string name = in.captured();
    PUNA_NEED(in.literal(">"));
    if (!in.start_call(name, {})) co_return false;
    const Tool* const tool = in.find_tool(name);
    in.arguments("{");
    for (bool first = true;; first = false) {
        co_await in.space();
        PUNA_NEED(in.literal("<"));
        const int next = co_await in.peek();
        if (next == '/') break;
        PUNA_NEED(in.literal("parameter="));
        int met = co_await in.until(key_ends, max_key);
        if (met != 0) co_return false;
        const std::string key = in.captured();
        met = co_await in.until(value_ends, in.options().max_call_bytes);
        if (met != 0) co_return false;
        in.arguments((first ? "" : ", ") + json_text(key) + ": " + argument(tool, key, in.captured()));
    }
    PUNA_NEED(in.literal("/function>"));
    in.arguments("}");
    if (!in.finish_call()) co_return false;
    co_await in.space();
    PUNA_NEED(in.literal("</tool_call>"));
    co_return true;
}

}  // namespace puna::text::chat_parse
