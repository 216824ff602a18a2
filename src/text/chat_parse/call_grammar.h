// Replies whose calls cannot be malformed, as a grammar.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "puna/error.h"
#include "text/chat_parse/chat_format.h"
#include "text/chat_parse/tools.h"
#include "text/grammar/grammar.h"

namespace puna::text::chat_parse {

enum class ToolChoice : std::uint8_t {
    automatic,  ///< text, or text and calls
    required,   ///< calls
    named,      ///< calls of one tool
};

struct CallGrammarOptions {
    ChatFormat format;
    std::vector<Tool> tools;
    ToolChoice choice = ToolChoice::automatic;
    std::string name = {};      ///< for ToolChoice::named
    bool in_reasoning = false;  ///< the prompt ended within reasoning
    bool one_call = false;      ///< no more than one
};

/// Every text that matches is one that a ChatParser of the same format and tools reads without finding anything
/// malformed (its limits on length and depth apart), and each call's arguments are valid under the tool's parameters.
/// Reasoning may come first. Errors: invalid_argument (no tools, an unknown name, a schema that cannot be compiled, one
/// that the format cannot keep to, a format without calls).
Result<grammar::Grammar> tool_call_grammar(const CallGrammarOptions& options);

}  // namespace puna::text::chat_parse
