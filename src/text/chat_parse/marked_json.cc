// JSON calls between marks: Hermes and Qwen, Granite and Phi-4-mini, Command R7B; and without any.
#include "text/chat_parse/formats.h"

namespace puna::text::chat_parse {
namespace {

Script read_up_to(Reader& in, std::string_view closing) {
    co_await in.space();
    PUNA_NEED(read_json_calls(in, /*needs_arguments=*/false));
    co_await in.space();
    PUNA_NEED(in.literal(closing));
    co_return true;
}

/// The closing mark may be left away.
Script read_optionally_up_to(Reader& in, std::string_view closing) {
    co_await in.space();
    PUNA_NEED(read_json_calls(in, /*needs_arguments=*/false));
    const int next = co_await in.peek();
    if (next == closing.front()) PUNA_NEED(in.literal(closing));
    co_return true;
}

}  // namespace

Script read_hermes(Reader& in) {
    return read_up_to(in, "</tool_call>");
}
Script read_command_r7b(Reader& in) {
    return read_up_to(in, "<|END_ACTION|>");
}
Script read_granite(Reader& in) {
    return read_optionally_up_to(in, "<|/tool_call|>");
}

// Behind a fence's opening, or where JSON begins.
Script read_bare_json(Reader& in) {
    const bool fenced = in.taken().find('`') != std::string::npos;
    co_await in.space();
    const int first = co_await in.peek();
    if (first != '{' && first != '[') co_return false;
    PUNA_NEED(read_json_calls(in, /*needs_arguments=*/true));
    if (!fenced) co_return true;
    co_await in.space();
    PUNA_NEED(in.literal("```"));
    co_return true;
}

}  // namespace puna::text::chat_parse
