// Talking at a terminal.
#include <fmt/format.h>

#include "base/text_file.h"
#include "base/try.h"
#include "cli/chat/chat_session.h"
#include "cli/chat/line_editor.h"
#include "cli/chat/slash_commands.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/terminal_text.h"

namespace puna::cli {
namespace {

class TerminalChat {
  public:
    TerminalChat(ChatSession& chat, LineEditor& editor, SlashCommands& commands)
        : chat_(chat), editor_(editor), commands_(commands) {}

    Result<int> run();
    void reply(const std::string* question);
    void say(std::string_view text) { keep(chat_.output.write(terminal_text(text))); }

  private:
    using Line = LineEditor::Line;
    void report(const Error& error) { report_error(error, /*json=*/false); }
    void keep(Result<void> written) {
        if (!written.ok() && !failure_) failure_ = std::move(written).error();
    }

    ChatSession& chat_;
    LineEditor& editor_;
    SlashCommands& commands_;
    std::optional<Error> failure_;  // of standard output
};

Result<int> TerminalChat::run() {
    while (!failure_ && !chat_.output.closed()) {
        const Line entry = read_entry(editor_, "> ", ". ");
        if (entry.kind == Line::Kind::end) {
            say("\n");
            break;
        }
        if (entry.kind == Line::Kind::interrupted) {
            say("^C\n");
            continue;
        }
        if (entry.text.find_first_not_of(" \t\n") == std::string::npos) continue;
        editor_.remember(entry.text);
        if (!entry.text.starts_with('/')) {
            reply(&entry.text);
            continue;
        }
        const Result<bool> stays = commands_.run(entry.text);
        if (!stays.ok()) report(stays.error());
        if (stays.ok() && !*stays) break;
    }
    if (const auto saved = editor_.save_history(); !saved.ok()) report(saved.error());
    PUNA_CHECK(chat_.save());
    if (failure_) return *failure_;
    return exit_ok;
}

void TerminalChat::reply(const std::string* question) {
    ReplyPrinter printer(chat_.output, /*at_terminal=*/true);
    const auto transcript =
        ask(chat_, question != nullptr ? Turn::question : Turn::again, question != nullptr ? *question : "", &printer);
    if (!transcript.ok()) return report(transcript.error());
    keep(printer.finish());
    commands_.remember(*transcript);
    const std::size_t used =
        transcript->started.prompt_ids.size() + transcript->ids.size() - transcript->shifted_tokens;
    const bool cut = transcript->finished.reason == FinishReason::cancelled;
    talk(dimmed(fmt::format("[{}{} of {} tokens used]", cut ? "interrupted; " : "", used,
                            chat_.engine.info().context_tokens)) +
         "\n");
}

}  // namespace

Result<int> talk_at_terminal(ChatSession& chat, const std::string& history_file) {
    TerminalChat* talker = nullptr;
    SlashCommands commands(chat, {.say = [&](std::string_view text) { talker->say(text); },
                                  .reply = [&](const std::string* question) { talker->reply(question); }});
    const ReadingInterrupts interrupts;
    const auto complete = [&](const std::string& line) { return commands.complete(line); };
    PUNA_TRY(const auto editor, LineEditor::create(interrupts, complete, history_file));
    TerminalChat terminal(chat, *editor, commands);
    talker = &terminal;
    return terminal.run();
}

}  // namespace puna::cli
