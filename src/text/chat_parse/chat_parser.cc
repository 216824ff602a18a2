#include "text/chat_parse/chat_parser.h"

#include <utility>

#include "text/chat_parse/formats.h"

namespace puna::text::chat_parse {
namespace {

CallSyntax syntax_of(CallFormat format) {
    switch (format) {
        case CallFormat::json: return {{}, {"```json"}, true, read_bare_json};
        case CallFormat::hermes: return {{"<tool_call>"}, {}, false, read_hermes};
        case CallFormat::qwen3_coder: return {{"<tool_call>"}, {}, false, read_qwen3_coder};
        case CallFormat::llama3: return {{"<|python_tag|>"}, {}, true, read_llama3};
        case CallFormat::mistral: return {{"[TOOL_CALLS]"}, {}, false, read_mistral};
        case CallFormat::granite: return {{"<|tool_call|>"}, {}, false, read_granite};
        case CallFormat::command_r7b: return {{"<|START_ACTION|>"}, {}, false, read_command_r7b};
        case CallFormat::deepseek: return {{"<｜tool▁calls▁begin｜>"}, {}, false, read_deepseek};
        case CallFormat::harmony:  // no part of a reply of this kind
        case CallFormat::none: break;
    }
    return {};
}

}  // namespace

struct ChatParser::State {
    explicit State(ParserOptions given) : options(std::move(given)), syntax(syntax_of(options.format.calls)) {
        reader.start(options.format.calls == CallFormat::harmony ? read_harmony(reader) : read_reply(reader, syntax));
    }

    ParserOptions options;
    CallSyntax syntax;
    MessageBuilder builder;
    Reader reader{options, builder};
};

ChatParser::ChatParser(ParserOptions options) : state_(std::make_unique<State>(std::move(options))) {}
ChatParser::~ChatParser() = default;
ChatParser::ChatParser(ChatParser&&) noexcept = default;
ChatParser& ChatParser::operator=(ChatParser&&) noexcept = default;

std::vector<ChatEvent> ChatParser::push(std::string_view bytes) {
    for (const char c : bytes)
        state_->reader.feed(c);
    return state_->builder.take_events(/*at_end=*/false);
}

std::vector<ChatEvent> ChatParser::finish() {
    state_->reader.finish();
    return state_->builder.take_events(/*at_end=*/true);
}

const ParsedMessage& ChatParser::message() const {
    return state_->builder.message();
}

ParsedMessage parse_reply(std::string_view output, ParserOptions options) {
    ChatParser parser(std::move(options));
    parser.push(output);
    parser.finish();
    return parser.message();
}

}  // namespace puna::text::chat_parse
