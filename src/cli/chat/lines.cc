// Talking through pipes: turns come in lines, replies go out in lines.
#include <fmt/format.h>

#include <optional>

#include "base/try.h"
#include "cli/chat/chat_session.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/line_source.h"

namespace puna::cli {
namespace {

Result<ChatMessage> parse_message(const std::string& line, std::size_t number) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto text = [&](const char* name) -> const std::string* {
        const auto found = json.is_object() ? json.find(name) : json.end();
        return json.is_object() && found != json.end() ? found->get_ptr<const std::string*>() : nullptr;
    };
    if (const std::string *role = text("role"), *content = text("content"); role != nullptr && content != nullptr) {
        return ChatMessage{*role, *content};
    }
    return Error{ErrorCode::invalid_argument, fmt::format("line {} of standard input is no message", number),
                 R"(a line is an object like {"role": "user", "content": "Hello"})"};
}

/// False: it was interrupted.
Result<bool> answer(ChatSession& chat, const std::string& question, bool json) {
    bool ends_line = false;
    const auto transcript = ask(chat, &question, [&](std::string_view piece) -> Result<void> {
        ends_line = piece.ends_with('\n');
        return json ? Result<void>() : chat.output.write(piece);
    });
    PUNA_CHECK(transcript);
    if (json) {
        PUNA_CHECK(chat.output.write_line(json_line(reply_json(chat, *transcript))));
    } else if (!ends_line) {
        PUNA_CHECK(chat.output.write("\n"));
    }
    return transcript->finished.reason != FinishReason::cancelled;
}

}  // namespace

Result<int> talk_in_lines(ChatSession& chat, bool json) {
    const ReadingInterrupts interrupts;
    LineSource lines(interrupts);
    std::size_t number = 0;
    bool goes_on = true;
    while (goes_on && !chat.output.closed()) {
        PUNA_TRY(const std::optional<std::string> line, lines.next());
        if (!line) break;
        ++number;
        if (line->empty()) continue;
        if (!json) {
            PUNA_TRY(goes_on, answer(chat, *line, json));
            continue;
        }
        PUNA_TRY(ChatMessage message, parse_message(*line, number));
        if (message.role == "user") {
            PUNA_TRY(goes_on, answer(chat, message.content, json));
        } else if (message.role == "system") {
            chat.conversation.set_system(message.content);
        } else {
            chat.conversation.add(std::move(message));
        }
    }
    PUNA_CHECK(chat.save());
    const bool interrupted = lines.interrupted() || (!goes_on && !chat.output.closed());
    return interrupted ? exit_interrupted : exit_ok;
}

}  // namespace puna::cli
