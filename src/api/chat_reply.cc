#include "puna/chat_reply.h"

#include <algorithm>
#include <utility>

#include "api/guarded.h"
#include "api/model_impl.h"
#include "base/try.h"
#include "puna/request.h"
#include "text/chat_parse/chat_parser.h"

namespace puna {

namespace parse = text::chat_parse;

ReplyMarks detect_reply_marks(std::string_view chat_template) {
    return parse::names_of(parse::detect_chat_format(chat_template));
}

Result<void> show_reply_marks(const Model& model, const ReplyMarks& marks, Request& request) {
    return api::guarded([&]() -> Result<void> {
        PUNA_TRY(const parse::ChatFormat format, parse::parse_chat_format(marks));
        if (!model.impl()->tokenizer.ok()) return model.impl()->tokenizer.error();
        const text::Tokenizer& tokenizer = **model.impl()->tokenizer;
        const std::vector<std::string>& tokens = tokenizer.vocabulary().tokens;
        const auto is_control_token = [&](std::string_view mark) {
            const auto token = std::ranges::find(tokens, mark);
            return token != tokens.end() && tokenizer.is_control(static_cast<TokenId>(token - tokens.begin()));
        };
        if (std::ranges::none_of(parse::marks_of(format), is_control_token)) return {};
        request.decode.special = true;
        for (const TokenId id : tokenizer.end_tokens()) {
            if (std::string end = tokenizer.token_bytes(id, /*special=*/true); !end.empty())
                request.stop.push_back(std::move(end));
        }
        return {};
    });
}

Result<bool> ends_in_reasoning(const ReplyMarks& marks, std::string_view prompt) {
    return api::guarded([&]() -> Result<bool> {
        PUNA_TRY(const parse::ChatFormat format, parse::parse_chat_format(marks));
        return parse::ends_in_reasoning(format, prompt);
    });
}

struct ReplyParser::Impl {
    parse::ChatParser parser;
};

ReplyParser::ReplyParser(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ReplyParser::ReplyParser(ReplyParser&&) noexcept = default;
ReplyParser& ReplyParser::operator=(ReplyParser&&) noexcept = default;
ReplyParser::~ReplyParser() = default;

Result<ReplyParser> ReplyParser::create(const ReplyOptions& options) {
    return api::guarded([&]() -> Result<ReplyParser> {
        parse::ParserOptions parsed;
        PUNA_TRY(parsed.format, parse::parse_chat_format(options.marks));
        if (!options.tools.empty()) {
            PUNA_TRY(parsed.tools, parse::parse_tools(options.tools));
        }
        parsed.in_reasoning = options.in_reasoning;
        return ReplyParser(std::make_unique<Impl>(Impl{parse::ChatParser(std::move(parsed))}));
    });
}

Result<std::vector<ChatEvent>> ReplyParser::push(std::string_view bytes) {
    return api::guarded([&]() -> Result<std::vector<ChatEvent>> { return impl_->parser.push(bytes); });
}

Result<std::vector<ChatEvent>> ReplyParser::finish() {
    return api::guarded([&]() -> Result<std::vector<ChatEvent>> { return impl_->parser.finish(); });
}

const ParsedMessage& ReplyParser::message() const {
    return impl_->parser.message();
}

}  // namespace puna
