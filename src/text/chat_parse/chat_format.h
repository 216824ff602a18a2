// Which way a model writes what it thinks and what it wants to have called.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "puna/chat_reply.h"
#include "puna/error.h"

namespace puna::text::chat_parse {

/// How calls are written; docs/chat-parse.md shows each.
enum class CallFormat : std::uint8_t {
    none,
    json,         ///< {"name", "arguments"}, alone or in a list or a fence
    hermes,       ///< <tool_call>{"name", "arguments"}</tool_call>: Hermes, Qwen
    qwen3_coder,  ///< <tool_call><function=NAME><parameter=KEY>VALUE</parameter></function></tool_call>
    llama3,       ///< {"name", "parameters"}, with or without <|python_tag|> before it
    mistral,      ///< [TOOL_CALLS][{"name", "arguments"}], [TOOL_CALLS]NAME[ARGS]{...}
    granite,      ///< <|tool_call|>[{"name", "arguments"}]: Granite, Phi-4-mini
    command_r7b,  ///< <|START_ACTION|>[{"tool_name", "parameters"}]<|END_ACTION|>
    deepseek,     ///< calls within tool_calls_begin and tool_calls_end, as V3 and R1 write them, and V3.1
    harmony,      ///< gpt-oss: channels, and calls by their recipient
};

/// The marks around what a model thinks.
struct ReasoningTag {
    std::string_view name;
    std::string_view open, close;
};

struct ChatFormat {
    CallFormat calls = CallFormat::none;
    std::vector<const ReasoningTag*> reasoning;  ///< any of these; harmony needs none

    bool operator==(const ChatFormat&) const = default;
};

/// All that there are, in a fixed order.
const std::vector<ReasoningTag>& reasoning_tags();
std::string_view call_format_name(CallFormat format);

/// By the marks that the template's text holds. A model without a template, or with one that mentions none of them,
/// speaks plain text.
ChatFormat detect_chat_format(std::string_view chat_template);

/// By name, as `call_format_name` gives it. Errors: invalid_argument, which lists the names.
Result<CallFormat> parse_call_format(std::string_view name);
/// "none", or the name of a tag. Errors: invalid_argument, which lists the names.
Result<std::vector<const ReasoningTag*>> parse_reasoning_format(std::string_view name);

/// By the names of its parts. Errors: invalid_argument, which lists the names.
Result<ChatFormat> parse_chat_format(const ReplyMarks& names);
ReplyMarks names_of(const ChatFormat& format);

/// Whether a prompt ends within reasoning: the template wrote its opening mark.
bool ends_in_reasoning(const ChatFormat& format, std::string_view prompt);
/// The marks of a format, those of its calls and its reasoning.
std::vector<std::string_view> marks_of(const ChatFormat& format);

}  // namespace puna::text::chat_parse
