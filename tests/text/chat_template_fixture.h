// Templates rendered from JSON, as the tests of chat templates do it.
#pragma once

#include <gtest/gtest.h>

#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template/chat_template.h"
#include "text/chat_template/from_json.h"

namespace puna::text {

inline TextSpan own(std::string text) {
    return {std::move(text), true};
}

inline TextSpan input(std::string text) {
    return {std::move(text), false};
}

using OrderedJson = nlohmann::ordered_json;

inline std::string read_test_file(const std::string& name) {
    std::ifstream file(std::string(PUNA_TEST_DATA) + "/text/data/" + name, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

inline OrderedJson read_ordered_json(const std::string& name) {
    return OrderedJson::parse(read_test_file(name));
}

/// The time that tools/make_chat_template_expected.py fixes.
inline std::tm fixture_time() {
    std::tm time{};
    time.tm_year = 126;
    time.tm_mon = 1;
    time.tm_mday = 3;
    time.tm_hour = 4;
    time.tm_min = 5;
    time.tm_sec = 6;
    time.tm_wday = 2;
    time.tm_yday = 33;
    return time;
}

/// `json` must be an object.
inline jinja::Dict variables_from(const OrderedJson& json) {
    const auto value = jinja::from_json(json);
    EXPECT_TRUE(value.ok());
    return value.ok() ? *value->as_dict() : jinja::Dict();
}

inline Result<std::vector<TextSpan>> render(std::string_view source, const jinja::Dict& variables,
                                            ChatTemplateLimits limits = {}) {
    auto parsed = ChatTemplate::parse(source);
    if (!parsed.ok()) return std::move(parsed).error();
    return parsed->render(variables, {.now = fixture_time(), .limits = limits});
}

/// The text, or the error's message.
inline std::string render_to_text(std::string_view source, const jinja::Dict& variables) {
    const auto spans = render(source, variables);
    return spans.ok() ? joined(*spans) : spans.error().message;
}

}  // namespace puna::text
