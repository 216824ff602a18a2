#include "text/grammar/schema_facets.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>
#include <utility>

#include "base/try.h"

namespace puna::text::grammar {
namespace {

constexpr std::size_t max_schema = 1 << 20;
constexpr int max_nesting = 100;
constexpr std::size_t max_references = 100;  // one behind the other
constexpr std::size_t max_parts = 1000;
/// Doubles are exact for integers up to this one.
constexpr double exact_integers = 9007199254740992.0;

/// Keywords that say nothing about which values are valid.
constexpr std::string_view annotations[] = {
    "title",    "description", "default", "examples",    "deprecated", "readOnly",        "writeOnly",
    "$comment", "$schema",     "$defs",   "definitions", "$anchor",    "contentEncoding", "contentMediaType"};

constexpr std::pair<std::string_view, TypeSet> type_names[] = {
    {"null", null_type},     {"boolean", boolean_type}, {"integer", integer_type}, {"number", number_types},
    {"string", string_type}, {"array", array_type},     {"object", object_type}};

/// Why a keyword is refused, where there is more to say than that it is.
std::string_view hint_for(std::string_view keyword) {
    if (keyword == "additionalItems") return "in draft 2020-12, prefixItems and items say this";
    if (keyword == "nullable") return "write \"type\": [..., \"null\"]";
    if (keyword == "dependencies" || keyword == "if") return "write the cases as anyOf";
    return "docs/constraints.md lists what is supported";
}

bool is_schema(const Json& json) {
    return json.is_boolean() || json.is_object();
}

/// The path to `target` as a JSON pointer; false if it is not below `at`. The nesting is limited.
bool find_path(const Json& at, const Json& target, std::string& path) {
    if (&at == &target) return true;
    const std::size_t length = path.size();
    const auto try_child = [&](const Json& child, const std::string& name) {
        path += '/' + name;
        if (find_path(child, target, path)) return true;
        path.resize(length);
        return false;
    };
    if (at.is_object()) {
        for (const auto& [name, child] : at.items()) {
            if (try_child(child, name)) return true;
        }
    }
    for (std::size_t i = 0; at.is_array() && i < at.size(); ++i) {
        if (try_child(at[i], std::to_string(i))) return true;
    }
    return false;
}

/// Unescapes %XX of a URI's fragment.
std::string percent_decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto digit = [&](std::size_t at) {
            return at < text.size() ? std::string_view("0123456789abcdef").find(static_cast<char>(text[at] | 0x20))
                                    : std::string_view::npos;
        };
        if (text[i] == '%' && digit(i + 1) < 16 && digit(i + 2) < 16) {
            out += static_cast<char>(16 * digit(i + 1) + digit(i + 2));
            i += 2;
        } else {
            out += text[i];
        }
    }
    return out;
}

/// Equality of JSON values: numbers by value, objects whatever their order. The nesting is limited.
bool equal(const Json& a, const Json& b) {
    if (!a.is_object() || !b.is_object()) {
        if (!a.is_array() || !b.is_array()) return a == b;
        return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), equal);
    }
    if (a.size() != b.size()) return false;
    for (const auto& [key, value] : a.items()) {
        const auto other = b.find(key);
        if (other == b.end() || !equal(value, *other)) return false;
    }
    return true;
}

}  // namespace

TypeSet type_of(const Json& value) {
    switch (value.type()) {
        case Json::value_t::null: return null_type;
        case Json::value_t::boolean: return boolean_type;
        case Json::value_t::number_integer:
        case Json::value_t::number_unsigned: return integer_type;
        case Json::value_t::number_float:
            return std::floor(value.get<double>()) == value.get<double>() ? integer_type : fractional_type;
        case Json::value_t::string: return string_type;
        case Json::value_t::array: return array_type;
        default: return object_type;
    }
}

SchemaDocument::SchemaDocument(std::unique_ptr<Json> root) : root_(std::move(root)) {}
SchemaDocument::SchemaDocument(SchemaDocument&&) noexcept = default;
SchemaDocument::~SchemaDocument() = default;

Result<SchemaDocument> SchemaDocument::parse(std::string_view text) {
    const auto malformed = [](std::string what) {
        return Error{ErrorCode::invalid_argument, fmt::format("the JSON schema {}", what), "check the schema's text"};
    };
    if (text.size() > max_schema) return malformed("is longer than 1 MiB");
    std::string problem;
    std::vector<std::set<std::string>> keys;  // of the objects that are open
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (depth > max_nesting) problem = fmt::format("nests deeper than {}", max_nesting);
        if (event == Json::parse_event_t::object_start) keys.emplace_back();
        if (event == Json::parse_event_t::object_end) keys.pop_back();
        if (event == Json::parse_event_t::key && !keys.back().insert(parsed.get<std::string>()).second)
            problem = fmt::format("has the key '{}' twice in one object", parsed.get<std::string>());
        return problem.empty();
    };
    auto root = std::make_unique<Json>(Json::parse(text, watch, /*allow_exceptions=*/false));
    if (!problem.empty()) return malformed(problem);
    if (root->is_discarded()) return malformed("is not valid JSON");
    return SchemaDocument(std::move(root));
}

Error SchemaDocument::fail(const Json& where, std::string_view what, std::string hint) const {
    std::string path = "#";
    find_path(*root_, where, path);
    return {ErrorCode::invalid_argument, fmt::format("the JSON schema {}, at {}", what, path),
            hint.empty() ? "docs/constraints.md lists what is supported" : std::move(hint)};
}

Result<const Json*> SchemaDocument::resolve(const Json& schema, const Json& reference) const {
    if (!reference.is_string() || !reference.get_ref<const std::string&>().starts_with('#'))
        return fail(schema, "has a $ref to another document",
                    "put what it refers to into $defs, and write #/$defs/NAME");
    std::string pointer = percent_decoded(std::string_view(reference.get_ref<const std::string&>()).substr(1));
    const Json* at = root_.get();
    while (!pointer.empty()) {
        if (pointer[0] != '/') return fail(schema, "has a $ref to an anchor", "write it as #/$defs/NAME");
        const std::size_t end = std::min(pointer.find('/', 1), pointer.size());
        std::string name;
        for (std::size_t i = 1; i < end; ++i) {
            const bool escaped = pointer[i] == '~' && i + 1 < end;
            name += escaped ? (pointer[i + 1] == '1' ? '/' : '~') : pointer[i];
            i += escaped ? 1 : 0;
        }
        pointer.erase(0, end);
        const Json* next = nullptr;
        if (at->is_object()) {
            const auto found = at->find(name);
            if (found != at->end()) next = &*found;
        } else if (at->is_array() && !name.empty() && name.size() < 7 &&
                   name.find_first_not_of("0123456789") == std::string::npos) {
            std::size_t index = 0;
            for (const char c : name)
                index = 10 * index + static_cast<std::size_t>(c - '0');
            if (index < at->size()) next = &(*at)[index];
        }
        if (next == nullptr) return fail(schema, fmt::format("has a $ref to {}, which is not there", reference.dump()));
        at = next;
    }
    return at;
}

Result<Facets> SchemaDocument::facets_of(const Conjunction& conjunction) const {
    Facets facets;
    std::vector<const Json*> path;
    const bool alone = conjunction.size() == 1;
    for (const SchemaPart& part : conjunction)
        PUNA_CHECK(add(part, alone, path, facets));
    std::sort(facets.parts.begin(), facets.parts.end());
    if (facets.repeated) {
        PUNA_TRY(const bool circle, leads_back(facets));
        facets.impossible = facets.impossible || circle;
    }
    for (const auto& [schema, own_members, own_choices] : facets.inner) {
        if (own_members == facets.members.size() && own_choices == facets.choices.size()) continue;
        return fail(*schema, "has unevaluatedProperties in a schema that is joined with others for objects",
                    "move it to the schema that joins them");
    }
    if (facets.has_values) {
        std::erase_if(facets.values, [&](const Json* value) { return (type_of(*value) & facets.types) == 0; });
        TypeSet types = 0;
        for (const Json* value : facets.values)
            types |= type_of(*value);
        facets.types = types;
    }
    if (!facets.typed && facets.mentioned != 0) facets.types = facets.mentioned;
    if (facets.whole) facets.types &= static_cast<TypeSet>(~fractional_type);
    return facets;
}

Result<void> SchemaDocument::add(SchemaPart part, bool alone, std::vector<const Json*>& path, Facets& facets) const {
    const Json& schema = *part.schema;
    if (schema.is_boolean()) {
        facets.impossible = facets.impossible || !schema.get<bool>();
        return {};
    }
    if (!schema.is_object()) return fail(schema, "has something that is neither an object nor true or false");
    if (std::find(path.begin(), path.end(), &schema) != path.end() || path.size() >= max_references)
        return fail(schema, "refers to itself without anything in between", "remove the circle of $ref or allOf");
    const SchemaPart own{part.schema, true, part.free};
    if (std::find(facets.parts.begin(), facets.parts.end(), own) != facets.parts.end()) {
        facets.repeated = facets.repeated || schema.contains("anyOf") || schema.contains("oneOf");
        return {};
    }
    if (facets.parts.size() >= max_parts) return fail(schema, "joins too many schemas by allOf and $ref");
    facets.parts.push_back(own);
    path.push_back(&schema);
    std::optional<Facets::Members> members;
    const std::size_t first_members = facets.members.size(), first_choice = facets.choices.size();
    for (const auto& [key, value] : schema.items()) {
        if (key == "$ref" || key == "allOf" || key == "anyOf" || key == "oneOf") {
            if (part.own) continue;
            if (key == "$ref") {
                PUNA_TRY(const Json* const target, resolve(schema, value));
                PUNA_CHECK(add({target, false, part.free}, false, path, facets));
                continue;
            }
            if (!value.is_array() || value.empty())
                return fail(schema, fmt::format("has {} that is no list of schemas", key));
            for (const Json& branch : value) {
                if (!is_schema(branch)) return fail(schema, fmt::format("has {} that is no list of schemas", key));
                if (key == "allOf") PUNA_CHECK(add({&branch, false, part.free}, false, path, facets));
            }
            if (key != "allOf") facets.choices.push_back({&value, key == "oneOf"});
            continue;
        }
        if (key == "properties" || key == "additionalProperties" || key == "unevaluatedProperties") {
            if (!(key == "properties" ? value.is_object() : is_schema(value)))
                return fail(schema, fmt::format("has {} of a wrong type", key));
            facets.mentioned |= object_type;
            if (!members) members = Facets::Members{nullptr, nullptr, false};
            if (key == "properties") members->properties = &value;
            if (key == "additionalProperties") members->others = &value;
            if (key == "unevaluatedProperties" && !schema.contains("additionalProperties")) {
                members->others = &value;
                members->of_all = true;
            }
            continue;
        }
        PUNA_CHECK(add_keyword(schema, key, value, part, facets));
    }
    if (members) facets.members.push_back(*members);
    if (members && members->of_all && !alone && !part.own)
        facets.inner.push_back({&schema, facets.members.size() - first_members, facets.choices.size() - first_choice});
    path.pop_back();
    return {};
}

Result<bool> SchemaDocument::leads_back(const Facets& facets) const {
    std::map<const Json*, std::vector<const Json*>> open;  // of each part, the parts that it asks for
    for (const SchemaPart& part : facets.parts)
        open[part.schema];
    for (auto& [schema, asked] : open) {
        for (const auto& [key, value] : schema->items()) {
            if (key == "$ref") {
                PUNA_TRY(const Json* const target, resolve(*schema, value));
                asked.push_back(target);
            }
            if (key != "allOf" && key != "anyOf" && key != "oneOf") continue;
            for (const Json& branch : value)
                asked.push_back(&branch);
        }
        // Branches that were not chosen, and schemas that are true or false.
        std::erase_if(asked, [&](const Json* other) { return !open.contains(other); });
    }
    // Parts that ask for settled ones alone are settled; those of a circle never are.
    const auto is_settled = [&](const auto& part) {
        return std::ranges::none_of(part.second, [&](const Json* other) { return open.contains(other); });
    };
    while (std::erase_if(open, is_settled) > 0) {
    }
    return !open.empty();
}

Result<void> SchemaDocument::add_keyword(const Json& schema, const std::string& key, const Json& value, SchemaPart part,
                                         Facets& facets) const {
    if (std::find(std::begin(annotations), std::end(annotations), key) != std::end(annotations)) return {};
    if (key == "$id" && &schema == root_.get()) return {};
    if (key == "type") {
        TypeSet types = 0;
        const auto add_type = [&](const Json& name) {
            const auto* const found = std::find_if(std::begin(type_names), std::end(type_names),
                                                   [&](const auto& entry) { return name == entry.first; });
            if (found != std::end(type_names)) types |= found->second;
            return found != std::end(type_names);
        };
        const bool known =
            value.is_array() ? !value.empty() && std::all_of(value.begin(), value.end(), add_type) : add_type(value);
        if (!known) return fail(schema, "has a type that JSON Schema does not know");
        facets.types &= types;
        facets.typed = true;
        return {};
    }
    if (key == "enum" || key == "const") {
        if (key == "enum" && !value.is_array()) return fail(schema, "has an enum that is no list");
        if (part.free) return {};
        std::vector<const Json*> values;
        if (key == "const") values.push_back(&value);
        for (std::size_t i = 0; key == "enum" && i < value.size(); ++i)
            values.push_back(&value[i]);
        for (const Json* const one : values) {
            if (one->is_number_float() && type_of(*one) == integer_type &&
                std::abs(one->get<double>()) >= exact_integers)
                return fail(schema, fmt::format("has a number in {} that is too large to be exact", key));
        }
        if (facets.has_values) {
            std::erase_if(facets.values, [&](const Json* old) {
                return std::none_of(values.begin(), values.end(), [&](const Json* one) { return equal(*old, *one); });
            });
        } else {
            facets.values = std::move(values);
        }
        facets.has_values = facets.typed = true;
        return {};
    }
    for (const auto add_one : {&SchemaDocument::add_number_keyword, &SchemaDocument::add_string_keyword,
                               &SchemaDocument::add_array_keyword, &SchemaDocument::add_object_keyword}) {
        PUNA_TRY(const bool known, (this->*add_one)(schema, key, value, facets));
        if (known) return {};
    }
    return fail(schema, fmt::format("has the keyword '{}', which is not supported", key), std::string(hint_for(key)));
}

Result<std::uint64_t> SchemaDocument::count(const Json& schema, const std::string& key, const Json& value) const {
    if (value.is_number_unsigned()) return value.get<std::uint64_t>();
    if (value.is_number_float() && value.get<double>() >= 0 && value.get<double>() < exact_integers &&
        type_of(value) == integer_type)
        return static_cast<std::uint64_t>(value.get<double>());
    return fail(schema, fmt::format("has {} that is no integer from 0 on", key));
}

Result<bool> SchemaDocument::add_number_keyword(const Json& schema, const std::string& key, const Json& value,
                                                Facets& facets) const {
    const bool lower = key == "minimum" || key == "exclusiveMinimum";
    if (key == "multipleOf") {
        const bool whole = value.is_number() && type_of(value) == integer_type;
        const double multiple = whole ? value.get<double>() : 0;
        if (multiple < 1 || multiple > static_cast<double>(JsonText::greatest_multiple)) {
            return fail(schema, fmt::format("has multipleOf {}; integers from 1 to {} are supported", value.dump(),
                                            JsonText::greatest_multiple));
        }
        facets.multiple = std::lcm(facets.multiple, static_cast<std::uint64_t>(multiple));
        if (facets.multiple > JsonText::greatest_multiple)
            return fail(schema, "joins several multipleOf whose common multiple is too large");
        facets.whole = true;
        facets.mentioned |= number_types;
        return true;
    }
    if (!lower && key != "maximum" && key != "exclusiveMaximum") return false;
    if (!value.is_number()) return fail(schema, fmt::format("has {} that is no number", key));
    if (!value.is_number_float() && std::abs(value.get<double>()) > exact_integers)
        return fail(schema, fmt::format("has {} that is too large to be exact", key));
    facets.mentioned |= number_types;
    const JsonText::Bound bound{value.get<double>(), key.starts_with('e')};
    std::optional<JsonText::Bound>& held = lower ? facets.min : facets.max;
    const bool tighter = !held || (lower ? bound.value > held->value : bound.value < held->value) ||
                         (bound.value == held->value && bound.exclusive);
    if (tighter) held = bound;
    return true;
}

Result<bool> SchemaDocument::add_string_keyword(const Json& schema, const std::string& key, const Json& value,
                                                Facets& facets) const {
    if (key == "minLength" || key == "maxLength") {
        PUNA_TRY(const std::uint64_t length, count(schema, key, value));
        if (key == "minLength") facets.min_length = std::max(facets.min_length, length);
        if (key == "maxLength") facets.max_length = std::min(facets.max_length, length);
    } else if (key == "pattern") {
        if (!value.is_string()) return fail(schema, "has a pattern that is no string");
        facets.patterns.push_back(value.get<std::string>());
    } else if (key == "format") {
        const std::string_view pattern =
            value.is_string() ? pattern_of_format(value.get_ref<const std::string&>()) : "";
        if (pattern.empty())
            return fail(schema, fmt::format("has the format {}, which is not supported", value.dump()));
        facets.patterns.emplace_back(pattern);
    } else {
        return false;
    }
    facets.mentioned |= string_type;
    return true;
}

Result<bool> SchemaDocument::add_array_keyword(const Json& schema, const std::string& key, const Json& value,
                                               Facets& facets) const {
    if (key == "minItems" || key == "maxItems") {
        PUNA_TRY(const std::uint64_t items, count(schema, key, value));
        if (key == "minItems") facets.min_items = std::max(facets.min_items, items);
        if (key == "maxItems") facets.max_items = std::min(facets.max_items, items);
    } else if (key == "items" || key == "unevaluatedItems") {
        if (!is_schema(value))
            return fail(schema, fmt::format("has {} that is no schema", key),
                        "in draft 2020-12, a list of schemas is called prefixItems");
        if (key == "unevaluatedItems" && (schema.contains("$ref") || schema.contains("allOf") ||
                                          schema.contains("anyOf") || schema.contains("oneOf")))
            return fail(schema, "has unevaluatedItems beside $ref, allOf, anyOf or oneOf, which is not supported");
        if (key == "items" || !schema.contains("items")) {
            const auto prefix = schema.find("prefixItems");
            facets.items.push_back({prefix == schema.end() ? nullptr : &*prefix, &value});
        }
    } else if (key == "prefixItems") {
        if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_schema))
            return fail(schema, "has prefixItems that is no list of schemas");
        if (!schema.contains("items") && !schema.contains("unevaluatedItems"))
            facets.items.push_back({&value, nullptr});
    } else if (key == "uniqueItems") {
        if (value != false) return fail(schema, "has uniqueItems, which is not supported");
    } else {
        return false;
    }
    facets.mentioned |= array_type;
    return true;
}

Result<bool> SchemaDocument::add_object_keyword(const Json& schema, const std::string& key, const Json& value,
                                                Facets& facets) const {
    if (key == "required") {
        if (!value.is_array()) return fail(schema, "has required that is no list of names");
        for (const Json& name : value) {
            if (!name.is_string()) return fail(schema, "has required that is no list of names");
            facets.required.push_back(name.get<std::string>());
        }
    } else if (key == "minProperties" || key == "maxProperties") {
        PUNA_TRY(const std::uint64_t properties, count(schema, key, value));
        if (key == "minProperties") facets.min_properties = std::max(facets.min_properties, properties);
        if (key == "maxProperties") facets.max_properties = std::min(facets.max_properties, properties);
    } else {
        return false;
    }
    facets.mentioned |= object_type;
    return true;
}

}  // namespace puna::text::grammar
