// JSON as values for templates.
#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/try.h"
#include "text/chat_template/value.h"

namespace puna::text::jinja {

/// Texts count as input. `Json` should be nlohmann::ordered_json, which keeps the order of keys that `tojson` writes
/// them in. Errors: invalid_argument (nested deeper than `max_value_depth`, or binary).
template <typename Json>
Result<Value> from_json(const Json& json, std::size_t depth = 0) {
    if (depth > max_value_depth) {
        return Error{ErrorCode::invalid_argument, "the JSON is nested too deeply for a chat template", {}};
    }
    switch (json.type()) {
        case Json::value_t::null: return Value();
        case Json::value_t::boolean: return Value(json.template get<bool>());
        case Json::value_t::number_integer: return Value(static_cast<Integer>(json.template get<std::int64_t>()));
        case Json::value_t::number_unsigned: return Value(static_cast<Integer>(json.template get<std::uint64_t>()));
        case Json::value_t::number_float: return Value(json.template get<double>());
        case Json::value_t::string: return Value::input(json.template get<std::string>());
        case Json::value_t::array: {
            std::vector<Value> items;
            for (const auto& element : json) {
                PUNA_TRY(Value item, from_json(element, depth + 1));
                items.push_back(std::move(item));
            }
            return Value::list(std::move(items));
        }
        case Json::value_t::object: {
            auto dict = std::make_shared<Dict>();
            for (const auto& [name, element] : json.items()) {
                PUNA_TRY(Value item, from_json(element, depth + 1));
                dict->set(Value::input(name), std::move(item));
            }
            return Value(DictPtr(std::move(dict)));
        }
        default: break;
    }
    return Error{ErrorCode::invalid_argument, "the JSON holds binary data", {}};
}

}  // namespace puna::text::jinja
