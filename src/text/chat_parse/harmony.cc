// gpt-oss: messages that each say in a header who speaks, to whom, and in which channel.
#include <array>
#include <string>

#include "text/chat_parse/formats.h"

namespace puna::text::chat_parse {
namespace {

constexpr std::size_t max_header = 1024;
/// What begins a header, and what only ends a message.
constexpr std::array<std::string_view, 6> between = {"<|start|>", "<|channel|>", "<|message|>",
                                                     "<|end|>",   "<|return|>",  "<|call|>"};
constexpr int first_end = 3;
/// What ends a header; the others than the first do not belong there.
constexpr std::array<std::string_view, 5> header_end = {"<|message|>", "<|start|>", "<|end|>", "<|return|>",
                                                        "<|call|>"};
constexpr std::array<std::string_view, 1> recipient_at_start = {"to=functions."};

struct Header {
    std::string channel;    // empty: none is named
    std::string recipient;  // empty: the user
};

/// Behind `mark`, up to the next mark or white space.
std::string word_behind(std::string_view header, std::string_view mark) {
    const std::size_t at = header.find(mark);
    if (at == std::string_view::npos) return {};
    const std::string_view rest = header.substr(at + mark.size());
    return std::string(rest.substr(0, rest.find_first_of(" \t\n<")));
}

/// A name without the namespace that the caller's own tools are in.
std::string tool_of(const std::string& recipient) {
    constexpr std::string_view own = "functions.";
    return recipient.starts_with(own) ? recipient.substr(own.size()) : recipient;
}

/// A message to a tool.
Script read_call(Reader& in, const std::string& recipient) {
    co_await in.space();
    int next = co_await in.peek();
    if (next != '{' || !in.start_call(tool_of(recipient), {})) co_return false;
    PUNA_NEED(in.json(Reader::Json::arguments));
    if (!in.finish_call()) co_return false;
    co_await in.space();
    next = co_await in.peek();
    if (next == Reader::ended) co_return true;
    // Mostly <|call|>, which may have ended the text; <|end|> is met too.
    PUNA_NEED(in.literal("<|"));
    next = co_await in.peek();
    PUNA_NEED(in.literal(next == 'e' ? "end|>" : "call|>"));
    co_return true;
}

}  // namespace

Script read_harmony(Reader& in) {
    Channel channel = Channel::content;
    bool at_start = true;  // the prompt ended within a header
    while (!in.at_end()) {
        const Reader::TextMarks marks{between, at_start ? std::span<const std::string_view>(recipient_at_start)
                                                        : std::span<const std::string_view>()};
        const int met = co_await in.text(channel, marks);
        channel = Channel::content;
        at_start = false;
        if (met == Reader::ended) break;
        if (met == 2 || (met >= first_end && met < static_cast<int>(between.size()))) continue;

        in.begin_attempt();
        std::string text(met < 2 ? between[static_cast<std::size_t>(met)] : recipient_at_start[0]);
        const int ended_by = co_await in.until(header_end, max_header);
        if (ended_by != 0) {
            in.give_up(true);
            continue;
        }
        text += in.captured();
        const Header header{word_behind(text, "<|channel|>"), word_behind(text, "to=")};
        // Messages to "user" or "assistant" are no calls.
        const bool is_call = !header.recipient.empty() && header.recipient != "user" && header.recipient != "assistant";
        if (is_call) {
            const bool found = co_await read_call(in, header.recipient);
            if (!found) {
                in.give_up(true);
                continue;
            }
        }
        in.end_attempt();
        // A preamble to calls is in the commentary, and for the user to see.
        if (!is_call && header.channel == "analysis") channel = Channel::reasoning;
    }
    co_return true;
}

}  // namespace puna::text::chat_parse
