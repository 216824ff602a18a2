// Content, reasoning and calls, told apart by marks.
#include "text/chat_parse/formats.h"

namespace puna::text::chat_parse {

Script read_reply(Reader& in, const CallSyntax& syntax) {
    const auto& tags = in.options().format.reasoning;
    std::vector<std::string_view> closing, at_start;
    for (const ReasoningTag* const tag : tags) {
        closing.push_back(tag->close);
        at_start.push_back(tag->open);
    }
    at_start.insert(at_start.end(), syntax.marks_at_start.begin(), syntax.marks_at_start.end());
    // Which of the tags the template wrote makes no difference: any ends it.
    if (in.options().in_reasoning && !tags.empty()) co_await in.text(Channel::reasoning, {closing});
    while (!in.at_end()) {
        const int met = co_await in.text(Channel::content, {syntax.marks, at_start, syntax.json_at_start});
        if (met == Reader::ended) break;
        const auto tag = static_cast<std::size_t>(met) - syntax.marks.size();
        if (met >= 0 && tag < tags.size()) {
            co_await in.text(Channel::reasoning, {{&closing[tag], 1}});
            continue;
        }
        in.begin_attempt();
        const bool marked = met >= 0 && static_cast<std::size_t>(met) < syntax.marks.size();
        const bool found = co_await syntax.read(in);
        if (found) {
            in.end_attempt();
        } else {
            in.give_up(marked);
        }
    }
    co_return true;
}

}  // namespace puna::text::chat_parse
