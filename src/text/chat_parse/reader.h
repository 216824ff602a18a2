// What the formats are written in: primitives that take bytes as they come.
#pragma once

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_parse/chat_format.h"
#include "text/chat_parse/json_scanner.h"
#include "text/chat_parse/message_builder.h"
#include "text/chat_parse/script.h"
#include "text/chat_parse/tools.h"

namespace puna::text::chat_parse {

struct ParserOptions {
    ChatFormat format;
    /// What may be called: a call of anything else is malformed. Empty: any name will do. Formats that write arguments
    /// without types take the types from here.
    std::vector<Tool> tools;
    bool in_reasoning = false;               ///< the prompt ended within reasoning
    std::size_t max_call_bytes = 1U << 20U;  ///< of one call, marks and white space included
    std::size_t max_depth = 64;              ///< of arguments
};

/// Takes text byte by byte and drives the script of a format, so that it makes no difference in which pieces the text
/// comes. A script awaits the primitives, one at a time.
///
/// Text is passed on as soon as it cannot be the beginning of a mark. Line breaks beside marks belong to them.
/// What may be a call is an attempt: its bytes are kept until the call is complete, and if it turns out to be none
/// (`give_up`), they are content, all of them.
class Reader {
  public:
    Reader(const ParserOptions& options, MessageBuilder& builder)
        : options_(options), builder_(builder), json_(options.max_depth), follows_mark_(options.in_reasoning) {}
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    // For whoever drives it.
    void start(Script script);
    void feed(char c);
    void finish();

    // The primitives. What they are given must live until the answer.

    class Answer {
      public:
        explicit Answer(Reader& reader) : reader_(reader) {}
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<> script) const noexcept { reader_.waiting_ = script; }
        int await_resume() const noexcept { return reader_.answer_; }

      private:
        Reader& reader_;
    };
    static constexpr int ended = -1;  ///< the text is at its end
    static constexpr int json_begins = -2;

    struct TextMarks {
        std::span<const std::string_view> anywhere;
        std::span<const std::string_view> at_start = {};  ///< where nothing but white space came since the last mark
        bool json_at_start = false;                       ///< stop there before { and [
    };
    /// Passes text on until a mark, whose number is the answer (those `at_start` count on from those `anywhere`), or
    /// `json_begins`, or `ended`. No mark may be the beginning of another. What is met is the beginning of an attempt,
    /// should one follow.
    Answer text(Channel channel, const TextMarks& marks);
    /// 1 if just this follows, else 0. What matched of it is taken.
    Answer literal(std::string_view text);
    Answer space();
    /// The next byte, which is not taken, or `ended`.
    Answer peek();
    /// A name of a function, as far as it goes, into `captured`; 0 if there is none or it is too long.
    Answer name();
    /// All before one of `marks`, into `captured`; the number of the mark, which is taken. -1: there is none.
    Answer until(std::span<const std::string_view> marks, std::size_t max_bytes);
    enum class Json { capture, arguments, skip };
    /// A JSON value, into `captured` or into the arguments of the call under way. 1, or 0 if there is none.
    Answer json(Json into);

    const std::string& captured() const { return captured_; }
    bool at_end() const { return ended_; }
    const ParserOptions& options() const { return options_; }

    // Attempts.

    void begin_attempt() { attempt_ = true; }
    /// The attempt's bytes since its last complete call.
    const std::string& taken() const { return raw_; }
    /// False if nothing of this name can be called.
    bool start_call(const std::string& name, const std::string& id);
    void arguments(std::string_view text) { builder_.arguments(text); }
    void set_call_id(std::string id) { builder_.set_call_id(std::move(id)); }
    /// The call is complete, and what was taken for it is gone. False if its arguments are no JSON.
    bool finish_call();
    /// What was taken so far belongs to calls that are complete; more may follow.
    void settle() { raw_.clear(); }
    /// All that was taken belongs to calls that are complete.
    void end_attempt();
    /// What was taken since the last complete call is content. `marked`: it began with a mark, so that it is malformed.
    void give_up(bool marked);
    const Tool* find_tool(std::string_view name) const;

  private:
    enum class Primitive : std::uint8_t { none, text, literal, space, peek, name, until, json };

    Answer begin(Primitive primitive);
    Step step(char c);
    Step step_text(char c);
    Step step_json(char c);
    Step answer(Step step, int value) {
        answer_ = value;
        return step;
    }
    void at_end_of_text();
    bool holds_space() const;
    bool matches_mark(bool whole) const;
    void put_pending(std::size_t bytes);
    void put(char c);
    std::span<const std::string_view> start_marks() const;

    const ParserOptions& options_;
    MessageBuilder& builder_;
    Script script_;
    std::coroutine_handle<> waiting_;
    Primitive primitive_ = Primitive::none;
    int answer_ = 0;
    bool ended_ = false;

    // Of the primitive under way.
    std::string_view literal_;
    std::size_t matched_ = 0;
    std::span<const std::string_view> until_;
    std::size_t until_bytes_ = 0;
    std::string captured_;
    JsonScanner json_;
    Json into_ = Json::skip;
    Channel channel_ = Channel::content;
    TextMarks marks_;
    std::string lead_;     // white space before the first text behind a mark
    std::string breaks_;   // line breaks that a mark may follow
    std::string pending_;  // the beginning of a mark

    // Of the text since the last mark.
    bool at_start_ = true;  // it is white space so far
    bool follows_mark_;     // and not the beginning of the message

    bool attempt_ = false;
    bool has_calls_ = false;  // the attempt
    std::string raw_;         // what an attempt took
};

/// The text of a JSON string; nullopt if it is none.
std::optional<std::string> json_string(std::string_view json);

}  // namespace puna::text::chat_parse
