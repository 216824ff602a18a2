// How replies are read: what of them is reasoning, what are calls, and what may be called.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/console.h"
#include "cli/flags.h"
#include "puna/chat_reply.h"
#include "puna/model.h"
#include "puna/request.h"
#include "text/chat_parse/chat_parser.h"

namespace puna::cli {

/// The flags, and what becomes of them for a model. `flags` must outlive it.
class ReplyFormat {
  public:
    void declare(Flags& flags);
    /// Reads the tools. Errors: invalid_argument, file_not_found, file_unreadable.
    Result<void> check();
    /// Recognises what flags do not say by the model's template; again for another model. The model must stay. Errors:
    /// unsupported_tokenizer.
    Result<void> choose(const Model& model);

    /// For the template.
    ChatOptions chat_options() const {
        return {.add_generation_prompt = true, .tools = choice_ == "none" ? std::string() : tools_json_};
    }
    bool holds_to_tools() const { return choice_ && *choice_ != "none"; }
    /// What holds the reply to a prompt to its tools, if a flag says so. `behind_results`: the prompt ends with what
    /// tools returned, so that an answer may follow.
    std::optional<Constraint> constraint(std::span<const TokenId> prompt, bool behind_results) const;
    /// Control tokens that mark reasoning or calls must be seen, and those that end a reply must not.
    void apply(Request& request) const;
    /// For the reply to a prompt.
    text::chat_parse::ParserOptions parser_options(std::span<const TokenId> prompt) const;

  private:
    bool ends_in_reasoning(std::span<const TokenId> prompt) const;

    std::string reasoning_ = "auto";
    std::string calls_ = "auto";
    std::optional<std::string> tools_file_;
    std::optional<std::string> choice_;
    std::string tools_json_;
    std::vector<text::chat_parse::Tool> tools_;
    text::chat_parse::ChatFormat format_;
    const Model* model_ = nullptr;
    bool sees_control_tokens_ = false;
    std::vector<std::string> ends_;  // as text, if they would be seen
};

/// `text` for people: content as it is; at a terminal reasoning set back, or else left out; calls on lines of their
/// own.
class ReplyPrinter {
  public:
    ReplyPrinter(Output& output, bool at_terminal) : output_(output), at_terminal_(at_terminal) {}
    Result<void> print(const ChatEvent& event);
    /// Ends the last line; of a reply without any, an empty one.
    Result<void> finish();

  private:
    enum class Kind { nothing, content, reasoning, call };
    Result<void> write(Kind kind, std::string_view text);

    Output& output_;
    bool at_terminal_;
    Kind last_ = Kind::nothing;
    bool within_line_ = false;
};

/// {"content", "reasoning", "tool_calls"}, and "malformed" if it is.
Json to_json(const ParsedMessage& message);
/// As the API of chat completions has them.
Json to_json(const std::vector<ToolCall>& calls);

}  // namespace puna::cli
