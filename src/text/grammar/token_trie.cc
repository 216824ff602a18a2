#include "text/grammar/token_trie.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "text/unicode/utf8.h"

namespace puna::text::grammar {
namespace {

/// How many characters the token has, if it is plain.
std::optional<std::size_t> plain_length(std::string_view bytes) {
    std::size_t length = 0;
    for (; !bytes.empty(); ++length) {
        const Utf8Char c = decode_utf8(bytes);
        if (!c.valid || c.code_point < ' ' || c.code_point == '"' || c.code_point == '\\') return std::nullopt;
        bytes.remove_prefix(c.length);
    }
    if (length > TokenIndex::longest_plain) return std::nullopt;
    return length;
}

}  // namespace

TokenTrie::TokenTrie(std::vector<std::pair<std::string, TokenId>> tokens) {
    std::sort(tokens.begin(), tokens.end());
    std::vector<std::uint32_t> open;  // the nodes of the last token's bytes
    const auto close = [&](std::size_t depth) {
        for (; open.size() > depth; open.pop_back())
            nodes_[open.back()].end = static_cast<std::uint32_t>(nodes_.size());
    };
    const std::string none;
    const std::string* last = &none;
    for (const auto& token : tokens) {
        const std::string& bytes = token.first;
        const auto differs = std::mismatch(bytes.begin(), bytes.end(), last->begin(), last->end()).first;
        close(static_cast<std::size_t>(differs - bytes.begin()));
        while (open.size() < bytes.size()) {
            const auto byte = static_cast<std::uint8_t>(bytes[open.size()]);
            const auto depth = static_cast<std::uint32_t>(open.size());
            open.push_back(static_cast<std::uint32_t>(nodes_.size()));
            nodes_.push_back({depth, byte, 0, static_cast<std::uint32_t>(ids_.size())});
        }
        ids_.push_back(token.second);
        depth_ = std::max(depth_, bytes.size());
        last = &bytes;
    }
    close(0);
    nodes_.push_back({0, 0, 0, static_cast<std::uint32_t>(ids_.size())});
}

void TokenTrie::collect(Automaton& automaton, Automaton::State state, TokenMask& mask) const {
    std::vector<Automaton::State> path(depth_ + 1);  // [depth] before the byte there
    path[0] = state;
    const std::size_t end = nodes_.size() - 1;
    for (std::size_t i = 0; i < end;) {
        const Node& node = nodes_[i];
        const Automaton::State to = automaton.next(path[node.depth], static_cast<std::uint8_t>(node.byte));
        if (to == Automaton::dead) {
            i = node.end;
            continue;
        }
        path[node.depth + 1] = to;
        ++i;
        for (std::size_t token = node.tokens; token < nodes_[i].tokens; ++token)
            mask.add(ids_[token]);
    }
}

TokenIndex::TokenIndex(const Tokenizer& tokenizer, std::size_t size)
    : size_(size), plain_up_to_(longest_plain + 1, TokenMask(size)) {
    std::vector<std::pair<std::string, TokenId>> plain, others;
    std::vector<bool> has_byte(256);
    for (std::size_t i = 0; i < size; ++i) {
        const auto id = static_cast<TokenId>(i);
        if (tokenizer.is_end(id)) continue;
        std::string bytes = tokenizer.token_bytes(id, /*special=*/false);
        if (bytes.empty()) continue;
        if (bytes.size() == 1) has_byte[static_cast<std::uint8_t>(bytes[0])] = true;
        const std::optional<std::size_t> length = plain_length(bytes);
        for (std::size_t most = length.value_or(longest_plain + 1); most <= longest_plain; ++most)
            plain_up_to_[most].add(id);
        (length ? plain : others).emplace_back(std::move(bytes), id);
    }
    plain_ = TokenTrie(std::move(plain));
    others_ = TokenTrie(std::move(others));
    has_all_bytes_ = std::find(has_byte.begin(), has_byte.end(), false) == has_byte.end();
}

}  // namespace puna::text::grammar
