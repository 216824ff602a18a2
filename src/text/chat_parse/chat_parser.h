// A model's output, split into content, reasoning and tool calls while it comes.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "puna/chat_reply.h"
#include "text/chat_parse/chat_format.h"
#include "text/chat_parse/reader.h"

namespace puna::text::chat_parse {

/// For one thread at a time. The message, and the texts of events put together, are the same in whichever pieces the
/// output comes. Nothing is lost: what begins like a call and is none (wrong JSON, an unknown name, over a limit, cut
/// short) is content as it was written, and the message is marked. Marks themselves, and line breaks beside them,
/// belong to no part.
///
/// Held back is what may be the beginning of a mark: its bytes, line breaks and white space before it (256 bytes at
/// most), half a UTF-8 sequence, and of a call what comes before its arguments. Any bytes are taken; those that are no
/// UTF-8 are passed on as they are, but not as arguments of a call.
class ChatParser {
  public:
    explicit ChatParser(ParserOptions options);
    ~ChatParser();
    ChatParser(ChatParser&&) noexcept;
    ChatParser& operator=(ChatParser&&) noexcept;

    /// The next bytes, in pieces of any length.
    std::vector<ChatEvent> push(std::string_view bytes);
    /// The output is at its end. Nothing may be pushed afterwards.
    std::vector<ChatEvent> finish();
    /// As far as it came; without a call that is under way.
    const ParsedMessage& message() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The message that a whole output makes.
ParsedMessage parse_reply(std::string_view output, ParserOptions options);

}  // namespace puna::text::chat_parse
