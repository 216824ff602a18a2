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
    auto message = chat_message(Json::parse(line, nullptr, /*allow_exceptions=*/false));
    if (message.ok()) return message;
    return Error{ErrorCode::invalid_argument,
                 fmt::format("line {} of standard input is no message: {}", number, message.error().message),
                 message.error().hint};
}

/// False: it was interrupted.
Result<bool> answer(ChatSession& chat, Turn turn, const std::string& question, bool json) {
    ReplyPrinter printer(chat.output, chat.output.is_terminal());
    const auto transcript = ask(chat, turn, question, json ? nullptr : &printer);
    PUNA_CHECK(transcript);
    if (json) {
        PUNA_CHECK(chat.output.write_line(json_line(reply_json(chat, *transcript))));
    } else {
        PUNA_CHECK(printer.finish());
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
            PUNA_TRY(goes_on, answer(chat, Turn::question, *line, json));
            continue;
        }
        PUNA_TRY(ChatMessage message, parse_message(*line, number));
        if (message.role == "user") {
            PUNA_TRY(goes_on, answer(chat, Turn::question, message.content, json));
        } else if (message.role == "system") {
            chat.conversation.set_system(message.content);
        } else {
            chat.conversation.add(std::move(message));
            // The model goes on when it has what all of its calls returned.
            if (chat.conversation.has_results()) {
                PUNA_TRY(goes_on, answer(chat, Turn::results, {}, json));
            }
        }
    }
    PUNA_CHECK(chat.save());
    const bool interrupted = lines.interrupted() || (!goes_on && !chat.output.closed());
    return interrupted ? exit_interrupted : exit_ok;
}

}  // namespace puna::cli
