#include "cli/chat/reply_format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <type_traits>
#include <variant>

#include "base/text_file.h"
#include "base/try.h"
#include "cli/terminal_text.h"

namespace puna::cli {

namespace parse = text::chat_parse;

namespace {

/// Tokens at a prompt's end that may be an opening mark and white space.
constexpr std::size_t mark_tokens = 32;

}  // namespace

void ReplyFormat::declare(Flags& flags) {
    flags.section("Reasoning and tools");
    flags.text(
        "--reasoning-format", "NAME", reasoning_,
        "How reasoning is marked: auto (by the model's template), none (it is content), think, thought, thinking, "
        "reasoning, mistral, seed, command (default auto).");
    flags.text("--tool-format", "NAME", calls_,
               "How calls are written: auto (by the model's template), none (they are content), json, hermes, "
               "qwen3-coder, llama3, mistral, granite, command-r7b, deepseek, harmony (default auto).");
    flags.text("--tools", "FILE", tools_file_,
               "What the model may call, as a JSON array of functions in the form of chat completions.");
    flags.text(
        "--tool-choice", "HOW", choice_,
        "Hold each reply to the tools: auto (text, or calls that are valid under the tools' schemas), required (at "
        "least one call), none (the model is not told of tools), or the name of the tool to call.");
}

Result<void> ReplyFormat::check() {
    if (reasoning_ != "auto") {
        PUNA_TRY(format_.reasoning, parse::parse_reasoning_format(reasoning_));
    }
    if (calls_ != "auto") {
        PUNA_TRY(format_.calls, parse::parse_call_format(calls_));
    }
    if (tools_file_) {
        PUNA_TRY(tools_json_, base::read_text_file(*tools_file_));
        PUNA_TRY(tools_, parse::parse_tools(tools_json_));
    }
    if (!choice_) return {};
    if (!tools_file_)
        return Error{ErrorCode::invalid_argument, "--tool-choice is about tools, and there are none",
                     "add --tools FILE"};
    if (*choice_ == "none") {
        calls_ = "none";
        format_.calls = parse::CallFormat::none;
        return {};
    }
    const bool named = *choice_ != "auto" && *choice_ != "required";
    if (named && std::ranges::find(tools_, *choice_, &parse::Tool::name) == tools_.end()) {
        std::vector<std::string> names;
        for (const parse::Tool& tool : tools_)
            names.push_back(tool.name);
        return Error{ErrorCode::invalid_argument,
                     fmt::format("--tool-choice takes auto, required, none or a tool's name, not '{}'", *choice_),
                     fmt::format("the tools are {}", fmt::join(names, ", "))};
    }
    return {};
}

Result<void> ReplyFormat::choose(const Model& model) {
    model_ = &model;
    parse::ChatFormat found = parse::detect_chat_format(model.info().chat_template);
    if (reasoning_ == "auto") format_.reasoning = std::move(found.reasoning);
    // Without tools, JSON is an answer like any other.
    if (calls_ == "auto" && found.calls == parse::CallFormat::json && tools_.empty()) found.calls = {};
    if (calls_ == "auto") format_.calls = found.calls;
    Request marked;
    PUNA_CHECK(show_reply_marks(model, parse::names_of(format_), marked));
    sees_control_tokens_ = marked.decode.special;
    ends_ = marked.stop;
    return {};
}

void ReplyFormat::apply(Request& request) const {
    request.decode.special = sees_control_tokens_;
    request.stop.insert(request.stop.end(), ends_.begin(), ends_.end());
}

bool ReplyFormat::ends_in_reasoning(std::span<const TokenId> prompt) const {
    const auto end = model_->decode(prompt.last(std::min(prompt.size(), mark_tokens)), {.special = true});
    return end.ok() && parse::ends_in_reasoning(format_, *end);
}

parse::ParserOptions ReplyFormat::parser_options(std::span<const TokenId> prompt) const {
    return {.format = format_, .tools = tools_, .in_reasoning = ends_in_reasoning(prompt)};
}

std::optional<Constraint> ReplyFormat::constraint(std::span<const TokenId> prompt, bool behind_results) const {
    if (!holds_to_tools()) return std::nullopt;
    Constraint constraint{.kind = Constraint::Kind::tool_reply, .source = tools_json_};
    ToolReply& reply = constraint.tools;
    ReplyMarks named = parse::names_of(format_);
    reply.format = std::move(named.calls);
    reply.reasoning = std::move(named.reasoning);
    reply.in_reasoning = ends_in_reasoning(prompt);
    if (*choice_ == "auto" || behind_results) return constraint;
    reply.required = true;
    if (*choice_ != "required") reply.name = *choice_;
    return constraint;
}

Result<void> ReplyPrinter::write(Kind kind, std::string_view text) {
    std::string out;
    if (kind != last_ && within_line_) out += "\n";
    // An answer stands apart from the thoughts before it.
    if (last_ == Kind::reasoning && kind == Kind::content) out += "\n";
    const std::string shown = at_terminal_ ? terminal_text(text) : std::string(text);
    out += kind == Kind::reasoning ? dimmed(shown, STDOUT_FILENO) : shown;
    last_ = kind;
    within_line_ = !text.ends_with('\n');
    return output_.write(out);
}

Result<void> ReplyPrinter::print(const ChatEvent& event) {
    return std::visit(
        [&](const auto& what) -> Result<void> {
            using What = std::decay_t<decltype(what)>;
            if constexpr (std::is_same_v<What, ContentDelta>) return write(Kind::content, what.text);
            if constexpr (std::is_same_v<What, ReasoningDelta>)
                return at_terminal_ ? write(Kind::reasoning, what.text) : Result<void>();
            if constexpr (std::is_same_v<What, CallStarted>) {
                if (last_ == Kind::call) last_ = Kind::nothing;  // one on each line
                return write(Kind::call, fmt::format("call {} ", what.name));
            }
            if constexpr (std::is_same_v<What, ArgumentsDelta>) return write(Kind::call, what.text);
            if constexpr (std::is_same_v<What, CallDropped>)
                return write(Kind::call, " (cannot be read as a call; as it was written:)");
            return {};
        },
        event);
}

Result<void> ReplyPrinter::finish() {
    if (!within_line_ && last_ != Kind::nothing) return {};
    within_line_ = false;
    return output_.write("\n");
}

Json to_json(const std::vector<ToolCall>& calls) {
    Json list = Json::array();
    for (const ToolCall& call : calls) {
        list.push_back({{"id", call.id},
                        {"type", "function"},
                        {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
    }
    return list;
}

Json to_json(const ParsedMessage& message) {
    Json json;
    json["content"] = message.content;
    json["reasoning"] = message.reasoning;
    json["tool_calls"] = to_json(message.tool_calls);
    if (message.malformed) json["malformed"] = true;
    return json;
}

}  // namespace puna::cli
