// A message as it is put together, and what is told of it meanwhile.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "puna/chat_reply.h"

namespace puna::text::chat_parse {

enum class Channel { content, reasoning };

/// Joins what comes into events, each as long as the calls of `take_events` allow, and never splits a UTF-8 sequence.
class MessageBuilder {
  public:
    void text(Channel channel, std::string_view text);
    /// There must be no call under way. At most one is.
    void start_call(std::string name, std::string id);
    void arguments(std::string_view text);
    /// Of the call under way, or of the last one.
    void set_call_id(std::string id);
    /// False, and the call is still under way: the arguments are no JSON.
    bool finish_call();
    void drop_call();
    bool call_open() const { return call_open_; }
    void set_malformed() { message_.malformed = true; }

    /// What became certain since; with `at_end`, half a UTF-8 sequence too.
    std::vector<ChatEvent> take_events(bool at_end);
    const ParsedMessage& message() const { return message_; }

  private:
    enum class Kind { content, reasoning, arguments };
    void append(Kind kind, std::string_view text);
    void flush(bool all);

    ParsedMessage message_;
    ToolCall call_;
    bool call_open_ = false;
    std::vector<ChatEvent> events_;
    Kind kind_ = Kind::content;  // of `open_`
    std::string open_;           // not told yet
};

}  // namespace puna::text::chat_parse
