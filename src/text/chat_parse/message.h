// What a model's output is split into.
#pragma once

#include <cstddef>
#include <string>
#include <variant>
#include <vector>

#include "puna/chat.h"

namespace puna::text::chat_parse {

/// A whole reply.
struct ParsedMessage {
    std::string content;
    std::string reasoning;
    std::vector<ToolCall> tool_calls;
    /// Something that began as a call could not be read as one: it is part of the content, as it was written.
    bool malformed = false;

    bool operator==(const ParsedMessage&) const = default;
};

struct ContentDelta {
    std::string text;
};
struct ReasoningDelta {
    std::string text;
};
/// A call begins; `index` is its place in ParsedMessage::tool_calls. An id that the model writes behind the arguments
/// is in the message alone.
struct CallStarted {
    std::size_t index;
    std::string name;
    std::string id;
};
struct ArgumentsDelta {
    std::size_t index;
    std::string text;
};
struct CallFinished {
    std::size_t index;
};
/// A call that had begun could not be read to its end. Its text follows as content, its index is free again.
struct CallDropped {
    std::size_t index;
};

/// What became certain, in order. Texts are not empty, and whole UTF-8 sequences if the output is UTF-8.
using ChatEvent = std::variant<ContentDelta, ReasoningDelta, CallStarted, ArgumentsDelta, CallFinished, CallDropped>;

}  // namespace puna::text::chat_parse
