#include "engine/stop_filter.h"

#include <algorithm>
#include <utility>

namespace puna::engine {
namespace {

std::vector<std::size_t> borders(std::string_view text) {
    std::vector<std::size_t> border(text.size(), 0);
    std::size_t length = 0;
    for (std::size_t i = 1; i < text.size(); ++i) {
        while (length > 0 && text[i] != text[length])
            length = border[length - 1];
        if (text[i] == text[length]) ++length;
        border[i] = length;
    }
    return border;
}

}  // namespace

StopFilter::StopFilter(const std::vector<std::string>& stops) {
    for (const std::string& stop : stops)
        patterns_.push_back({stop, borders(stop), 0});
}

void StopFilter::Pattern::advance(char byte) {
    while (matched > 0 && text[matched] != byte)
        matched = border[matched - 1];
    if (text[matched] == byte) ++matched;
}

std::string StopFilter::push(std::string_view text) {
    if (stopped_) return {};
    for (const char byte : text) {
        held_ += byte;
        std::size_t complete = 0;  // of the longest stop string that ends here
        for (Pattern& pattern : patterns_) {
            pattern.advance(byte);
            if (pattern.matched == pattern.text.size()) complete = std::max(complete, pattern.matched);
        }
        if (complete == 0) continue;
        stopped_ = true;
        held_.resize(held_.size() - complete);
        return finish();
    }
    std::size_t possible = 0;  // bytes at the end that may begin a stop string
    for (const Pattern& pattern : patterns_)
        possible = std::max(possible, pattern.matched);
    std::string certain = held_.substr(0, held_.size() - possible);
    held_.erase(0, certain.size());
    return certain;
}

std::string StopFilter::finish() {
    return std::exchange(held_, {});
}

}  // namespace puna::engine
