// Conversations, as a model's own chat template writes them.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace puna {

/// A function that a model wants to have called.
struct ToolCall {
    std::string id;  ///< may be empty: few models name their calls
    std::string name;
    std::string arguments;  ///< a JSON object, as the model wrote it

    bool operator==(const ToolCall&) const = default;
};

struct ChatMessage {
    std::string role;  ///< "system", "user", "assistant", "tool"; what else there is is the template's affair
    std::string content;
    std::string reasoning = {};                ///< what an assistant thought before it spoke
    std::vector<ToolCall> tool_calls = {};     ///< of an assistant
    std::string tool_call_id = {}, name = {};  ///< of a tool's result: which call it answers, and whose

    bool operator==(const ChatMessage&) const = default;
};

struct ChatOptions {
    bool add_generation_prompt = true;  ///< end where the assistant's next reply begins
    std::string tools = {};             ///< a JSON array of what may be called, for the template; empty: nothing
};

}  // namespace puna
