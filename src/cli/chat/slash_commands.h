// What a line that begins with a slash does.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/chat/chat_session.h"

namespace puna::cli {

/// For one thread. The chat must outlive it.
class SlashCommands {
  public:
    struct Hooks {
        /// Prints what a command has to say.
        std::function<void(std::string_view)> say;
        /// Asks for a reply and shows it; null: another reply to the last question.
        std::function<void(const std::string*)> reply;
    };
    SlashCommands(ChatSession& chat, Hooks hooks) : chat_(chat), hooks_(std::move(hooks)) {}

    /// False: it is time to leave. Errors: what was wrong with the line; the conversation is as before.
    Result<bool> run(const std::string& line);
    /// What the last word of `line` may become: a command, a parameter of /set, or a file.
    std::vector<std::string> complete(const std::string& line) const;
    /// After a reply, for /stats.
    void remember(const Transcript& transcript) { last_ = summary(transcript); }

  private:
    Result<void> help() const;
    Result<void> system(const std::string& argument);
    Result<void> set(const std::string& argument);
    Result<void> save(const std::string& argument);
    Result<void> load(const std::string& argument);
    Result<void> clear();
    Result<void> undo();
    Result<void> regenerate();
    Result<void> edit();
    Result<void> context() const;
    Result<void> stats() const;
    Result<void> model(const std::string& argument);
    Result<void> copy_last() const;

    struct Entry;
    static const std::vector<Entry>& entries();

    ChatSession& chat_;
    Hooks hooks_;
    std::string last_;
};

}  // namespace puna::cli
