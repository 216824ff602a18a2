#include "text/chat_template/text.h"

#include <algorithm>
#include <utility>

namespace puna::text::jinja {

Text::Text(std::string bytes, Origin origin) : bytes_(std::move(bytes)) {
    if (!bytes_.empty()) runs_.push_back({bytes_.size(), origin});
}

Origin Text::origin_at(std::size_t byte) const {
    return std::ranges::upper_bound(runs_, byte, {}, &Run::end)->origin;
}

Origin Text::weakest_origin() const {
    const bool all = std::ranges::all_of(runs_, [](const Run& run) { return run.origin == Origin::templ; });
    return all ? Origin::templ : Origin::input;
}

void TextBuilder::add(std::string_view bytes, Origin origin) {
    if (bytes.empty()) return;
    if (text_.size() + bytes.size() > max_text_bytes) {
        budget_->exhaust();
        return;
    }
    text_.bytes_ += bytes;
    if (!text_.runs_.empty() && text_.runs_.back().origin == origin) {
        text_.runs_.back().end = text_.bytes_.size();
    } else {
        text_.runs_.push_back({text_.bytes_.size(), origin});
    }
}

void TextBuilder::append(std::string_view bytes, Origin origin) {
    if (budget_->spend_text(bytes.size())) add(bytes, origin);
}

void TextBuilder::append(const Text& text, std::size_t begin, std::size_t end) {
    if (begin >= end || !budget_->spend_text(end - begin)) return;
    auto run = std::ranges::upper_bound(text.runs_, begin, {}, &Text::Run::end);
    while (begin < end) {
        const std::size_t stop = std::min(run->end, end);
        add(text.bytes().substr(begin, stop - begin), run->origin);
        begin = stop;
        ++run;
    }
}

void TextBuilder::append_repeated(const Text& text, std::size_t count) {
    if (text.size() == 0) return;
    for (std::size_t i = 0; i < count && !budget_->exhausted(); ++i)
        append(text);
}

Text TextBuilder::take() {
    return std::exchange(text_, {});
}

TextPtr TextBuilder::take_shared() {
    budget_->spend(object_steps);
    return std::make_shared<const Text>(take());
}

TextPtr part_of(Budget& budget, const Text& text, std::size_t begin, std::size_t end) {
    TextBuilder builder(budget);
    builder.append(text, begin, end);
    return builder.take_shared();
}

}  // namespace puna::text::jinja
