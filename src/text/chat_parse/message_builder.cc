#include "text/chat_parse/message_builder.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "text/unicode/utf8.h"

namespace puna::text::chat_parse {

void MessageBuilder::append(Kind kind, std::string_view text) {
    if (kind != kind_) flush(true);
    kind_ = kind;
    open_ += text;
}

void MessageBuilder::flush(bool all) {
    const std::size_t length = all ? open_.size() : settled_length(open_);
    if (length == 0) return;
    std::string text = open_.substr(0, length);
    open_.erase(0, length);
    switch (kind_) {
        case Kind::content: events_.emplace_back(ContentDelta{std::move(text)}); break;
        case Kind::reasoning: events_.emplace_back(ReasoningDelta{std::move(text)}); break;
        case Kind::arguments: events_.emplace_back(ArgumentsDelta{message_.tool_calls.size(), std::move(text)}); break;
    }
}

std::vector<ChatEvent> MessageBuilder::take_events(bool at_end) {
    flush(at_end);
    return std::exchange(events_, {});
}

void MessageBuilder::text(Channel channel, std::string_view text) {
    const bool is_content = channel == Channel::content;
    (is_content ? message_.content : message_.reasoning) += text;
    append(is_content ? Kind::content : Kind::reasoning, text);
}

void MessageBuilder::start_call(std::string name, std::string id) {
    flush(true);
    events_.emplace_back(CallStarted{message_.tool_calls.size(), name, id});
    call_ = {std::move(id), std::move(name), {}};
    call_open_ = true;
}

void MessageBuilder::arguments(std::string_view text) {
    call_.arguments += text;
    append(Kind::arguments, text);
}

void MessageBuilder::set_call_id(std::string id) {
    if (call_open_) {
        call_.id = std::move(id);
    } else if (!message_.tool_calls.empty()) {
        message_.tool_calls.back().id = std::move(id);
    }
}

bool MessageBuilder::finish_call() {
    // Its syntax is checked; here it is UTF-8 and halves of surrogate pairs.
    if (!nlohmann::json::accept(call_.arguments)) return false;
    flush(true);
    events_.emplace_back(CallFinished{message_.tool_calls.size()});
    message_.tool_calls.push_back(std::move(call_));
    call_open_ = false;
    return true;
}

void MessageBuilder::drop_call() {
    flush(true);
    events_.emplace_back(CallDropped{message_.tool_calls.size()});
    call_open_ = false;
}

}  // namespace puna::text::chat_parse
