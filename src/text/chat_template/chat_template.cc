#include "text/chat_template/chat_template.h"

#include <utility>

#include "base/try.h"
#include "text/chat_template/ast.h"
#include "text/chat_template/evaluator.h"
#include "text/chat_template/parser.h"

namespace puna::text {

struct ChatTemplate::Tree {
    jinja::Block block;
};

ChatTemplate::ChatTemplate(std::unique_ptr<const Tree> tree) : tree_(std::move(tree)) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;
ChatTemplate& ChatTemplate::operator=(ChatTemplate&&) noexcept = default;

Result<ChatTemplate> ChatTemplate::parse(std::string_view source) {
    PUNA_TRY(jinja::Block block, jinja::parse_template(source));
    return ChatTemplate(std::make_unique<const Tree>(Tree{std::move(block)}));
}

Result<std::vector<TextSpan>> ChatTemplate::render(const jinja::Dict& variables, const Options& options) const {
    jinja::Evaluator evaluator(variables, options.now ? &*options.now : nullptr, options.limits);
    PUNA_TRY(const jinja::Text text, evaluator.render(tree_->block));
    std::vector<TextSpan> spans;
    std::size_t begin = 0;
    for (const jinja::Text::Run& run : text.runs()) {
        const std::string_view bytes = text.bytes().substr(begin, run.end - begin);
        spans.push_back({std::string(bytes), run.origin == jinja::Origin::templ});
        begin = run.end;
    }
    return spans;
}

std::string joined(const std::vector<TextSpan>& spans) {
    std::string text;
    for (const TextSpan& span : spans)
        text += span.text;
    return text;
}

}  // namespace puna::text
