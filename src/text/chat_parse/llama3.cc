// Llama 3: JSON with "parameters", alone or behind <|python_tag|>, several with semicolons between.
#include "text/chat_parse/formats.h"

namespace puna::text::chat_parse {

Script read_llama3(Reader& in) {
    co_await in.space();
    PUNA_NEED(read_json_calls(in, /*needs_arguments=*/true));
    for (;;) {
        co_await in.space();
        const int next = co_await in.peek();
        if (next != ';') co_return true;
        PUNA_NEED(in.literal(";"));
        co_await in.space();
        // A semicolon at the very end belongs to nothing.
        const int behind = co_await in.peek();
        if (behind == Reader::ended) co_return true;
        PUNA_NEED(read_json_call(in, /*needs_arguments=*/true));
    }
}

}  // namespace puna::text::chat_parse
