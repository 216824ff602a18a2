// Mistral: an array of JSON calls behind [TOOL_CALLS]; since tokenizer v11 a name, perhaps [CALL_ID] and an id, [ARGS]
// and the arguments behind each [TOOL_CALLS].
#include "text/chat_parse/formats.h"

namespace puna::text::chat_parse {

Script read_mistral(Reader& in) {
    co_await in.space();
    const int first = co_await in.peek();
    if (first == '[') {
        PUNA_NEED(read_json_calls(in, /*needs_arguments=*/false));
        co_return true;
    }
    PUNA_NEED(in.name());
    const std::string name = in.captured();
    std::string id;
    int next = co_await in.peek();
    if (next == '[') {
        PUNA_NEED(in.literal("["));
        next = co_await in.peek();
        if (next == 'C') {
            PUNA_NEED(in.literal("CALL_ID]"));
            PUNA_NEED(in.name());
            id = in.captured();
            PUNA_NEED(in.literal("["));
        }
        PUNA_NEED(in.literal("ARGS]"));
    }
    co_await in.space();
    next = co_await in.peek();
    if (next != '{' || !in.start_call(name, id)) co_return false;
    PUNA_NEED(in.json(Reader::Json::arguments));
    co_return in.finish_call();
}

}  // namespace puna::text::chat_parse
