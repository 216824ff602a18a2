#include "cli/chat/chat_session.h"

#include <fmt/format.h>

#include <utility>

#include "base/try.h"
#include "cli/interrupt.h"

namespace puna::cli {

Result<void> ChatSession::restore(const Session& session) {
    PUNA_TRY(SamplingOptions merged, sampling.over(session.sampling()));
    PUNA_CHECK(conversation.restore(session, files.any_law));
    conversation.settings.sampling = std::move(merged);
    const SessionInfo info = session.info();
    if (info.law != engine.info().law) {
        note(fmt::format("the session was computed by the law {}; it is read anew by {}", info.law, engine.info().law));
    }
    note(fmt::format("session loaded: {} messages, {} tokens", conversation.messages().size(), info.tokens));
    return {};
}

Result<void> ChatSession::save() {
    if (!files.writes() || conversation.messages().empty()) return {};
    PUNA_TRY(const Session session, conversation.snapshot());
    return files.write(session);
}

Result<Transcript> ask(ChatSession& chat, Turn turn, const std::string& question, ReplyPrinter* printer) {
    InterruptWatch interrupts(InterruptWatch::Second::is_ignored);
    Stream* stream = nullptr;
    Conversation::Hooks hooks;
    hooks.announce = [](const std::string& sentence) { note(sentence); };
    hooks.running = [&](Stream* running) {
        interrupts.set_action({});
        stream = running;
        if (running != nullptr) interrupts.set_action([running] { running->cancel(); });
    };
    hooks.heard = [&](const ChatEvent& event) -> Result<void> {
        if (printer != nullptr) PUNA_CHECK(printer->print(event));
        if (chat.output.closed() && stream != nullptr) stream->cancel();
        return {};
    };
    auto transcript = turn == Turn::question  ? chat.conversation.ask(question, hooks)
                      : turn == Turn::results ? chat.conversation.go_on(hooks)
                                              : chat.conversation.regenerate(hooks);
    if (transcript.ok() && chat.conversation.parsed_reply().malformed)
        note("a call in the reply could not be read; it stands as it was written");
    return transcript;
}

Json reply_json(const ChatSession& chat, const Transcript& transcript) {
    Json json = to_json(transcript, chat.engine.info(), chat.load_ms, /*with_logprobs=*/false);
    json.update(to_json(chat.conversation.parsed_reply()));
    return json;
}

}  // namespace puna::cli
