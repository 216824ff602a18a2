#include "text/tokenizer/token_matcher.h"

#include <algorithm>
#include <numeric>

namespace puna::text {

void TokenMatcher::add(std::string_view token, TokenId id) {
    if (token.empty()) return;
    State state = 0;
    for (auto it = token.rbegin(); it != token.rend(); ++it) {
        const auto byte = static_cast<unsigned char>(*it);
        if (const std::uint64_t* next = edges_.find(edge(state, byte))) {
            state = static_cast<State>(*next);
            continue;
        }
        const auto created = static_cast<State>(nodes_.size());
        nodes_.push_back({.parent = state, .depth = nodes_[state].depth + 1, .byte = byte});
        edges_.insert(edge(state, byte), created);
        state = created;
    }
    if (nodes_[state].id != no_token) return;
    nodes_[state].length = nodes_[state].depth;
    nodes_[state].id = id;
}

void TokenMatcher::build() {
    // By depth, so that a node's failure is complete before it is needed.
    std::vector<State> order(nodes_.size() - 1);
    std::iota(order.begin(), order.end(), State{1});
    std::stable_sort(order.begin(), order.end(),
                     [this](State a, State b) { return nodes_[a].depth < nodes_[b].depth; });
    for (const State state : order) {
        Node& node = nodes_[state];
        node.failure = node.depth == 1 ? 0 : step(nodes_[node.parent].failure, node.byte);
        if (node.id != no_token) continue;
        node.id = nodes_[node.failure].id;
        node.length = nodes_[node.failure].length;
    }
}

TokenMatcher::State TokenMatcher::step(State state, unsigned char byte) const {
    while (true) {
        if (const std::uint64_t* next = edges_.find(edge(state, byte))) return static_cast<State>(*next);
        if (state == 0) return 0;
        state = nodes_[state].failure;
    }
}

std::vector<TokenMatcher::Match> TokenMatcher::find(std::string_view text) const {
    std::vector<Match> matches;
    if (nodes_.size() == 1) return matches;
    State state = 0;
    for (std::size_t i = text.size(); i-- > 0;) {
        state = step(state, static_cast<unsigned char>(text[i]));
        const Node& node = nodes_[state];
        if (node.id != no_token) matches.push_back({i, node.length, node.id});
    }
    std::reverse(matches.begin(), matches.end());
    std::size_t end = 0;
    std::erase_if(matches, [&end](const Match& match) {
        if (match.begin < end) return true;
        end = match.begin + match.length;
        return false;
    });
    return matches;
}

}  // namespace puna::text
