// The scripts of all formats: each reads a whole reply, or the calls behind a mark.
#pragma once

#include <string_view>
#include <vector>

#include "text/chat_parse/reader.h"

namespace puna::text::chat_parse {

/// How the calls of a format stand among content and reasoning.
struct CallSyntax {
    std::vector<std::string_view> marks;           ///< that calls follow
    std::vector<std::string_view> marks_at_start;  ///< those that count at the start of content alone
    bool json_at_start = false;                    ///< JSON there may be a call without any mark
    /// Reads what follows the mark, to the end of the last call; it leaves no attempt half done when it returns true.
    Script (*read)(Reader& in) = nullptr;
};

/// Content, reasoning between tags, and calls. Both arguments must outlive it.
Script read_reply(Reader& in, const CallSyntax& syntax);
/// gpt-oss.
Script read_harmony(Reader& in);

/// An object with "name" (or "tool_name") and "arguments" (or "parameters"), perhaps "id", perhaps as the value of
/// "function". Without `needs_arguments` a call may have none.
Script read_json_call(Reader& in, bool needs_arguments);
/// One of those, or an array of them.
Script read_json_calls(Reader& in, bool needs_arguments);

Script read_bare_json(Reader& in);
Script read_hermes(Reader& in);
Script read_granite(Reader& in);
Script read_command_r7b(Reader& in);
Script read_llama3(Reader& in);
Script read_mistral(Reader& in);
Script read_deepseek(Reader& in);
Script read_qwen3_coder(Reader& in);

}  // namespace puna::text::chat_parse
