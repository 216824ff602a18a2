#include "text/chat_parse/json_scanner.h"

namespace puna::text::chat_parse {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

}  // namespace

void JsonScanner::reset() {
    closers_.clear();
    state_ = State::value;
    in_key_ = false;
}

bool JsonScanner::complete() const {
    return closers_.empty() && number_may_end();
}

bool JsonScanner::number_may_end() const {
    return state_ == State::zero || state_ == State::whole || state_ == State::fraction ||
           state_ == State::exponent_digits;
}

/// The value is complete with the byte that was taken.
Step JsonScanner::end_value() {
    state_ = State::behind;
    return closers_.empty() ? Step::done : Step::more;
}

Step JsonScanner::open(char closer, State next) {
    if (closers_.size() == max_depth_) return Step::failed;
    closers_.push_back(closer);
    state_ = next;
    return Step::more;
}

Step JsonScanner::begin_value(char c) {
    switch (c) {
        case '{': return open('}', State::first_key);
        case '[': return open(']', State::first_item);
        case '"': state_ = State::string, in_key_ = false; return Step::more;
        case 't': state_ = State::word, word_ = "rue"; return Step::more;
        case 'f': state_ = State::word, word_ = "alse"; return Step::more;
        case 'n': state_ = State::word, word_ = "ull"; return Step::more;
        case '-': state_ = State::minus; return Step::more;
        case '0': state_ = State::zero; return Step::more;
        default: break;
    }
    if (!is_digit(c)) return Step::failed;
    state_ = State::whole;
    return Step::more;
}

Step JsonScanner::number(char c) {
    const auto go = [&](State next) {
        state_ = next;
        return Step::more;
    };
    if (is_digit(c)) {
        switch (state_) {
            case State::minus: return go(c == '0' ? State::zero : State::whole);
            case State::whole: return Step::more;
            case State::point:
            case State::fraction: return go(State::fraction);
            case State::exponent:
            case State::exponent_sign:
            case State::exponent_digits: return go(State::exponent_digits);
            default: return Step::failed;  // behind a zero
        }
    }
    const bool integer = state_ == State::zero || state_ == State::whole;
    if (c == '.' && integer) return go(State::point);
    if ((c == 'e' || c == 'E') && (integer || state_ == State::fraction)) return go(State::exponent);
    if ((c == '+' || c == '-') && state_ == State::exponent) return go(State::exponent_sign);
    if (!number_may_end()) return Step::failed;
    if (closers_.empty()) return Step::before;
    state_ = State::behind;
    return feed(c);
}

Step JsonScanner::feed(char c) {
    switch (state_) {
        case State::string:
            if (static_cast<unsigned char>(c) < 0x20) return Step::failed;
            if (c == '\\') state_ = State::escape;
            if (c != '"') return Step::more;
            if (!in_key_) return end_value();
            state_ = State::colon;
            return Step::more;
        case State::escape:
            if (std::string_view("\"\\/bfnrtu").find(c) == std::string_view::npos) return Step::failed;
            state_ = c == 'u' ? State::hex : State::string;
            digits_ = 4;
            return Step::more;
        case State::hex:
            if (std::string_view("0123456789abcdefABCDEF").find(c) == std::string_view::npos) return Step::failed;
            if (--digits_ == 0) state_ = State::string;
            return Step::more;
        case State::word:
            if (c != word_.front()) return Step::failed;
            word_.remove_prefix(1);
            return word_.empty() ? end_value() : Step::more;
        case State::minus:
        case State::zero:
        case State::whole:
        case State::point:
        case State::fraction:
        case State::exponent:
        case State::exponent_sign:
        case State::exponent_digits: return number(c);
        default: break;
    }
    if (is_space(c) && !closers_.empty()) return Step::more;
    const bool closes = !closers_.empty() && c == closers_.back();
    switch (state_) {
        case State::first_item:
        case State::first_key:
        case State::behind:
            if (closes) {
                closers_.pop_back();
                return end_value();
            }
            break;
        default: break;
    }
    switch (state_) {
        case State::value:
        case State::first_item: return begin_value(c);
        case State::first_key:
        case State::key:
            if (c != '"') return Step::failed;
            state_ = State::string;
            in_key_ = true;
            return Step::more;
        case State::colon:
            if (c != ':') return Step::failed;
            state_ = State::value;
            return Step::more;
        default:  // behind a value
            if (c != ',' || closers_.empty()) return Step::failed;
            state_ = closers_.back() == '}' ? State::key : State::value;
            return Step::more;
    }
}

}  // namespace puna::text::chat_parse
