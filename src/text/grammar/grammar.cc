#include "text/grammar/grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "text/unicode/utf8.h"

namespace puna::text::grammar {
namespace {

/// Which nodes reach the end of their rule, so that no matcher ever enters a part that cannot be finished.
std::vector<bool> find_productive(const Grammar& grammar) {
    const auto& nodes = grammar.nodes;
    std::vector<std::vector<std::uint32_t>> dependents(nodes.size());
    std::vector<std::uint32_t> work;
    for (std::uint32_t i = 0; i < nodes.size(); ++i) {
        const Node& node = nodes[i];
        switch (node.op) {
            case Op::ret: work.push_back(i); break;
            case Op::byte: dependents[node.a].push_back(i); break;
            case Op::jump: dependents[grammar.starts[node.a]].push_back(i); break;
            case Op::split: dependents[node.a].push_back(i), dependents[node.b].push_back(i); break;
            case Op::call: dependents[node.a].push_back(i), dependents[grammar.starts[node.b]].push_back(i); break;
        }
    }
    std::vector<bool> productive(nodes.size());
    while (!work.empty()) {
        const std::uint32_t i = work.back();
        work.pop_back();
        const Node& node = nodes[i];
        if (productive[i]) continue;
        if (node.op == Op::call && !(productive[node.a] && productive[grammar.starts[node.b]])) continue;
        productive[i] = true;
        work.insert(work.end(), dependents[i].begin(), dependents[i].end());
    }
    return productive;
}

}  // namespace

GrammarBuilder::Id GrammarBuilder::add(Expression expression) {
    expressions_.push_back(std::move(expression));
    return static_cast<Id>(expressions_.size() - 1);
}

GrammarBuilder::Id GrammarBuilder::bytes(std::string_view text) {
    std::vector<Id> parts;
    for (const char c : text)
        parts.push_back(byte_range(static_cast<std::uint8_t>(c), static_cast<std::uint8_t>(c)));
    return sequence(std::move(parts));
}

/// Splits a range of code points until the bytes at each place of its UTF-8 form are a range of their own.
void GrammarBuilder::add_utf8(char32_t first, char32_t last, std::vector<Id>& choices) {
    for (const char32_t border : {0x7Fu, 0x7FFu, 0xFFFFu}) {
        if (first <= border && border < last)
            return add_utf8(first, border, choices), add_utf8(border + 1, last, choices);
    }
    for (int bits = first < 0x80 ? 0 : 6; bits != 0 && bits <= 18; bits += 6) {
        const char32_t mask = (char32_t{1} << bits) - 1;
        if (first >> bits == last >> bits) break;
        if ((first & mask) != 0)
            return add_utf8(first, first | mask, choices), add_utf8((first | mask) + 1, last, choices);
        if ((last & mask) != mask)
            return add_utf8(first, (last & ~mask) - 1, choices), add_utf8(last & ~mask, last, choices);
    }
    std::string low, high;
    append_utf8(low, first);
    append_utf8(high, last);
    std::vector<Id> parts;
    for (std::size_t i = 0; i < low.size(); ++i)
        parts.push_back(byte_range(static_cast<std::uint8_t>(low[i]), static_cast<std::uint8_t>(high[i])));
    choices.push_back(sequence(std::move(parts)));
}

GrammarBuilder::Id GrammarBuilder::characters(const std::vector<CharRange>& ranges) {
    std::vector<Id> choices;
    for (const auto [first, last] : ranges) {
        if (first < 0xD800) add_utf8(first, last < 0xD800 ? last : 0xD7FF, choices);
        if (last > 0xDFFF) add_utf8(first > 0xDFFF ? first : 0xE000, last, choices);
    }
    return choice(std::move(choices));
}

GrammarBuilder::Id GrammarBuilder::sequence(std::vector<Id> parts) {
    return add({Kind::sequence, 0, 0, std::move(parts)});
}
GrammarBuilder::Id GrammarBuilder::choice(std::vector<Id> parts) {
    return add({Kind::choice, 0, 0, std::move(parts)});
}
GrammarBuilder::Id GrammarBuilder::repeat(Id part, std::uint32_t min, std::uint32_t max) {
    return add({Kind::repeat, min, max, {part}});
}
GrammarBuilder::Id GrammarBuilder::call(std::uint32_t rule) {
    return add({Kind::call, rule, 0, {}});
}
GrammarBuilder::Id GrammarBuilder::include(Grammar grammar) {
    const auto first = static_cast<std::uint32_t>(bodies_.size());
    const std::uint32_t root = first + grammar.root;
    bodies_.resize(bodies_.size() + grammar.starts.size());
    included_.push_back({first, std::move(grammar)});
    return call(root);
}

std::uint32_t GrammarBuilder::add_rule() {
    bodies_.push_back(0);
    return static_cast<std::uint32_t>(bodies_.size() - 1);
}
void GrammarBuilder::define(std::uint32_t rule, Id body) {
    bodies_[rule] = body;
}

/// Emits each expression before what it follows on, so that every node knows its successor.
class GrammarBuilder::Compiler {
  public:
    explicit Compiler(const GrammarBuilder& builder) : builder_(builder) {}

    bool rule(Id body) {
        grammar_.starts.push_back(emit(body, node({Op::ret, 0, 0, 0, 0})));
        return !full();
    }
    /// Copies the nodes of a grammar whose rules come next.
    bool include(const Grammar& other) {
        const auto offset = static_cast<std::uint32_t>(grammar_.nodes.size());
        const auto first_rule = static_cast<std::uint32_t>(grammar_.starts.size());
        if (other.nodes.size() > max_nodes - std::min(offset, max_nodes)) return false;
        for (Node node : other.nodes) {
            const bool leads_on = node.op == Op::byte || node.op == Op::call || node.op == Op::split;
            if (leads_on) node.a += offset;
            if (node.op == Op::split) node.b += offset;
            if (node.op == Op::call) node.b += first_rule;
            if (node.op == Op::jump) node.a += first_rule;
            grammar_.nodes.push_back(node);
        }
        for (const std::uint32_t start : other.starts)
            grammar_.starts.push_back(start + offset);
        return true;
    }
    std::size_t rules() const { return grammar_.starts.size(); }
    Grammar take() { return std::move(grammar_); }

  private:
    // Steps are counted as well as nodes: repetitions of nothing make no nodes.
    bool full() const { return steps_ > 4 * max_nodes || grammar_.nodes.size() > max_nodes; }

    std::uint32_t node(Node node) {
        grammar_.nodes.push_back(node);
        return static_cast<std::uint32_t>(grammar_.nodes.size() - 1);
    }

    std::uint32_t emit(Id id, std::uint32_t next) {
        ++steps_;
        if (full()) return next;
        const Expression& e = builder_.expressions_[id];
        switch (e.kind) {
            case Kind::byte:
                return node({Op::byte, static_cast<std::uint8_t>(e.x), static_cast<std::uint8_t>(e.y), next, 0});
            case Kind::call:
                // A call in last place leaves nothing to come back for: right recursion takes no stack.
                if (grammar_.nodes[next].op == Op::ret) return node({Op::jump, 0, 0, e.x, 0});
                return node({Op::call, 0, 0, next, e.x});
            case Kind::sequence:
                for (auto part = e.parts.rbegin(); part != e.parts.rend(); ++part)
                    next = emit(*part, next);
                return next;
            case Kind::choice: return emit_choice(e, next);
            case Kind::repeat: return emit_repeat(e, next);
        }
        return next;
    }

    std::uint32_t emit_choice(const Expression& e, std::uint32_t next) {
        if (e.parts.empty()) {  // matches nothing: a node that leads only to itself
            const auto self = static_cast<std::uint32_t>(grammar_.nodes.size());
            return node({Op::split, 0, 0, self, self});
        }
        std::uint32_t entry = emit(e.parts.back(), next);
        for (std::size_t i = e.parts.size() - 1; i-- > 0;) {
            const std::uint32_t branch = emit(e.parts[i], next);
            entry = node({Op::split, 0, 0, branch, entry});
        }
        return entry;
    }

    std::uint32_t emit_repeat(const Expression& e, std::uint32_t next) {
        std::uint32_t entry = next;
        if (e.y == unbounded) {
            entry = node({Op::split, 0, 0, next, next});
            const std::uint32_t body = emit(e.parts[0], entry);
            grammar_.nodes[entry].a = body;
        } else {
            for (std::uint32_t i = e.x; i < e.y && !full(); ++i) {
                const std::uint32_t body = emit(e.parts[0], entry);
                entry = node({Op::split, 0, 0, body, next});
            }
        }
        for (std::uint32_t i = 0; i < e.x && !full(); ++i)
            entry = emit(e.parts[0], entry);
        return entry;
    }

    const GrammarBuilder& builder_;
    Grammar grammar_;
    std::uint64_t steps_ = 0;
};

Result<Grammar> GrammarBuilder::compile(std::uint32_t root) const {
    Compiler compiler(*this);
    auto next = included_.begin();
    while (compiler.rules() < bodies_.size()) {
        const std::size_t rule = compiler.rules();
        const bool is_included = next != included_.end() && next->first_rule == rule;
        if (!(is_included ? compiler.include((next++)->grammar) : compiler.rule(bodies_[rule])))
            return Error{ErrorCode::invalid_argument, fmt::format("the grammar needs more than {} nodes", max_nodes),
                         "use smaller counts in repetitions, or * and + instead"};
    }
    Grammar grammar = compiler.take();
    grammar.root = root;
    grammar.productive = find_productive(grammar);
    if (!grammar.productive[grammar.starts[root]])
        return Error{ErrorCode::invalid_argument, "no text matches the grammar: it never ends",
                     "give the recursion an alternative without it"};
    return grammar;
}

}  // namespace puna::text::grammar
