// DeepSeek: V3 and R1 write a kind, a separator, the name, a line break and a fence with the arguments; V3.1 writes the
// name, the separator and the arguments.
#include "text/chat_parse/formats.h"

namespace puna::text::chat_parse {
namespace {

constexpr std::string_view call_begin = "<｜tool▁call▁begin｜>", call_end = "<｜tool▁call▁end｜>",
                           calls_end = "<｜tool▁calls▁end｜>", separator = "<｜tool▁sep｜>", common = "<｜tool▁call";

Script read_call(Reader& in) {
    co_await in.space();
    PUNA_NEED(in.name());
    std::string name = in.captured();
    PUNA_NEED(in.literal(separator));
    co_await in.space();
    int next = co_await in.peek();
    const bool fenced = next != '{';
    if (fenced) {
        if (name != "function") co_return false;
        PUNA_NEED(in.name());
        name = in.captured();
        co_await in.space();
        PUNA_NEED(in.literal("```json"));
        co_await in.space();
        next = co_await in.peek();
    }
    if (next != '{' || !in.start_call(name, {})) co_return false;
    PUNA_NEED(in.json(Reader::Json::arguments));
    if (!in.finish_call()) co_return false;
    co_await in.space();
    if (fenced) {
        PUNA_NEED(in.literal("```"));
        co_await in.space();
    }
    PUNA_NEED(in.literal(call_end));
    co_return true;
}

}  // namespace

// Behind the mark that begins all calls. The marks that may follow one call begin alike.
Script read_deepseek(Reader& in) {
    co_await in.space();
    PUNA_NEED(in.literal(call_begin));
    for (;;) {
        PUNA_NEED(read_call(in));
        in.settle();
        co_await in.space();
        PUNA_NEED(in.literal(common));
        const int next = co_await in.peek();
        const std::string_view mark = next == 's' ? calls_end : call_begin;
        PUNA_NEED(in.literal(mark.substr(common.size())));
        if (next == 's') co_return true;
    }
}

}  // namespace puna::text::chat_parse
