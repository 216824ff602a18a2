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
    auto message = json.is_discarded() ? Result<ChatMessage>(Error{ErrorCode::invalid_argument, "it is not valid JSON",
                                                                   R"(a line is {"role": "user", "content": "Hello"})"})
                                       : chat_message(json);
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

/// Turns until the input or the output is at its end. False: it was interrupted.
Result<bool> take_turns(ChatSession& chat, LineSource& lines, bool json) {
    std::size_t number = 0;
    bool goes_on = true;
    while (goes_on && !chat.output.closed()) {
        PUNA_TRY(const std::optional<std::string> line, lines.next());
        if (!line) return !lines.interrupted();
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
    return chat.output.closed();
}

}  // namespace

Result<int> talk_in_lines(ChatSession& chat, bool json) {
    const ReadingInterrupts interrupts;
    LineSource lines(interrupts);
    const Result<bool> ended = take_turns(chat, lines, json);
    PUNA_CHECK(chat.save());  // whatever ended it
    PUNA_CHECK(ended);
    if (!json && !chat.conversation.messages().empty())
        note(fmt::format("seed {}", chat.conversation.settings.sampling.seed.value_or(0)));
    return *ended ? exit_ok : exit_interrupted;
}

}  // namespace puna::cli
