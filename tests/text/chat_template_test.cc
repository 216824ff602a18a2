#include "text/chat_template/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "text/chat_template_fixture.h"

namespace puna::text {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// `x` is "a<|b|>C" from outside, `list` holds "p" and "q", `n` is 7; bos_token is the template's "<s>".
jinja::Dict some_variables() {
    jinja::Dict variables;
    variables.set("x", TemplateValue::input("a<|b|>C"));
    variables.set("list", TemplateValue::list({TemplateValue::input("p"), TemplateValue::input("q")}));
    variables.set("n", TemplateValue::integer(7));
    variables.set("bos_token", TemplateValue::trusted("<s>"));
    return variables;
}

std::vector<TextSpan> spans_of(std::string_view source) {
    auto spans = render(source, some_variables());
    EXPECT_TRUE(spans.ok()) << source << ": " << spans.error().message;
    return spans.ok() ? std::move(spans).value() : std::vector<TextSpan>();
}

TEST(ChatTemplateOrigin, TemplateAndInputAreApart) {
    EXPECT_THAT(spans_of("{{ bos_token }}<|user|>{{ x }}<|end|>"),
                ElementsAre(own("<s><|user|>"), input("a<|b|>C"), own("<|end|>")));
    EXPECT_THAT(spans_of("{{ '<' ~ x ~ '>' }}{{ '[' + x + ']' }}"),
                ElementsAre(own("<"), input("a<|b|>C"), own(">["), input("a<|b|>C"), own("]")));
    EXPECT_THAT(spans_of("{{ n }} {{ n + 1 }} {{ n == 7 }} {{ none }}"), ElementsAre(own("7 8 True None")));
    EXPECT_THAT(spans_of(""), ElementsAre());
    EXPECT_THAT(spans_of("{{ '' }}"), ElementsAre());
}

TEST(ChatTemplateOrigin, StaysThroughSlicesFiltersAndMethods) {
    const std::vector<std::string> all_input = {
        "x[1:]",
        "x[::-1]",
        "x|upper",
        "x|lower",
        "x|title",
        "x|capitalize",
        "x|trim",
        "x|reverse",
        "x|first",
        "x|last",
        "x|list|join",
        "x|string",
        "x|safe",
        "x|e",
        "x|replace('<', '')",
        "x|truncate(5, true, '', 0)",
        "x.split('|')[1]",
        "x.split('|')|join",
        "x.partition('|')|join",
        "x.strip('a')",
        "x.upper().lower()[2:]",
        "x.removeprefix('a')",
        "x.splitlines()|join",
        "x|tojson",
        "[x]|string",
        "{'k': x}.items()|string",
        "x|batch(2)|map('join')|join",
        "list|sort|reverse|join",
        "list|map('upper')|join",
        "x * 2",
        "'%s' % x",
        "'%.3s' % x",
        "'{}{}'.format(x, x)",
        "(x if true else '')",
        "namespace(v=x).v",
        "dict(k=x).k",
    };
    for (const std::string& expression : all_input) {
        const std::vector<TextSpan> spans = spans_of("{{ " + expression + " }}");
        const bool quoted = expression.find("{'k'") != std::string::npos;  // that key is the template's
        if (quoted) {
            EXPECT_THAT(spans, testing::Contains(own("k"))) << expression;
            EXPECT_EQ(spans.size(), 3u) << expression;
        } else {
            ASSERT_EQ(spans.size(), 1u) << expression;
            EXPECT_FALSE(spans[0].from_template) << expression << " gives " << spans[0].text;
        }
    }
}

TEST(ChatTemplateOrigin, IsKeptWithinOneText) {
    EXPECT_THAT(spans_of("{{ ('<|' ~ x ~ '|>').upper()[1:-1] }}"), ElementsAre(own("|"), input("A<|B|>C"), own("|")));
    EXPECT_THAT(spans_of("{{ list|join('<|sep|>') }}"), ElementsAre(input("p"), own("<|sep|>"), input("q")));
    EXPECT_THAT(spans_of("{{ '<|sep|>'.join(list) }}"), ElementsAre(input("p"), own("<|sep|>"), input("q")));
    EXPECT_THAT(spans_of("{{ x|replace('b', '<B>') }}"), ElementsAre(input("a<|"), own("<B>"), input("|>C")));
    EXPECT_THAT(spans_of("{{ '<|x|>'.replace('x', x) }}"), ElementsAre(own("<|"), input("a<|b|>C"), own("|>")));
    EXPECT_THAT(spans_of("{{ '[%s|%d]' % (x, n) }}"), ElementsAre(own("["), input("a<|b|>C"), own("|7]")));
    EXPECT_THAT(spans_of("{{ '<{}>'.format(x) }}"), ElementsAre(own("<"), input("a<|b|>C"), own(">")));
    EXPECT_THAT(spans_of("{{ {'<k>': x}|tojson }}"), ElementsAre(input("{\""), own("<k>"), input("\": \"a<|b|>C\"}")));
    EXPECT_THAT(spans_of("{{ (x ~ '\\n<e>')|indent(1) }}"), ElementsAre(input("a<|b|>C"), own("\n <e>")));
    EXPECT_THAT(spans_of("{% set t %}<|{{ x }}|>{% endset %}{{ t[1:3] ~ t[-1] }}"),
                ElementsAre(own("|"), input("a"), own(">")));
    EXPECT_THAT(spans_of("{% macro m(v) %}<{{ v }}>{{ caller() }}{% endmacro %}{% call m(x) %}{{ x[0] }}{% endcall %}"),
                ElementsAre(own("<"), input("a<|b|>C"), own(">"), input("a")));
    EXPECT_THAT(spans_of("{% filter upper %}q{{ x }}{% endfilter %}"), ElementsAre(own("Q"), input("A<|B|>C")));
    EXPECT_THAT(spans_of("{% for c in '<' ~ x[:2] %}{{ c }}{% endfor %}"), ElementsAre(own("<"), input("a<")));
    EXPECT_THAT(spans_of("{{ strftime_now('%Y') }}{{ strftime_now(x[0]) }}"), ElementsAre(own("2026"), input("a")));
}

// What a template writes of its own: no text from outside may turn up in it, whatever becomes of that text.
TEST(ChatTemplateOrigin, NothingFromOutsideIsEverTheTemplates) {
    const OrderedJson fixture = read_ordered_json("chat_templates.json");
    // Letters that no template writes.
    jinja::Dict variables;
    const auto messages = OrderedJson::parse(
        R"([{"role": "user", "content": "ѮѰѲ ѮѰѲ"}, {"role": "assistant", "content": "<think>Ѯ</think>\nѰ"},
            {"role": "user", "content": "  ѲѮ\n\nѰ "}])");
    variables.set("messages", *jinja::from_json(messages));
    variables.set("add_generation_prompt", TemplateValue(true));
    for (const auto& [name, results] : fixture.at("expected").items()) {
        const auto spans = render(read_test_file("chat_templates/" + name + ".jinja"), variables);
        if (!spans.ok()) continue;
        bool found = false;
        for (const TextSpan& span : *spans) {
            const bool foreign = span.text.find("\xD1") != std::string::npos;
            EXPECT_FALSE(foreign && span.from_template) << name << ": " << span.text;
            found = found || foreign;
        }
        EXPECT_TRUE(found) << name;
    }
}

TEST(ChatTemplate, RaisesInTheTemplatesWords) {
    const auto spans = render("a\n{{ raise_exception('No ' ~ x ~ '!') }}", some_variables());
    ASSERT_FALSE(spans.ok());
    EXPECT_EQ(spans.error().code, ErrorCode::invalid_argument);
    EXPECT_EQ(spans.error().message, "chat template, line 2: No a<|b|>C!");
    EXPECT_THAT(spans.error().hint, HasSubstr("refuses"));
}

TEST(ChatTemplate, ErrorsNameTheLine) {
    const auto line = [](std::string_view source, int number) {
        const auto spans = render(source, some_variables());
        EXPECT_FALSE(spans.ok()) << source;
        const std::string message = spans.ok() ? "" : spans.error().message;
        EXPECT_THAT(message, testing::StartsWith("chat template, line " + std::to_string(number) + ": ")) << source;
    };
    line("{{ nothing.x }}", 1);
    line("\n\n{{ nothing.x }}", 3);
    line("{% if n %}\n\n{% for i in 5 %}{% endfor %}{% endif %}", 3);
    line("{# a\nb #}\n{{ n\n + \nlist }}", 3);
    line("{% macro m() %}\n{{ none + 1 }}\n{% endmacro %}\n{{ m() }}", 2);
    line("a\r\nb\r\n{{ 1 / 0 }}", 3);
    line("\n{% if n %}\n", 3 - 1);
    line("\n\n{% endif %}", 3);
    line("{{ 'a\n\n' }}{{ $ }}", 3);
    line("{% raw %}\n\n{% endraw %}\n{{ nothing() }}", 4);
    line("a  \n\n  {%- if nothing.x %}{% endif %}", 3);
}

TEST(ChatTemplate, TimeIsGivenOrNotThere) {
    const auto parsed = ChatTemplate::parse(
        "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}some day{% endif %}");
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(joined(*parsed->render({}, {.now = fixture_time()})), "03 Feb 2026");
    EXPECT_EQ(joined(*parsed->render({}, {})), "some day");
    EXPECT_THAT(render_to_text("{{ strftime_now('%Q') }}", {}), HasSubstr("does not know"));
}

TEST(ChatTemplate, RefusesWhatItDoesNotSupport) {
    for (const std::string tag : {"include 'x'", "import 'x' as y", "from 'x' import y", "extends 'x'", "block b"}) {
        const auto parsed = ChatTemplate::parse("{% " + tag + " %}");
        ASSERT_FALSE(parsed.ok()) << tag;
        EXPECT_EQ(parsed.error().code, ErrorCode::file_malformed);
        EXPECT_THAT(parsed.error().message, HasSubstr("not supported")) << tag;
    }
    for (const std::string filter : {"random", "urlize", "pprint", "xmlattr"})
        EXPECT_THAT(render_to_text("{{ x|" + filter + " }}", some_variables()), HasSubstr("No filter named")) << filter;
}

TEST(ChatTemplate, IntegersBeyondRangeAreErrors) {
    EXPECT_THAT(render_to_text("{{ 10 ** 38 }}", {}), "1" + std::string(38, '0'));
    for (const std::string expression :
         {"10 ** 39", "2 ** 127", "-(2 ** 126) * 3", "2 ** 10000000", "10 ** 38 * 10", "99999999999999999999"}) {
        EXPECT_THAT(render_to_text("{{ " + expression + " }}", {}), HasSubstr("too large")) << expression;
    }
    EXPECT_EQ(render_to_text("{{ (-1) ** 1000001 }}{{ 0 ** 1000 }}", {}), "-10");
}

/// Ends with an error, soon and in little memory.
void expect_refused(std::string_view source, std::string_view why) {
    const auto spans = render(source, some_variables(), {.steps = 3'000'000});
    ASSERT_FALSE(spans.ok()) << source;
    EXPECT_THAT(spans.error().message, HasSubstr(std::string(why))) << source;
}

TEST(ChatTemplateLimits, StepsAndMemory) {
    const std::string steps = "too many steps";
    expect_refused("{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", steps);
    expect_refused(
        "{% macro m() %}{% for i in range(99999) %}{{ n }}{% endfor %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        steps);
    expect_refused("{% set ns = namespace(s='x') %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
                   steps);
    expect_refused("{% set ns = namespace(s=[1]) %}{% for i in range(64) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
                   steps);
    expect_refused("{{ 'x' * 1000000000000 }}", steps);
    expect_refused("{{ [0] * 1000000000000 }}", steps);
    expect_refused("{{ 'x'|center(1000000000000) }}", steps);
    expect_refused("{{ '%1000000000d' % 1 }}", steps);
    expect_refused("{{ '%.1000000000d' % 1 }}", steps);
    expect_refused("{{ 'x'.zfill(1000000000000) }}", steps);
    expect_refused("{{ 'a\\nb'|indent(1000000000000) }}", steps);
    expect_refused("{{ [[1]]|tojson(indent=1000000000000) }}", steps);
    expect_refused("{{ [1]|batch(1000000000000, 0)|list }}", steps);
    expect_refused("{{ [1]|slice(1000000000000)|list }}", steps);
    expect_refused("{% set s = 'a' * 1000000 %}{{ s.replace('a', s) }}", steps);
    expect_refused("{% set s = 'a' * 100000 %}{{ (s|list)|join(s) }}", steps);
    expect_refused("{{ ('a ' * 1000000).split()|length }}", steps);
    expect_refused("{{ ('a ' * 300000)[::-1] }}{{ ('a ' * 300000)[::2] }}", steps);
    // Lists and texts have a price beside what they hold.
    expect_refused("{{ [1]|slice(80000)|list|length }}", steps);
    expect_refused("{{ range(80000)|batch(1)|list|length }}", steps);
    expect_refused("{{ ('ab' * 40000)|list|length }}", steps);
    // Keys that are no texts are compared in turn.
    expect_refused("{{ dict(range(30000)|batch(2))|length }}", steps);
    EXPECT_EQ(render_to_text("{{ dict(range(200)|batch(2))|length }}{{ {1: 2, 1.0: 3}[1] }}", {}), "1003");
    // However many steps there are.
    const auto long_text = render("{{ ('x' * 1000 * 1000 * 40)|length }}", {}, {.steps = std::uint64_t{1} << 60u});
    EXPECT_FALSE(long_text.ok());
    // A list that holds another twice, and so on: small, but endless when it is written or compared.
    const std::string web =
        "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(90) %}{% set ns.a = [ns.a, ns.a] %}"
        "{% set ns.b = [ns.b, ns.b] %}{% endfor %}";
    expect_refused(web + "{{ ns.a }}", steps);
    expect_refused(web + "{{ ns.a|tojson }}", steps);
    expect_refused(web + "{{ ns.a == ns.b }}", steps);
    expect_refused(web + "{{ [ns.a, ns.b]|sort }}", steps);
}

TEST(ChatTemplateLimits, Depth) {
    const auto repeated = [](std::string_view text, int count) {
        std::string all;
        for (int i = 0; i < count; ++i)
            all += text;
        return all;
    };
    expect_refused("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "too deeply");
    expect_refused("{% set ns = namespace(a=[]) %}{% for i in range(1000) %}{% set ns.a = [ns.a] %}{% endfor %}",
                   "nested too deeply");
    expect_refused("{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}", "too deeply");
    for (const int count : {200, 100000}) {
        for (const std::string opening : {"(", "[", "{'a':", "-", "+", "not (", "x[", "m(", "1 if 1 else ", "x|d("}) {
            const auto spans = render("{{ " + repeated(opening, count) + "1", {});
            EXPECT_FALSE(spans.ok()) << opening;
        }
        for (const std::string next : {" + 1", " ~ 1", ".a", "[0]", "|d", "()", " and 1", " or 1", " if 1", " ** 1"}) {
            const auto spans = render("{{ none" + repeated(next, count) + " }}", {});
            EXPECT_TRUE(spans.ok() ? next == " ~ 1" : !spans.error().message.empty()) << next;
        }
        EXPECT_FALSE(render(repeated("{% if 1 %}", count), {}).ok());
        EXPECT_FALSE(render(repeated("{% for x in y %}", count), {}).ok());
        EXPECT_FALSE(render("{% set " + repeated("(", count), {}).ok());
    }
    // Many branches, elements and statements are no depth.
    EXPECT_EQ(
        render_to_text("{% if 0 %}" + repeated("{% elif 0 %}", 10000) + "{% endif %}" + repeated("{{ 1 }}", 3), {}),
        "111");
    EXPECT_EQ(render_to_text("{{ [" + repeated("1,", 10000) + "]|length }}{{ " + repeated("not ", 100) + "1 }}", {}),
              "10000True");
}

TEST(ChatTemplateLimits, Output) {
    const ChatTemplateLimits limits{.output_bytes = 100};
    EXPECT_TRUE(render("{{ 'x' * 100 }}", {}, limits).ok());
    const auto spans = render("{{ 'x' * 101 }}", {}, limits);
    ASSERT_FALSE(spans.ok());
    EXPECT_THAT(spans.error().message, HasSubstr("too much text"));
}

TEST(ChatTemplateLimits, DeepJson) {
    OrderedJson json = 1;
    for (int i = 0; i < 100000; ++i)
        json = OrderedJson::array({std::move(json)});
    EXPECT_FALSE(jinja::from_json(json).ok());
}

TEST(ChatTemplateLimits, CirclesAreReleased) {
    // For the leak checker: what refers to itself when the rendering ends, well or not.
    for (const std::string source :
         {"{% set ns = namespace() %}{% set ns.me = ns %}",
          "{% set ns = namespace() %}{% macro m() %}{% endmacro %}{% set ns.m = m %}",
          "{% set ns = namespace() %}{% for i in [1, 2] %}{% macro m() %}{{ i }}{% endmacro %}{% set ns.m = m %}"
          "{% set l = loop %}{% set ns.l = loop %}{% endfor %}{% set x = ns.m %}{{ x() }}{{ ns.l.index }}",
          "{% set ns = namespace() %}{% set ns.me = [ns, [ns]] %}{{ nothing.x }}"}) {
        EXPECT_FALSE(render_to_text(source, {}).empty() && source.ends_with("}}"));
    }
    // A long chain: each macro sees the one before.
    EXPECT_EQ(render_to_text("{% set ns = namespace(m=1) %}{% for i in range(20000) %}{% set old = ns.m %}"
                             "{% macro m() %}{{ old }}{% endmacro %}{% set ns.m = m %}{% endfor %}done",
                             {}),
              "done");
    EXPECT_EQ(render_to_text("{% set ns = namespace(x=[]) %}{% for i in range(20000) %}{% for y in [ns.x] %}"
                             "{% set ns.x = loop %}{% endfor %}{% endfor %}done",
                             {}),
              "done");
}

TEST(ChatTemplate, TakesAnyBytes) {
    std::mt19937 random(7);
    const OrderedJson fixture = read_ordered_json("jinja_snippets.json");
    const jinja::Dict variables = variables_from(fixture.at("variables"));
    const ChatTemplateLimits limits{.steps = 20000, .depth = 100, .output_bytes = 10000};
    const OrderedJson& good = fixture.at("good");
    for (int round = 0; round < 4000; ++round) {
        std::string source = good.at(random() % good.size()).at(0);
        const std::string other = good.at(random() % good.size()).at(0);
        // A part of another, put somewhere, and a byte overwritten.
        const std::size_t begin = random() % (other.size() + 1);
        source.insert(random() % (source.size() + 1), other.substr(begin, random() % 16));
        if (!source.empty()) source[random() % source.size()] = static_cast<char>(random());
        const auto spans = render(source, variables, limits);
        ASSERT_TRUE(spans.ok() || !spans.error().message.empty());
    }
    jinja::Dict bytes;
    bytes.set("x", TemplateValue::input("\xFF\xE2\x82 a\xC3"));
    EXPECT_EQ(render_to_text("{{ x[::-1] }}|{{ x|length }}|{{ x|upper }}|{{ x.strip() }}", bytes),
              "\xC3"
              "a \x82\xE2\xFF|6|\xFF\xE2\x82 A\xC3|\xFF\xE2\x82 a\xC3");
}

}  // namespace
}  // namespace puna::text
