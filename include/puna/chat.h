// Conversations, as a model's own chat template writes them.
#pragma once

#include <optional>
#include <string>

namespace puna {

struct ChatMessage {
    std::string role;  ///< "system", "user", "assistant"; what else there is is the template's affair
    std::string content;

    bool operator==(const ChatMessage&) const = default;
};

struct ChatOptions {
    bool add_generation_prompt = true;  ///< end where the assistant's next reply begins
};

}  // namespace puna
