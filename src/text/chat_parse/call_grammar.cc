#include "text/chat_parse/call_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include "base/try.h"
#include "text/chat_parse/argument_grammar.h"
#include "text/chat_parse/free_text.h"

namespace puna::text::chat_parse {
namespace {

using grammar::Grammar;
using grammar::GrammarBuilder;
using grammar::unbounded;
using Id = GrammarBuilder::Id;

Error unusable(std::string message) {
    return {ErrorCode::invalid_argument, std::move(message),
            "docs/chat-parse.md lists the formats and what they can do"};
}

/// How one call is spelled: what stands before the name, between name and arguments, and behind them.
struct Spelling {
    std::string_view before, between, behind;
};

/// How the calls of a format follow each other. A format has several of these where models differ.
struct Layout {
    Spelling call;
    std::string_view first, separator, last;  // around all calls
};

struct Shape {
    std::string_view mark;  // that content may not hold; empty: JSON at its beginning is a call
    std::vector<Layout> layouts;
};

Shape shape_of(CallFormat format) {
    constexpr Spelling object{R"({"name": ")", R"(", "arguments": )", "}"};
    constexpr Spelling parameters{R"({"name": ")", R"(", "parameters": )", "}"};
    switch (format) {
        case CallFormat::json: return {"", {{object, "", "", ""}, {object, "[", ", ", "]"}}};
        case CallFormat::llama3: return {"", {{parameters, "", "; ", ""}}};
        case CallFormat::hermes:
            return {"<tool_call>", {{object, "\n", "\n</tool_call>\n<tool_call>\n", "\n</tool_call>"}}};
        case CallFormat::qwen3_coder:
            return {"<tool_call>",
                    {{{"<function=", ">\n", "</function>"}, "\n", "\n</tool_call>\n<tool_call>\n", "\n</tool_call>"}}};
        case CallFormat::mistral:
            return {"[TOOL_CALLS]", {{{"", "[ARGS]", ""}, "", "[TOOL_CALLS]", ""}, {object, "[", ", ", "]"}}};
        case CallFormat::granite: return {"<|tool_call|>", {{object, "[", ", ", "]"}}};
        case CallFormat::command_r7b:
            return {"<|START_ACTION|>",
                    {{{R"({"tool_name": ")", R"(", "parameters": )", "}"}, "[\n    ", ",\n    ", "\n]<|END_ACTION|>"}}};
        case CallFormat::deepseek:
            return {
                "<｜tool▁calls▁begin｜>",
                {{{"<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"}, "", "", "<｜tool▁calls▁end｜>"},
                 {{"<｜tool▁call▁begin｜>function<｜tool▁sep｜>", "\n```json\n", "\n```<｜tool▁call▁end｜>"},
                  "",
                  "\n",
                  "<｜tool▁calls▁end｜>"}}};
        case CallFormat::harmony:
            return {"",
                    {{{"<|channel|>commentary to=functions.", " <|constrain|>json<|message|>", "<|call|>"},
                      "",
                      "<|start|>assistant",
                      ""}}};
        case CallFormat::none: break;
    }
    return {};
}

class CallGrammar {
  public:
    explicit CallGrammar(const CallGrammarOptions& options)
        : options_(options), shape_(shape_of(options.format.calls)) {}

    Result<Grammar> build() {
        if (shape_.layouts.empty()) return unusable("this format has no calls");
        PUNA_CHECK(add_tools());
        const std::uint32_t root = builder_.add_rule();
        builder_.define(root, options_.format.calls == CallFormat::harmony ? harmony() : reply());
        return builder_.compile(root);
    }

  private:
    Id bytes(std::string_view text) { return builder_.bytes(text); }
    Id nothing() { return builder_.sequence({}); }
    Id optional(Id part) { return builder_.repeat(part, 0, 1); }

    Result<void> add_tools() {
        for (const Tool& tool : options_.tools) {
            if (options_.choice == ToolChoice::named && tool.name != options_.name) continue;
            auto arguments = options_.format.calls == CallFormat::qwen3_coder ? tagged_arguments(builder_, tool)
                                                                              : json_arguments(builder_, tool);
            if (!arguments.ok()) return std::move(arguments).error();
            tools_.emplace_back(tool.name, *arguments);
        }
        if (!tools_.empty()) return {};
        return options_.choice == ToolChoice::named ? unusable(fmt::format("there is no tool '{}'", options_.name))
                                                    : unusable("there are no tools to call");
    }

    /// All calls, without the mark before the first.
    Id calls() {
        if (calls_) return *calls_;
        std::vector<Id> choices;
        for (const Layout& layout : shape_.layouts) {
            std::vector<Id> tools;
            for (const auto& [name, arguments] : tools_)
                tools.push_back(builder_.sequence({bytes(name), bytes(layout.call.between), arguments}));
            const std::uint32_t rule = builder_.add_rule();
            builder_.define(rule, builder_.sequence({bytes(layout.call.before), builder_.choice(std::move(tools)),
                                                     bytes(layout.call.behind)}));
            const Id call = builder_.call(rule);
            // Without anything around or between, calls cannot be told apart.
            const bool only_one = options_.one_call || (layout.separator.empty() && layout.last.empty());
            const Id more = builder_.sequence({bytes(layout.separator), call});
            choices.push_back(
                builder_.sequence({bytes(layout.first), call,
                                   only_one ? nothing() : builder_.repeat(more, 0, unbounded), bytes(layout.last)}));
        }
        const std::uint32_t rule = builder_.add_rule();
        builder_.define(rule, builder_.choice(std::move(choices)));
        calls_ = builder_.call(rule);
        return *calls_;
    }

    /// Reasoning between tags, whose end is followed by up to two line breaks, and `rest`.
    Id behind_reasoning(Id rest) {
        const auto& tags = options_.format.reasoning;
        if (tags.empty()) return rest;
        const Id then = builder_.sequence({builder_.repeat(bytes("\n"), 0, 2), rest});
        std::vector<Id> choices;
        if (options_.in_reasoning) {
            FreeText text;
            for (const ReasoningTag* const tag : tags)
                text.exits.push_back({tag->close, then});
            return free_text(builder_, text);
        }
        choices.push_back(rest);
        for (const ReasoningTag* const tag : tags)
            choices.push_back(
                builder_.sequence({bytes(tag->open), free_text(builder_, {.exits = {{tag->close, then}}})}));
        return builder_.choice(std::move(choices));
    }

    Id reply() {
        const bool marked = !shape_.mark.empty();
        const Id alone = marked ? builder_.sequence({bytes(shape_.mark), calls()}) : calls();
        if (options_.choice != ToolChoice::automatic) return behind_reasoning(alone);
        // A text that begins like reasoning or a call is none.
        FreeText text{.may_end = true};
        for (const ReasoningTag* const tag : options_.format.reasoning)
            text.not_first += static_cast<char32_t>(tag->open.front());
        if (marked) {
            text.exits.push_back({shape_.mark, calls()});
        } else {
            text.not_first += U"{[`";
            if (options_.format.calls == CallFormat::llama3) text.exits.push_back({"<|python_tag|>", std::nullopt});
        }
        return behind_reasoning(builder_.choice({alone, free_text(builder_, text)}));
    }

    /// A message of text in a channel. Without `then` the reply may end within it.
    Id harmony_text(std::string_view channel, std::optional<Id> then) {
        FreeText text{.may_end = !then.has_value()};
        for (const std::string_view mark : marks_of(options_.format))
            text.exits.push_back({mark, std::nullopt});
        for (TextExit& exit : text.exits) {
            if (exit.mark == "<|end|>" && then) exit.then = builder_.sequence({bytes("<|start|>assistant"), *then});
        }
        return builder_.sequence({bytes(fmt::format("<|channel|>{}<|message|>", channel)), free_text(builder_, text)});
    }

    /// Thoughts, then what is for the user or the tools.
    Id harmony() {
        Id rest = builder_.choice({calls(), harmony_text("commentary", calls())});
        if (options_.choice == ToolChoice::automatic)
            rest = builder_.choice({rest, harmony_text("final", std::nullopt)});
        const std::uint32_t rule = builder_.add_rule();
        builder_.define(rule, rest);
        return builder_.choice({builder_.call(rule), harmony_text("analysis", builder_.call(rule))});
    }

    const CallGrammarOptions& options_;
    Shape shape_;
    GrammarBuilder builder_;
    std::vector<std::pair<std::string, Id>> tools_;  // their arguments
    std::optional<Id> calls_;
};

}  // namespace

Result<Grammar> tool_call_grammar(const CallGrammarOptions& options) {
    return CallGrammar(options).build();
}

}  // namespace puna::text::chat_parse
