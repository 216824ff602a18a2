#include "text/chat_parse/tools.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace puna::text::chat_parse {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t max_tools = 1000;

Error malformed(std::string what) {
    return {ErrorCode::invalid_argument, std::move(what),
            R"(tools are [{"type": "function", "function": {"name": ..., "parameters": {...}}}, ...])"};
}

const Json* member(const Json& json, const char* name) {
    if (!json.is_object()) return nullptr;
    const auto found = json.find(name);
    return found == json.end() ? nullptr : &*found;
}

}  // namespace

bool is_tool_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == ':' || c == '/';
}

bool is_tool_name(std::string_view name) {
    return !name.empty() && name.size() <= max_tool_name && std::ranges::all_of(name, is_tool_name_byte);
}

Result<std::vector<Tool>> parse_tools(std::string_view json) {
    const Json list = Json::parse(json, nullptr, /*allow_exceptions=*/false);
    if (!list.is_array()) return malformed("the tools are no JSON array");
    if (list.size() > max_tools) return malformed(fmt::format("there are more than {} tools", max_tools));
    std::vector<Tool> tools;
    for (const Json& entry : list) {
        const std::size_t number = tools.size();
        const Json* const function = member(entry, "function");
        const Json& tool = function != nullptr ? *function : entry;
        const Json* const name = member(tool, "name");
        if (name == nullptr || !name->is_string()) return malformed(fmt::format("tool {} has no name", number));
        Tool parsed{name->get<std::string>(), R"({"type": "object", "properties": {}})"};
        if (!is_tool_name(parsed.name)) {
            return malformed(
                fmt::format("the name of tool {} is not 1 to {} letters, digits and _ - . : /", number, max_tool_name));
        }
        if (std::ranges::find(tools, parsed.name, &Tool::name) != tools.end())
            return malformed(fmt::format("two tools are named {}", parsed.name));
        if (const Json* const parameters = member(tool, "parameters"); parameters != nullptr) {
            if (!parameters->is_object())
                return malformed(fmt::format("the parameters of {} are no schema", parsed.name));
            parsed.parameters = parameters->dump(-1, ' ', false, Json::error_handler_t::replace);
        }
        tools.push_back(std::move(parsed));
    }
    return tools;
}

}  // namespace puna::text::chat_parse
