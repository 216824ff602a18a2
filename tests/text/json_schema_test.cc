#include "text/grammar/json_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "text/grammar/matcher.h"

namespace puna::text::grammar {
namespace {

using ::testing::HasSubstr;

bool matches(const std::shared_ptr<const Grammar>& grammar, std::string_view text) {
    Matcher matcher(grammar);
    for (const char c : text) {
        if (!matcher.advance(static_cast<std::uint8_t>(c))) return false;
    }
    return matcher.accepts();
}

struct SchemaCase {
    const char* schema;
    std::vector<const char*> good, bad;
};

void check(const std::vector<SchemaCase>& cases) {
    for (const SchemaCase& c : cases) {
        SCOPED_TRACE(c.schema);
        auto compiled = compile_json_schema(c.schema);
        ASSERT_TRUE(compiled.ok()) << compiled.error().message;
        const auto grammar = std::make_shared<const Grammar>(std::move(compiled).value());
        for (const char* text : c.good)
            EXPECT_TRUE(matches(grammar, text)) << text;
        for (const char* text : c.bad)
            EXPECT_FALSE(matches(grammar, text)) << text;
    }
}

TEST(JsonSchema, Types) {
    check({
        {R"({"type":"null"})", {"null"}, {"nul", "true", "0", ""}},
        {R"({"type":["boolean","null"]})", {"true", "false", "null"}, {"0", "\"true\""}},
        {R"({"type":"integer"})", {"0", "-7", "123456789012345678"}, {"1.0", "01", "-0", "1e3", "1234567890123456789"}},
        {R"({"type":"number"})", {"0", "-0.5", "1e10", "12.25E-3"}, {"01", ".5", "1.", "+1", "1e100", "NaN"}},
        {R"({"type":"string"})",
         {R"("")", R"("a\n\u00e9\"\/")", "\"\xC3\xA9\"", R"("\uD83D\uDE00")"},
         {R"("a)", "\"\n\"", R"("\x")", R"("\uD83D")", R"("\uDE00")", "\"\xC3\""}},
        {R"({"type":"array"})", {"[]", "[ ]", "[1, [true,\n  null]]"}, {"[1,]", "[,]", "[", "[1 2]"}},
        {R"({"type":"object"})", {"{}", R"({"a": {"b":[]}, "a":1})"}, {"{a:1}", R"({"a"})", R"({"a":1,})"}},
        {R"(true)", {"{}", "[]", "1", "\"x\"", "null"}, {"x"}},
        {R"({})", {"{}", "[]", "1", "\"x\"", "null"}, {"x"}},
    });
}

TEST(JsonSchema, ObjectsHaveTheirPropertiesInOrder) {
    check({
        {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"null"},"c":{"type":"boolean"}},
             "required":["b"]})",
         {R"({"b":null})", R"({"a": 1, "b": null})", R"({"a":1,"b":null,"c":true})",
          "{\n  \"b\": null,\n  \"c\": false\n}"},
         {"{}", R"({"a":1})", R"({"b":null,"a":1})", R"({"b":null,"x":1})", R"({"b":1})", R"({"b":null,})",
          R"({,"b":null})", R"({"b":null "c":true})"}},
        {R"({"properties":{"a":{"type":"integer"}},"additionalProperties":{"type":"boolean"}})",
         {"{}", R"({"a":1})", R"({"x":true})", R"({"a":1,"x":true,"ab":false,"":true})"},
         {R"({"a":true})", R"({"x":1})", R"({"x":true,"a":1})", R"({"\u0061":true})", R"({"a":1,"a":true})"}},
        {R"({"type":"object","required":["x","y"]})", {R"({"x":[],"y":1})"}, {R"({"x":1})", "{}"}},
        {R"({"type":"object","additionalProperties":{"type":"null"},"minProperties":1,"maxProperties":2})",
         {R"({"a":null})", R"({"a":null,"b":null})"},
         {"{}", R"({"a":null,"b":null,"c":null})", R"({"a":1})"}},
        {R"({"type":"object","additionalProperties":false})", {"{}", "{ }"}, {R"({"a":1})"}},
        {R"({"type":"object","properties":{"a b":true,"\"":{"type":"null"}},"additionalProperties":false})",
         {R"({"a b":1,"\"":null})"},
         {R"({"a":1})"}},
    });
}

TEST(JsonSchema, AChoiceThatLeadsBackToItselfSaysNothing) {
    check({
        {R"({"anyOf":[{"$ref":"#"},{"type":"null"}]})", {"null"}, {"true", "1", "[]"}},
        {R"({"$ref":"#/$defs/a","$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"},{"type":"null"}]},
                                         "b":{"anyOf":[{"$ref":"#/$defs/a"},{"const":true}]}}})",
         {"null", "true"},
         {"false", "1"}},
        {R"({"type":"array","items":{"$ref":"#/$defs/e"},
             "$defs":{"e":{"anyOf":[{"type":"null"},{"allOf":[{"$ref":"#/$defs/e"}]}]}}})",
         {"[]", "[null, null]"},
         {"[0]", "[true]"}},
        // Here it is the same schema, but each of its choices is made.
        {R"({"allOf":[{"$ref":"#/$defs/x"}],"anyOf":[{"$ref":"#/$defs/x"},{"type":"string"}],
             "$defs":{"x":{"anyOf":[{"type":"integer"},{"const":"a"}]}}})",
         {"1", R"("a")"},
         {R"("b")", "true"}},
    });
}

TEST(JsonSchema, WhatMatchesNothingIsNoBranch) {
    check({
        {R"({"anyOf":[{"enum":["a"],"minLength":5,"maxLength":3},{"type":"null"}]})", {"null"}, {R"("a")"}},
        {R"({"anyOf":[{"enum":[1],"minimum":5,"maximum":3},{"type":"null"}]})", {"null"}, {"1"}},
        {R"({"anyOf":[{"type":"string","pattern":"[]"},{"type":"null"}]})", {"null"}, {R"("")"}},
        {R"({"type":"object","properties":{"a":{"enum":["x"],"type":"string","format":"date","maxLength":5}}})",
         {"{}"},
         {R"({"a":"x"})"}},
        {R"({"anyOf":[{"type":"number","minimum":0.5,"maximum":0.25},{"type":"null"}]})", {"null"}, {"0.3", "0.5"}},
    });
}

TEST(JsonSchema, ValuesBesideOtherKeywordsAreComparedAsValues) {
    check({
        {R"({"const":1e-6,"exclusiveMinimum":0})", {"1e-06"}, {"0"}},
        {R"({"enum":[0.5,1e-7,-1],"minimum":0})", {"0.5", "1e-07"}, {"-1"}},
        {R"({"enum":[9999999999999999999,1],"minimum":2})", {"9999999999999999999"}, {"1"}},
        {R"({"enum":[3,4,6.0,7.5],"multipleOf":3})", {"3", "6"}, {"4", "7.5"}},
        {R"({"enum":["\u0001","a","bb"],"minLength":1,"pattern":"^[^b]$"})", {R"("\u0001")", R"("a")"}, {R"("bb")"}},
        {R"({"enum":["äö","äöü"],"maxLength":2})", {R"("äö")"}, {R"("äöü")"}},
    });
}

TEST(JsonSchema, Arrays) {
    check({
        {R"({"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3})",
         {"[1,2]", "[1, 2, 3]"},
         {"[]", "[1]", "[1,2,3,4]", "[1,null]"}},
        {R"({"type":"array","items":{"type":"null"},"maxItems":0})", {"[]"}, {"[null]"}},
        {R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"null"}],"items":{"type":"boolean"}})",
         {"[]", "[1]", "[1,null]", "[1,null,true,false]"},
         {"[null]", "[1,true]", "[1,null,1]"}},
        {R"({"type":"array","prefixItems":[{"type":"integer"},{"type":"null"}],"items":false,"minItems":2})",
         {"[1,null]"},
         {"[1]", "[1,null,1]"}},
        {R"({"type":"array","prefixItems":[{"type":"integer"}],"maxItems":4,"minItems":3})",
         {"[1,{},[]]", "[1,2,3,4]"},
         {"[1,2]", "[1,2,3,4,5]"}},
        {R"({"allOf":[{"type":"array","prefixItems":[{"type":"integer"}],"items":{"type":"integer"}},
                      {"items":{"minimum":3}}]})",
         {"[3,4]"},
         {"[2]", "[3,2]"}},
    });
}

TEST(JsonSchema, IntegerRanges) {
    for (const auto& [low, high] : std::vector<std::pair<int, int>>{
             {0, 0}, {0, 9}, {-1, 1}, {5, 15}, {-120, -7}, {-99, 100}, {99, 1001}, {-1000, 250}, {123, 456}}) {
        const auto compiled = compile_json_schema("{\"type\":\"integer\",\"minimum\":" + std::to_string(low) +
                                                  ",\"exclusiveMaximum\":" + std::to_string(high + 1) + "}");
        ASSERT_TRUE(compiled.ok());
        const auto grammar = std::make_shared<const Grammar>(*compiled);
        for (int i = -1300; i <= 1300; ++i)
            ASSERT_EQ(matches(grammar, std::to_string(i)), low <= i && i <= high) << i << " in " << low << ", " << high;
    }
    check({
        {R"({"type":"integer","minimum":0.5,"maximum":2.5})", {"1", "2"}, {"0", "3"}},
        {R"({"type":"integer","minimum":10})", {"10", "999999999999999999"}, {"9", "-10"}},
        {R"({"type":"integer","exclusiveMaximum":-10})", {"-11", "-999999999999999999"}, {"-10", "0", "11"}},
        {R"({"type":"number","multipleOf":1,"maximum":3,"minimum":0})", {"3"}, {"3.0", "2.5"}},
    });
}

TEST(JsonSchema, Multiples) {
    for (const int multiple : {1, 2, 3, 7, 10, 25, 60, 100, 128, 1000, 777}) {
        for (const auto& [low, high] :
             std::vector<std::pair<int, int>>{{0, 0}, {-3000, 3000}, {5, 15}, {-120, -7}, {99, 1001}, {123, 2456}}) {
            const auto compiled = compile_json_schema(R"({"anyOf":[{"const":"x"},{"type":"integer","multipleOf":)" +
                                                      std::to_string(multiple) + ",\"minimum\":" + std::to_string(low) +
                                                      ",\"maximum\":" + std::to_string(high) + "}]}");
            ASSERT_TRUE(compiled.ok()) << compiled.error().message;
            const auto grammar = std::make_shared<const Grammar>(*compiled);
            for (int i = -3100; i <= 3100; ++i)
                ASSERT_EQ(matches(grammar, std::to_string(i)), low <= i && i <= high && i % multiple == 0)
                    << i << " in " << low << ", " << high << ", multiples of " << multiple;
        }
    }
    check({
        {R"({"type":"integer","multipleOf":7})",
         {"0", "7", "-14", "999999999999999999", "700000000000000000"},
         {"1", "-0", "07", "7.0", "999999999999999998", "1000000000000000006"}},
        {R"({"type":"number","multipleOf":5.0})", {"5", "-10"}, {"5.0", "1e1", "6"}},
        {R"({"multipleOf":1000000000})", {"0", "1000000000", "17000000000"}, {"100000000", "1000000001"}},
        {R"({"type":"integer","allOf":[{"multipleOf":4},{"multipleOf":6}]})", {"12", "-24"}, {"4", "6", "2"}},
        {R"({"enum":[1,2,3,4,5.5,"a"],"multipleOf":2})", {"2", "4", "\"a\""}, {"1", "3", "5.5"}},
    });
    for (const char* const refused : {"0", "-2", "0.01", "2.5", "1000000001", "1e300", "\"2\"", "null"}) {
        const auto compiled = compile_json_schema(std::string("{\"multipleOf\":") + refused + "}");
        ASSERT_FALSE(compiled.ok()) << refused;
        EXPECT_THAT(compiled.error().message, HasSubstr("multipleOf"));
    }
    // States beyond the limit are an error, never left out.
    EXPECT_THAT(compile_json_schema(R"({"type":"integer","multipleOf":99991})").error().message,
                HasSubstr("multiples of 99991 need more than"));
    EXPECT_TRUE(compile_json_schema(R"({"type":"integer","multipleOf":99991,"minimum":0,"maximum":1000000})").ok());
}

/// Every number of at most three digits behind the point, against the comparison of doubles.
TEST(JsonSchema, NumberRanges) {
    struct Range {
        const char* keywords;
        double low, high;
        bool low_out, high_out;
    };
    const double far = 1e300;
    const Range ranges[] = {
        {R"("minimum":0,"maximum":1)", 0, 1, false, false},
        {R"("exclusiveMinimum":0,"exclusiveMaximum":1)", 0, 1, true, true},
        {R"("minimum":-1.25,"maximum":2.5)", -1.25, 2.5, false, false},
        {R"("exclusiveMinimum":-1.25,"exclusiveMaximum":2.5)", -1.25, 2.5, true, true},
        {R"("minimum":0.1,"maximum":0.125)", 0.1, 0.125, false, false},
        {R"("exclusiveMinimum":1.05,"exclusiveMaximum":1.25)", 1.05, 1.25, true, true},
        {R"("minimum":-3.75,"exclusiveMaximum":-3.7)", -3.75, -3.7, false, true},
        {R"("minimum":-2,"maximum":-1)", -2, -1, false, false},
        {R"("exclusiveMaximum":0)", -far, 0, false, true},
        {R"("exclusiveMinimum":2)", 2, far, true, false},
        {R"("minimum":-0.5)", -0.5, far, false, false},
    };
    for (const Range& range : ranges) {
        SCOPED_TRACE(range.keywords);
        const auto compiled = compile_json_schema(std::string("{\"type\":\"number\",") + range.keywords + "}");
        ASSERT_TRUE(compiled.ok()) << compiled.error().message;
        const auto grammar = std::make_shared<const Grammar>(*compiled);
        for (int i = -4500; i <= 4500; ++i) {
            if (i == 0) continue;
            char text[16];
            std::snprintf(text, sizeof text, "%s%d.%03d", i < 0 ? "-" : "", std::abs(i) / 1000, std::abs(i) % 1000);
            const double value = std::strtod(text, nullptr);
            const bool inside = (range.low_out ? value > range.low : value >= range.low) &&
                                (range.high_out ? value < range.high : value <= range.high);
            ASSERT_EQ(matches(grammar, text), inside) << text;
        }
    }
    check({{R"({"type":"number","minimum":1,"maximum":3})",
            {"1", "2", "3", "3.0", "1.00"},
            {"0.99", "3.01", "1e0", "4"}}});
}

TEST(JsonSchema, Strings) {
    check({
        {R"({"type":"string","minLength":2,"maxLength":3})",
         {R"("ab")", R"("\u00e9\uD83D\uDE00x")", "\"\xC3\xA9\xF0\x9F\x98\x80\""},
         {R"("a")", R"("abcd")", R"("")"}},
        {R"({"type":"string","pattern":"^[a-z]+\\d$"})", {R"("ab1")"}, {R"("ab")", R"("1")", R"("ab1x")"}},
        {R"({"type":"string","pattern":"b"})", {R"("b")", R"("abc\n")"}, {R"("ac")", R"("")"}},
        {R"({"type":"string","pattern":"^[a-z]*$","minLength":2,"maxLength":4})",
         {R"("ab")", R"("abcd")"},
         {R"("a")", R"("abcde")", R"("aB")"}},
        {R"({"type":"string","pattern":"^.{2}$","allOf":[{"pattern":"a"},{"pattern":"[^b]$"}]})",
         {R"("aa")", R"("xa")", R"("ax")"},
         {R"("ab")", R"("xx")", R"("a")"}},
        {R"({"type":"string","pattern":"^[\"\\\\/]$"})", {R"("\"")", R"("\\")", R"("/")"}, {R"(""")", R"("\/")"}},
        {R"({"type":"string","format":"date"})",
         {R"("2024-02-29")", R"("1999-12-31")", R"("2000-02-29")"},
         {R"("2023-02-29")", R"("1900-02-29")", R"("2024-13-01")", R"("2024-04-31")", R"("0000-01-01")"}},
        {R"({"type":"string","format":"date-time"})",
         {R"("2024-02-29T23:59:59.5+01:00")", R"("2024-01-01T00:00:00Z")"},
         {R"("2024-01-01")", R"("2024-01-01T24:00:00Z")", R"("2024-01-01T00:00:00")"}},
        {R"({"type":"string","format":"uuid"})",
         {R"("123e4567-e89b-12d3-a456-426614174000")"},
         {R"("123e4567e89b12d3a456426614174000")"}},
        {R"({"type":"string","format":"ipv4"})",
         {R"("192.168.0.255")"},
         {R"("256.0.0.1")", R"("1.2.3")", R"("01.2.3.4")"}},
        {R"({"type":"string","format":"ipv6"})",
         {R"("::1")", R"("fe80::1:2")", R"("1:2:3:4:5:6:7:8")", R"("::ffff:1.2.3.4")", R"("1::")"},
         {R"("1:2:3")", R"(":::")", R"("1:2:3:4:5:6:7:8:9")"}},
        {R"({"type":"string","format":"email"})", {R"("a.b@example.org")"}, {R"("a@")", R"("a..b@c")", R"("@c")"}},
        {R"({"type":"string","format":"duration"})",
         {R"("P1Y2M3D")", R"("PT5M")", R"("P2W")"},
         {R"("P")", R"("PT")", R"("P1Y2D")"}},
        {R"({"type":"string","format":"uri","maxLength":30})",
         {R"("https://example.org/a?b#c")"},
         {R"("example.org")", R"("http:// x")"}},
    });
}

TEST(JsonSchema, EnumAndConst) {
    check({
        {R"({"enum":["a",1,null,[1,{"b":2}],1.0,"\u00e9\""]})",
         {R"("a")", "1", "null", R"([1,{"b":2}])", "\"\xC3\xA9\\\"\""},
         {"2", "1.0", R"("b")"}},
        {R"({"const":"x"})", {R"("x")"}, {R"("y")"}},
        {R"({"type":"string","enum":["a",1,"bc"],"minLength":2})", {R"("bc")"}, {R"("a")", "1"}},
        {R"({"enum":[1,2,3,4],"minimum":2,"allOf":[{"enum":[4,3.0,1]}]})", {"3", "4"}, {"1", "2"}},
        {R"({"enum":["a1","b"],"pattern":"\\d"})", {R"("a1")"}, {R"("b")"}},
    });
}

TEST(JsonSchema, Combinations) {
    check({
        {R"({"anyOf":[{"type":"integer","maximum":9,"minimum":0},{"type":"null"}]})", {"5", "null"}, {"10", "true"}},
        {R"({"type":"object","properties":{"k":{"type":"string"}},"required":["k"],
             "anyOf":[{"properties":{"k":{"const":"a"},"x":{"type":"null"}},"required":["x"]},{"properties":{"k":{"const":"b"}}}]})",
         {R"({"k":"a","x":null})", R"({"k":"b"})"},
         {R"({"k":"a"})", R"({"k":"c"})", R"({"k":"b","x":null})"}},
        {R"({"oneOf":[{"type":"string","maxLength":3},{"type":"boolean"}]})", {R"("ab")", "true"}, {"1"}},
        {R"({"oneOf":[{"type":"object","properties":{"t":{"const":"a"}},"required":["t"]},
                      {"type":"object","properties":{"t":{"const":"b"},"v":{"type":"null"}},"required":["t","v"]}]})",
         {R"({"t":"a"})", R"({"t":"b","v":null})"},
         {R"({"t":"b"})"}},
        {R"({"type":"integer","oneOf":[{"maximum":3},{"exclusiveMinimum":3}],"minimum":2,"allOf":[{"maximum":4}]})",
         {"2", "3", "4"},
         {"1", "5"}},
        {R"({"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},
                      {"properties":{"b":{"type":"null"},"a":{"maximum":5}},"required":["b"]}]})",
         {R"({"a":1,"b":null})"},
         {R"({"a":9,"b":null})", R"({"a":1})"}},
        {R"({"allOf":[{"properties":{"a":{"type":"integer"}},"additionalProperties":false},{"properties":{"b":true,"a":true}}]})",
         {R"({"a":1})", "{}"},
         {R"({"b":1})"}},
        {R"({"allOf":[{"properties":{"a":{"type":"null"}}}],"properties":{"b":{"type":"null"}},"unevaluatedProperties":false})",
         {R"({"a":null,"b":null})", R"({"b":null})"},
         {R"({"c":1})"}},
        {R"({"anyOf":[{"type":"null"},{"allOf":[{"properties":{"a":{"type":"null"}}}],"unevaluatedProperties":false}]})",
         {"null", R"({"a":null})"},
         {R"({"b":1})"}},
    });
    EXPECT_FALSE(compile_json_schema(R"({"properties":{"b":{}},"allOf":[{"unevaluatedProperties":false}]})").ok());
    EXPECT_FALSE(
        compile_json_schema(R"({"anyOf":[{"properties":{"b":{}}}],"allOf":[{"unevaluatedProperties":false}]})").ok());
}

TEST(JsonSchema, References) {
    check({
        {R"({"$defs":{"tree":{"type":"object","properties":{"v":{"type":"integer"},"l":{"$ref":"#/$defs/tree"}},
             "required":["v"],"additionalProperties":false}},"$ref":"#/$defs/tree"})",
         {R"({"v":1})", R"({"v":1,"l":{"v":2,"l":{"v":3}}})"},
         {R"({"v":1,"l":{}})"}},
        {R"({"type":"array","items":{"$ref":"#"}})", {"[]", "[[],[[]]]"}, {"[1]"}},
        {R"({"$ref":"#/$defs/a~1b%25","minimum":3,"$defs":{"a/b%":{"type":"integer"}}})", {"3"}, {"2"}},
        {R"({"prefixItems":[{"type":"null"},{"$ref":"#/prefixItems/0"}],"minItems":2,"items":false})",
         {"[null,null]"},
         {"[null,1]"}},
    });
}

/// The keywords, between backticks, of the rows of docs/constraints.md whose second column says just "refused".
std::vector<std::string> refused_by_the_documentation() {
    std::ifstream file(PUNA_TEST_DATA "/../docs/constraints.md");
    std::vector<std::string> keywords;
    bool in_table = false;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("| keyword |")) in_table = true;
        if (!in_table || !line.starts_with("|")) {
            in_table = in_table && line.starts_with("|");
            continue;
        }
        const std::size_t end = line.find(" | ");
        if (end == std::string::npos || !line.substr(end).starts_with(" | refused")) continue;
        const std::string cell = line.substr(0, end);
        for (std::size_t begin = cell.find('`'); begin != std::string::npos;) {
            const std::size_t close = cell.find('`', begin + 1);
            keywords.push_back(cell.substr(begin + 1, close - begin - 1));
            begin = cell.find('`', close + 1);
        }
    }
    return keywords;
}

TEST(JsonSchema, EveryKeywordThatTheDocumentationRefusesIsRefusedByName) {
    // The documented words that stand for more than the keyword with any value.
    const std::map<std::string, std::pair<std::string, std::string>> special = {
        {"uniqueItems: true", {"uniqueItems", R"({"type":"array","uniqueItems":true})"}},
        {"items", {"items", R"({"items":[{}]})"}},
        {"$id", {"$id", R"({"properties":{"a":{"$id":"x"}}})"}},
    };
    const std::vector<std::string> keywords = refused_by_the_documentation();
    EXPECT_GE(keywords.size(), 20U);
    for (const std::string& keyword : keywords) {
        const auto known = special.find(keyword);
        const std::string name = known == special.end() ? keyword : known->second.first;
        const std::string schema = known == special.end() ? "{\"" + keyword + "\":{}}" : known->second.second;
        const auto compiled = compile_json_schema(schema);
        ASSERT_FALSE(compiled.ok()) << schema;
        EXPECT_EQ(compiled.error().code, ErrorCode::invalid_argument);
        EXPECT_THAT(compiled.error().message, HasSubstr(name)) << schema;
    }
    for (const char* format : {"regex", "iri", "idn-email", "uri-template", "color"}) {
        const auto compiled = compile_json_schema(std::string(R"({"format":")") + format + "\"}");
        ASSERT_FALSE(compiled.ok()) << format;
        EXPECT_THAT(compiled.error().message, HasSubstr(format));
    }
}

TEST(JsonSchema, WhatIsNotSupportedIsRefusedByNameAndPlace) {
    const std::pair<const char*, const char*> cases[] = {
        {R"({"not":{}})", "'not'"},
        {R"({"properties":{"a":{"if":{}}}})", "#/properties/a"},
        {R"({"type":"array","contains":{}})", "'contains'"},
        {R"({"type":"array","uniqueItems":true})", "uniqueItems"},
        {R"({"patternProperties":{"a":{}}})", "'patternProperties'"},
        {R"({"propertyNames":{}})", "'propertyNames'"},
        {R"({"dependentRequired":{}})", "'dependentRequired'"},
        {R"({"multipleOf":0.01})", "multipleOf"},
        {R"({"format":"regex"})", "format"},
        {R"({"nullable":true})", "'nullable'"},
        {R"({"minimun":1})", "'minimun'"},
        {R"({"$ref":"other.json"})", "another document"},
        {R"({"$ref":"#/$defs/x"})", "not there"},
        {R"({"$ref":"#"})", "refers to itself"},
        {R"({"allOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"allOf":[{"$ref":"#/$defs/a"}]}}})", "refers to itself"},
        {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "branches 0 and 1"},
        {R"({"oneOf":[{"properties":{"a":{"const":1}}},{"properties":{"a":{"const":2}}}]})", "branches 0 and 1"},
        {R"({"items":[{}]})", "items"},
        {R"({"type":"int"})", "type"},
        {R"({"type":[]})", "type"},
        {R"({"minLength":-1})", "minLength"},
        {R"({"minimum":"1"})", "minimum"},
        {R"j({"pattern":"(?=a)"})j", "regular expression"},
        {R"({"pattern":"\\p{L}"})", "regular expression"},
        {R"({"required":"a"})", "required"},
        {R"({"enum":1})", "enum"},
        {R"({"const":1e300})", "exact"},
        {R"({"type":"number","minimum":0.12345678901234567})", "digits"},
        {R"({"properties":{"a":{}},"minProperties":3})", "minProperties"},
        {R"({"type":"object","additionalProperties":{},"minProperties":2})", "minProperties"},
        {R"({"type":"object","minProperties":1,"maxProperties":0})", "no value"},
        {R"({"type":"number","minimum":0.5,"maximum":0.25})", "no value"},
        {R"({"type":"number","minimum":-0.25,"maximum":-0.5})", "no value"},
        {R"({"type":"number","exclusiveMinimum":0.5,"maximum":0.5})", "no value"},
        {R"({"type":"number","minimum":0.12345678901234,"exclusiveMaximum":100000})", "digits"},
        {R"({"type":"number","exclusiveMinimum":-1000000,"maximum":-1e-12})", "digits"},
        {R"({"anyOf":[{"$ref":"#"}]})", "no value"},
        {R"({"enum":["a"],"minLength":5,"maxLength":3})", "no value"},
        {R"({"type":"string","pattern":"[]"})", "no value"},
        {R"({"pattern":"[\\d-x]"})", "range"},
        {R"(false)", "no value"},
        {R"({"type":"string","enum":[1]})", "no value"},
        {R"({"type":"integer","minimum":3,"maximum":2})", "no value"},
        {R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})", "no value"},
        {R"({"type":"string","pattern":"^a$","minLength":2})", "no value"},
        {R"({"type":"string","maxLength":1000000})", "nodes"},
        {R"({"type":"array","minItems":1000000000})", "nodes"},
        {R"({"type":"string","pattern":"^.*x.*$","minLength":30000,"maxLength":60000})", "states"},
        {R"({"a":1,"a":2})", "twice"},
        {R"({)", "valid JSON"},
        {R"([])", "neither"},
    };
    for (const auto& [schema, expected] : cases) {
        const auto compiled = compile_json_schema(schema);
        ASSERT_FALSE(compiled.ok()) << schema;
        EXPECT_EQ(compiled.error().code, ErrorCode::invalid_argument);
        EXPECT_THAT(compiled.error().message, HasSubstr(expected)) << schema;
    }
    std::string deep;
    for (int i = 0; i < 50000; ++i)
        deep += "{\"items\":";
    EXPECT_FALSE(compile_json_schema(deep).ok());
    std::string many = R"({"$defs":{"x":{"anyOf":[{},{"minimum":1},{"maximum":2},{"minLength":3}]}},"allOf":[)";
    for (int i = 0; i < 20; ++i)
        many += std::string(i == 0 ? "" : ",") + R"({"anyOf":[{"minimum":1},{"maximum":2}]})";
    EXPECT_FALSE(compile_json_schema(many + "]}").ok());
}

}  // namespace
}  // namespace puna::text::grammar
