#include "text/chat_parse/argument_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.h"
#include "text/chat_parse/free_text.h"
#include "text/grammar/json_schema.h"

namespace puna::text::chat_parse {
namespace {

using grammar::GrammarBuilder;
using Id = GrammarBuilder::Id;
using Json = nlohmann::ordered_json;

constexpr std::string_view value_end = "</parameter>";

Error about(const Tool& tool, std::string what, std::string hint) {
    return {ErrorCode::invalid_argument, fmt::format("tool {}: {}", tool.name, what), std::move(hint)};
}
Error not_kept(const Tool& tool, std::string_view what) {
    return about(tool, fmt::format("{}, which calls in this format cannot be held to", what),
                 "take a format that writes arguments as JSON, or leave it out of the schema");
}

/// The parameters, of type object. Nothing else can be a call's arguments.
Result<Json> object_schema(const Tool& tool) {
    Json schema = Json::parse(tool.parameters, nullptr, /*allow_exceptions=*/false);
    if (!schema.is_object()) return about(tool, "its parameters are no schema of an object", "");
    const auto type = schema.find("type");
    if (type == schema.end()) {
        schema["type"] = "object";
    } else if (*type != "object") {
        return about(tool, "its parameters are not of type object", "");
    }
    return schema;
}

Result<Id> include_schema(GrammarBuilder& builder, const Tool& tool, const Json& schema) {
    auto grammar = grammar::compile_json_schema(schema.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!grammar.ok()) return about(tool, grammar.error().message, grammar.error().hint);
    return builder.include(std::move(grammar).value());
}

/// Whether all references go to definitions, which stay where they are when a property's schema becomes the root.
bool refers_to_definitions(const Json& schema) {
    if (!schema.is_structured()) return true;
    for (const auto& [key, value] : schema.items()) {
        const std::string target = key == "$ref" && value.is_string() ? value.get<std::string>() : "#/$defs/";
        if (!target.starts_with("#/$defs/") && !target.starts_with("#/definitions/")) return false;
        if (!refers_to_definitions(value)) return false;
    }
    return true;
}

/// Whether `schema`'s types hold a string. No type at all: nullopt.
std::optional<bool> allows_string(const Json& schema) {
    const auto type = schema.is_object() ? schema.find("type") : schema.end();
    if (!schema.is_object() || type == schema.end()) return std::nullopt;
    if (type->is_array()) return std::ranges::find(*type, Json("string")) != type->end();
    return *type == "string";
}

/// A string as it is, and the mark behind it.
Result<Id> raw_string(GrammarBuilder& builder, const Tool& tool, const std::string& name, const Json& schema) {
    constexpr std::string_view harmless[] = {"type",       "title",    "description", "default", "examples",
                                             "deprecated", "$comment", "enum",        "const"};
    for (const auto& [key, value] : schema.items()) {
        if (std::ranges::find(harmless, key) == std::end(harmless))
            return not_kept(tool, fmt::format("parameter {} is a string with {}", name, key));
    }
    std::vector<Json> values;
    if (const auto constant = schema.find("const"); constant != schema.end()) values.push_back(*constant);
    if (const auto list = schema.find("enum"); list != schema.end() && list->is_array()) {
        if (!values.empty()) return not_kept(tool, fmt::format("parameter {} has both enum and const", name));
        values.assign(list->begin(), list->end());
    }
    if (values.empty()) return free_text(builder, {.exits = {{value_end, builder.sequence({})}}});
    std::vector<Id> choices;
    for (const Json& value : values) {
        const std::string text = value.is_string() ? value.get<std::string>() : std::string();
        if (!value.is_string() || text.find(value_end) != std::string::npos)
            return not_kept(tool, fmt::format("parameter {} has the value {}", name, value.dump()));
        choices.push_back(builder.bytes(text));
    }
    return builder.sequence({builder.choice(std::move(choices)), builder.bytes("\n"), builder.bytes(value_end)});
}

Result<Id> tagged_value(GrammarBuilder& builder, const Tool& tool, const Json& root, const std::string& name,
                        const Json& schema) {
    const std::optional<bool> string = allows_string(schema);
    if (!string) return not_kept(tool, fmt::format("parameter {} has no type", name));
    if (*string) return raw_string(builder, tool, name, schema);
    if (!refers_to_definitions(schema)) return not_kept(tool, fmt::format("parameter {} refers to another", name));
    Json document = schema;
    for (const char* const definitions : {"$defs", "definitions"}) {
        if (root.contains(definitions)) document[definitions] = root[definitions];
    }
    if (!refers_to_definitions(document)) return not_kept(tool, "a definition refers to another schema");
    PUNA_TRY(const Id value, include_schema(builder, tool, document));
    return builder.sequence({value, builder.bytes("\n"), builder.bytes(value_end)});
}

}  // namespace

Result<Id> json_arguments(GrammarBuilder& builder, const Tool& tool) {
    PUNA_TRY(const Json schema, object_schema(tool));
    return include_schema(builder, tool, schema);
}

Result<Id> tagged_arguments(GrammarBuilder& builder, const Tool& tool) {
    PUNA_TRY(const Json schema, object_schema(tool));
    constexpr std::string_view known[] = {"type",  "properties",  "required", "additionalProperties", "$defs",
                                          "title", "description", "$schema",  "definitions",          "$comment"};
    for (const auto& [key, value] : schema.items()) {
        if (std::ranges::find(known, key) == std::end(known))
            return not_kept(tool, fmt::format("its parameters have {}", key));
    }
    const Json properties = schema.value("properties", Json::object());
    const Json required = schema.value("required", Json::array());
    if (!properties.is_object() || !required.is_array()) return about(tool, "its parameters are no schema", "");
    std::set<std::string> needed;
    for (const Json& name : required) {
        if (!name.is_string() || !properties.contains(name.get<std::string>()))
            return not_kept(tool, fmt::format("it requires {}, which is no property", name.dump()));
        needed.insert(name.get<std::string>());
    }
    std::vector<Id> parts;
    for (const auto& [name, property] : properties.items()) {
        if (name.find('>') != std::string::npos) return not_kept(tool, fmt::format("the name of parameter {}", name));
        PUNA_TRY(const Id value, tagged_value(builder, tool, schema, name, property));
        const Id part =
            builder.sequence({builder.bytes(fmt::format("<parameter={}>\n", name)), value, builder.bytes("\n")});
        parts.push_back(needed.contains(name) ? part : builder.repeat(part, 0, 1));
    }
    return builder.sequence(std::move(parts));
}

}  // namespace puna::text::chat_parse
