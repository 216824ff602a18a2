#include "text/chat_parse/reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace puna::text::chat_parse {
namespace {

/// White space that is held back because a mark may follow; more of it is text.
constexpr std::size_t max_held = 256;

}  // namespace

void Reader::start(Script script) {
    script_ = std::move(script);
    script_.start();
}

void Reader::feed(char c) {
    while (!script_.done()) {
        Step taken = step(c);
        const bool takes = taken == Step::more || taken == Step::done;
        if (attempt_ && takes) {
            if (raw_.size() >= options_.max_call_bytes) {
                taken = answer(Step::failed, primitive_ == Primitive::until ? -1 : 0);
            } else {
                raw_ += c;
            }
        }
        if (taken == Step::more) return;
        waiting_.resume();
        if (taken == Step::done) return;
    }
}

void Reader::finish() {
    ended_ = true;
    while (!script_.done()) {
        at_end_of_text();
        waiting_.resume();
    }
}

Reader::Answer Reader::begin(Primitive primitive) {
    primitive_ = primitive;
    return Answer(*this);
}

Reader::Answer Reader::text(Channel channel, const TextMarks& marks) {
    channel_ = channel;
    marks_ = marks;
    attempt_ = false;
    raw_.clear();
    return begin(Primitive::text);
}
Reader::Answer Reader::literal(std::string_view text) {
    literal_ = text;
    matched_ = 0;
    return begin(Primitive::literal);
}
Reader::Answer Reader::space() {
    return begin(Primitive::space);
}
Reader::Answer Reader::peek() {
    return begin(Primitive::peek);
}
Reader::Answer Reader::name() {
    captured_.clear();
    return begin(Primitive::name);
}
Reader::Answer Reader::until(std::span<const std::string_view> marks, std::size_t max_bytes) {
    until_ = marks;
    until_bytes_ = max_bytes;
    captured_.clear();
    return begin(Primitive::until);
}
Reader::Answer Reader::json(Json into) {
    into_ = into;
    json_.reset();
    captured_.clear();
    return begin(Primitive::json);
}

Step Reader::step(char c) {
    switch (primitive_) {
        case Primitive::none: break;
        case Primitive::text: return step_text(c);
        case Primitive::json: return step_json(c);
        case Primitive::space: return is_space(c) ? Step::more : answer(Step::before, 1);
        case Primitive::peek: return answer(Step::before, static_cast<unsigned char>(c));
        case Primitive::literal:
            if (c != literal_[matched_]) return answer(Step::failed, 0);
            return ++matched_ == literal_.size() ? answer(Step::done, 1) : Step::more;
        case Primitive::name:
            if (!is_tool_name_byte(c)) return answer(Step::before, captured_.empty() ? 0 : 1);
            if (captured_.size() == max_tool_name) return answer(Step::failed, 0);
            captured_ += c;
            return Step::more;
        case Primitive::until:
            captured_ += c;
            for (std::size_t i = 0; i < until_.size(); ++i) {
                if (!captured_.ends_with(until_[i])) continue;
                captured_.resize(captured_.size() - until_[i].size());
                return answer(Step::done, static_cast<int>(i));
            }
            // The last byte is read again by what comes next.
            return captured_.size() > until_bytes_ ? answer(Step::failed, -1) : Step::more;
    }
    return answer(Step::failed, 0);
}

Step Reader::step_json(char c) {
    const Step taken = json_.feed(c);
    answer_ = taken == Step::failed ? 0 : 1;
    if (taken == Step::more || taken == Step::done) {
        if (into_ == Json::capture) captured_ += c;
        if (into_ == Json::arguments) builder_.arguments({&c, 1});
    }
    return taken;
}

std::span<const std::string_view> Reader::start_marks() const {
    return at_start_ ? marks_.at_start : std::span<const std::string_view>();
}

/// Whether white space at the start may belong to a mark.
bool Reader::holds_space() const {
    const bool marks = !marks_.anywhere.empty() || !marks_.at_start.empty() || marks_.json_at_start;
    return (follows_mark_ || marks) && lead_.size() < max_held;
}

/// Whether what is pending is a mark, or (not `whole`) the beginning of one.
bool Reader::matches_mark(bool whole) const {
    const auto matches = [&](std::string_view mark) { return whole ? mark == pending_ : mark.starts_with(pending_); };
    return std::ranges::any_of(marks_.anywhere, matches) || std::ranges::any_of(start_marks(), matches);
}

void Reader::put(char c) {
    if (at_start_) {
        at_start_ = false;
        const std::size_t breaks = std::min(lead_.find_first_not_of('\n'), lead_.size());
        const std::string lead = follows_mark_ ? lead_.substr(breaks) : lead_;
        lead_.clear();
        for (const char space : lead)
            put(space);
    }
    const bool may_be_a_mark_s = c == '\n' && !marks_.anywhere.empty() && breaks_.size() < max_held;
    breaks_ += c;
    if (may_be_a_mark_s) return;
    builder_.text(channel_, breaks_);
    breaks_.clear();
}

void Reader::put_pending(std::size_t bytes) {
    const std::string text = pending_.substr(0, bytes);
    pending_.erase(0, bytes);
    for (const char c : text)
        put(c);
}

Step Reader::step_text(char c) {
    if (at_start_ && pending_.empty()) {
        if (marks_.json_at_start && (c == '{' || c == '[')) {
            // A mark that begins like this would be missed; those that do are looked for first.
            pending_ = c;
            const bool may_be_mark = matches_mark(false);
            pending_.clear();
            if (!may_be_mark) {
                raw_ = std::exchange(lead_, {});
                return answer(Step::before, json_begins);
            }
        }
        if (is_space(c) && holds_space()) {
            lead_ += c;
            return Step::more;
        }
    }
    pending_ += c;
    while (!pending_.empty() && !matches_mark(false))
        put_pending(1);
    if (pending_.empty() || !matches_mark(true)) return Step::more;

    int number = 0;
    for (const std::span<const std::string_view> list : {marks_.anywhere, start_marks()}) {
        for (const std::string_view mark : list) {
            if (mark == pending_) answer_ = number;
            ++number;
        }
    }
    raw_ = std::exchange(lead_, {}) + std::exchange(breaks_, {}) + std::exchange(pending_, {});
    at_start_ = follows_mark_ = true;
    return Step::done;
}

void Reader::at_end_of_text() {
    answer_ = 0;
    switch (primitive_) {
        case Primitive::none:
        case Primitive::literal: break;
        case Primitive::space: answer_ = 1; break;
        case Primitive::name: answer_ = captured_.empty() ? 0 : 1; break;
        case Primitive::peek:
        case Primitive::until: answer_ = ended; break;
        case Primitive::json: answer_ = json_.complete() ? 1 : 0; break;
        case Primitive::text:
            put_pending(pending_.size());
            if (at_start_ && !follows_mark_) builder_.text(channel_, lead_);
            lead_.clear();
            builder_.text(channel_, std::exchange(breaks_, {}));
            answer_ = ended;
            break;
    }
}

const Tool* Reader::find_tool(std::string_view name) const {
    const auto found = std::ranges::find(options_.tools, name, &Tool::name);
    return found == options_.tools.end() ? nullptr : &*found;
}

bool Reader::start_call(const std::string& name, const std::string& id) {
    if (!is_tool_name(name) || (!options_.tools.empty() && find_tool(name) == nullptr)) return false;
    builder_.start_call(name, id);
    return true;
}

bool Reader::finish_call() {
    if (!builder_.finish_call()) return false;
    raw_.clear();
    has_calls_ = true;
    return true;
}

void Reader::end_attempt() {
    raw_.clear();
    attempt_ = has_calls_ = false;
    at_start_ = follows_mark_ = true;
}

void Reader::give_up(bool marked) {
    const bool only_space = std::ranges::all_of(raw_, is_space);
    if (ended_ && has_calls_ && only_space && !builder_.call_open()) return end_attempt();
    if (builder_.call_open()) {
        builder_.drop_call();
        marked = true;
    }
    if (marked) builder_.set_malformed();
    builder_.text(Channel::content, raw_);
    raw_.clear();
    attempt_ = has_calls_ = at_start_ = follows_mark_ = false;
}

std::optional<std::string> json_string(std::string_view json) {
    const auto value = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
    if (!value.is_string()) return std::nullopt;
    return value.get<std::string>();
}

}  // namespace puna::text::chat_parse
