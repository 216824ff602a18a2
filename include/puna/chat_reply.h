// A model's reply taken apart: content, reasoning, tool calls; docs/chat-parse.md describes the formats.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "puna/chat.h"
#include "puna/error.h"

namespace puna {

class Model;
struct Request;

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

/// The marks that a model sets around what is no content.
struct ReplyMarks {
    std::string calls = "none";               ///< how calls are written: "hermes", ...
    std::vector<std::string> reasoning = {};  ///< how reasoning may be marked, any of these: "think", ...

    bool operator==(const ReplyMarks&) const = default;
};

/// By the marks that a chat template holds (`ModelInfo::chat_template`). "json" is told of templates that know tools
/// and have no marks of their own; where no tools are given, take "none" for it, for there JSON is an answer like any
/// other.
ReplyMarks detect_reply_marks(std::string_view chat_template);

/// Lets the reply to `request` show what a parser looks for: where marks are control tokens, these come as text, and
/// those that end a reply are stop texts. Errors: invalid_argument (a name that is not known), unsupported_tokenizer.
Result<void> show_reply_marks(const Model& model, const ReplyMarks& marks, Request& request);

/// Whether a prompt, control tokens as text, ends within reasoning: its template wrote the opening mark. The end of the
/// prompt will do. Errors: invalid_argument (a name that is not known).
Result<bool> ends_in_reasoning(const ReplyMarks& marks, std::string_view prompt);

struct ReplyOptions {
    ReplyMarks marks = {};
    /// In the form of ChatOptions::tools: a call of anything else is malformed. Empty: any name will do. Formats that
    /// write arguments without types take the types from here.
    std::string tools = {};
    bool in_reasoning = false;  ///< the prompt ended within reasoning
};

/// Splits a reply while it comes. For one thread at a time. The message, and the texts of events put together, are the
/// same in whichever pieces the reply comes. Nothing is lost: what begins like a call and is none (wrong JSON, an
/// unknown name, over a limit, cut short) is content as it was written, and the message is marked. Marks themselves,
/// and line breaks beside them, belong to no part.
///
/// Text comes at once, but for what may be the beginning of a mark. Any bytes are taken; those that are no UTF-8 are
/// passed on as they are, but not as arguments of a call.
class ReplyParser {
  public:
    /// Errors: invalid_argument (a name that is not known, tools that cannot be read), out_of_memory.
    static Result<ReplyParser> create(const ReplyOptions& options);
    ReplyParser(ReplyParser&&) noexcept;
    ReplyParser& operator=(ReplyParser&&) noexcept;
    ~ReplyParser();

    /// The next bytes, in pieces of any length. Errors: out_of_memory, after which nothing more may be pushed.
    Result<std::vector<ChatEvent>> push(std::string_view bytes);
    /// The reply is at its end. Nothing may be pushed afterwards. Errors: out_of_memory.
    Result<std::vector<ChatEvent>> finish();
    /// As far as it came; without a call that is under way.
    const ParsedMessage& message() const;

  private:
    struct Impl;
    explicit ReplyParser(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace puna
