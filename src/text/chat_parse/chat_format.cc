#include "text/chat_parse/chat_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/try.h"

namespace puna::text::chat_parse {
namespace {

struct FormatEntry {
    CallFormat format;
    std::string_view name;
    std::vector<std::string_view> marks;  // that its texts hold
    /// The format is recognised where all of one list's texts are in the template.
    std::vector<std::vector<std::string_view>> signs;
};

/// Those with more particular marks come first.
const std::vector<FormatEntry>& entries() {
    static const std::vector<FormatEntry> all = {
        {CallFormat::harmony,
         "harmony",
         {"<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|end|>", "<|call|>", "<|return|>"},
         {{"<|channel|>", "<|message|>"}}},
        {CallFormat::deepseek,
         "deepseek",
         {"<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>",
          "<｜tool▁calls▁end｜>"},
         {{"<｜tool▁call▁begin｜>"}, {"<｜tool▁calls▁begin｜>"}}},
        {CallFormat::mistral, "mistral", {"[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"}, {{"[TOOL_CALLS]"}}},
        {CallFormat::qwen3_coder, "qwen3-coder", {"<tool_call>", "</tool_call>"}, {{"<function=", "<parameter="}}},
        {CallFormat::hermes, "hermes", {"<tool_call>", "</tool_call>"}, {{"<tool_call>"}}},
        {CallFormat::granite, "granite", {"<|tool_call|>", "<|/tool_call|>"}, {{"<|tool_call|>"}}},
        {CallFormat::command_r7b, "command-r7b", {"<|START_ACTION|>", "<|END_ACTION|>"}, {{"<|START_ACTION|>"}}},
        {CallFormat::llama3,
         "llama3",
         {"<|python_tag|>"},
         {{"<|python_tag|>"}, {"<|start_header_id|>", "\"parameters\": "}}},
        {CallFormat::json, "json", {}, {{"tool_calls"}, {"tools"}}},
        {CallFormat::none, "none", {}, {}},
    };
    return all;
}

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

Error unknown_name(std::string_view what, std::string_view name, const std::vector<std::string_view>& names) {
    return {ErrorCode::invalid_argument, fmt::format("there is no {} '{}'", what, name),
            fmt::format("there are {}", fmt::join(names, ", "))};
}

}  // namespace

const std::vector<ReasoningTag>& reasoning_tags() {
    static const std::vector<ReasoningTag> all = {
        {"think", "<think>", "</think>"},
        {"thought", "<thought>", "</thought>"},
        {"thinking", "<thinking>", "</thinking>"},
        {"reasoning", "<reasoning>", "</reasoning>"},
        {"mistral", "[THINK]", "[/THINK]"},
        {"seed", "<seed:think>", "</seed:think>"},
        {"command", "<|START_THINKING|>", "<|END_THINKING|>"},
    };
    return all;
}

std::string_view call_format_name(CallFormat format) {
    return std::ranges::find(entries(), format, &FormatEntry::format)->name;
}

ChatFormat detect_chat_format(std::string_view chat_template) {
    ChatFormat found;
    const auto speaks = [&](const FormatEntry& entry) {
        return std::ranges::any_of(entry.signs, [&](const auto& texts) {
            return std::ranges::all_of(texts, [&](std::string_view text) { return contains(chat_template, text); });
        });
    };
    const auto entry = std::ranges::find_if(entries(), speaks);
    if (entry != entries().end()) found.calls = entry->format;
    if (found.calls == CallFormat::harmony) return found;
    for (const ReasoningTag& tag : reasoning_tags()) {
        if (contains(chat_template, tag.open) || contains(chat_template, tag.close)) found.reasoning.push_back(&tag);
    }
    return found;
}

Result<CallFormat> parse_call_format(std::string_view name) {
    std::vector<std::string_view> names;
    for (const FormatEntry& entry : entries()) {
        if (entry.name == name) return entry.format;
        names.push_back(entry.name);
    }
    return unknown_name("format of calls", name, names);
}

Result<std::vector<const ReasoningTag*>> parse_reasoning_format(std::string_view name) {
    std::vector<std::string_view> names{"none"};
    if (name == "none") return std::vector<const ReasoningTag*>();
    for (const ReasoningTag& tag : reasoning_tags()) {
        if (tag.name == name) return std::vector<const ReasoningTag*>{&tag};
        names.push_back(tag.name);
    }
    return unknown_name("format of reasoning", name, names);
}

Result<ChatFormat> parse_chat_format(const ReplyMarks& names) {
    ChatFormat format;
    PUNA_TRY(format.calls, parse_call_format(names.calls));
    for (const std::string& name : names.reasoning) {
        PUNA_TRY(const std::vector<const ReasoningTag*> tags, parse_reasoning_format(name));
        format.reasoning.insert(format.reasoning.end(), tags.begin(), tags.end());
    }
    return format;
}

ReplyMarks names_of(const ChatFormat& format) {
    ReplyMarks names{std::string(call_format_name(format.calls)), {}};
    for (const ReasoningTag* tag : format.reasoning)
        names.reasoning.emplace_back(tag->name);
    return names;
}

bool ends_in_reasoning(const ChatFormat& format, std::string_view prompt) {
    const std::size_t end = prompt.find_last_not_of(" \t\r\n");
    const std::string_view text = prompt.substr(0, end == std::string_view::npos ? 0 : end + 1);
    return std::ranges::any_of(format.reasoning, [&](const ReasoningTag* tag) { return text.ends_with(tag->open); });
}

std::vector<std::string_view> marks_of(const ChatFormat& format) {
    std::vector<std::string_view> marks = std::ranges::find(entries(), format.calls, &FormatEntry::format)->marks;
    for (const ReasoningTag* const tag : format.reasoning)
        marks.insert(marks.end(), {tag->open, tag->close});
    return marks;
}

}  // namespace puna::text::chat_parse
