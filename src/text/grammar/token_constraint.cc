#include "text/grammar/token_constraint.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <string>
#include <utility>

namespace puna::text::grammar {
namespace {

constexpr std::size_t most_mask_bytes = std::size_t{1} << 23;       // of one text
constexpr std::size_t least_memory_to_tidy = std::size_t{1} << 26;  // of the automaton, a quarter of its limit

struct ByteRange {
    std::uint8_t first, last;
};
/// The characters beyond ASCII by their first bytes and their second ones; what follows is any continuation byte.
struct Utf8Form {
    ByteRange lead, second;
    int more;
};
/// The Unicode Standard, table 3-7.
constexpr Utf8Form utf8_forms[] = {
    {{0xC2, 0xDF}, {0x80, 0xBF}, 0}, {{0xE0, 0xE0}, {0xA0, 0xBF}, 1}, {{0xE1, 0xEC}, {0x80, 0xBF}, 1},
    {{0xED, 0xED}, {0x80, 0x9F}, 1}, {{0xEE, 0xEF}, {0x80, 0xBF}, 1}, {{0xF0, 0xF0}, {0x90, 0xBF}, 2},
    {{0xF1, 0xF3}, {0x80, 0xBF}, 2}, {{0xF4, 0xF4}, {0x80, 0x8F}, 2},
};

/// All states that a byte of `range` leads to from any of `states`, without repetition.
void step(Automaton& automaton, const std::vector<Automaton::State>& states, ByteRange range,
          std::vector<Automaton::State>& out) {
    for (const Automaton::State state : states) {
        for (unsigned byte = range.first; byte <= range.last; ++byte) {
            const Automaton::State to =
                state == Automaton::dead ? state : automaton.next(state, static_cast<std::uint8_t>(byte));
            if (!out.empty() && out.back() == to) continue;  // most bytes lead where the one before did
            if (std::find(out.begin(), out.end(), to) == out.end()) out.push_back(to);
        }
    }
}

}  // namespace

TokenConstraint::TokenConstraint(std::shared_ptr<const Grammar> grammar, std::shared_ptr<const TokenIndex> index,
                                 const Tokenizer& tokenizer, bool at_start)
    : index_(std::move(index)),
      tokenizer_(tokenizer),
      automaton_(std::move(grammar)),
      at_start_(at_start),
      memory_to_tidy_(least_memory_to_tidy) {}

Error TokenConstraint::limit_met() const {
    return {ErrorCode::constraint_failed,
            "the constraint is too ambiguous for this text, or nests too deeply: it needs more memory than is allowed",
            "simplify the grammar: give a text fewer ways in which it can match"};
}

/// At the start of a text, some tokenizers leave a token's leading space out.
std::string TokenConstraint::bytes(TokenId id) const {
    if (at_start_) return tokenizer_.decode_bytes(std::span(&id, 1), /*special=*/false);
    return tokenizer_.token_bytes(id, /*special=*/false);
}

Result<void> TokenConstraint::accept(TokenId id) {
    if (tokenizer_.is_end(id) && matches()) return {};
    automaton_.grant_work();
    const std::string text = bytes(id);
    Automaton::State state = text.empty() || tokenizer_.is_end(id) ? Automaton::dead : state_;
    for (const char c : text) {
        if (state == Automaton::dead) break;
        state = automaton_.next(state, static_cast<std::uint8_t>(c));
    }
    if (automaton_.overflowed()) return limit_met();
    if (state == Automaton::dead) {
        return Error{ErrorCode::constraint_failed, fmt::format("token {} does not keep to the constraint", id),
                     "choose from the tokens that are allowed"};
    }
    state_ = state;
    at_start_ = false;
    if (automaton_.memory() > memory_to_tidy_) {
        state_ = automaton_.keep_only(state_);
        memory_to_tidy_ = std::max(least_memory_to_tidy, 2 * automaton_.memory());
        masks_.clear();
        mask_count_ = 0;
        plain_steps_.clear();
    }
    return {};
}

Result<const TokenMask*> TokenConstraint::allowed() {
    automaton_.grant_work();
    const std::size_t mask_bytes = index_->size() / 8 + 1;
    if (masks_.size() <= state_) masks_.resize(state_ + std::size_t{1});
    if (masks_[state_] == nullptr || at_start_) {
        if ((mask_count_ + 1) * mask_bytes > most_mask_bytes) {
            for (auto& mask : masks_)
                mask.reset();
            mask_count_ = 0;
        }
        auto mask = std::make_unique<TokenMask>(index_->size());
        if (at_start_) {
            collect_at_start(*mask);
        } else {
            collect(*mask);
        }
        if (matches()) {
            for (const TokenId id : tokenizer_.end_tokens()) {
                if (static_cast<std::size_t>(id) < index_->size()) mask->add(id);
            }
        }
        masks_[state_] = std::move(mask);
        ++mask_count_;
    }
    if (automaton_.overflowed()) return limit_met();
    if (masks_[state_]->empty()) {
        return Error{ErrorCode::constraint_failed,
                     matches() ? "the text is complete, and the vocabulary has no end token to say so"
                               : "no token of the vocabulary continues the text as the constraint asks",
                     "ask for text that this model's vocabulary can express"};
    }
    return masks_[state_].get();
}

void TokenConstraint::collect(TokenMask& mask) {
    const PlainRun run = plain_run();
    if (run.regular) {
        mask = index_->plain_up_to(run.length);
    } else {
        index_->plain().collect(automaton_, state_, mask);
    }
    index_->others().collect(automaton_, state_, mask);
}

void TokenConstraint::collect_at_start(TokenMask& mask) {
    for (std::size_t i = 0; i < index_->size(); ++i) {
        const auto id = static_cast<TokenId>(i);
        if (tokenizer_.is_end(id)) continue;
        const std::string text = bytes(id);
        Automaton::State state = text.empty() ? Automaton::dead : state_;
        for (std::size_t at = 0; at < text.size() && state != Automaton::dead; ++at)
            state = automaton_.next(state, static_cast<std::uint8_t>(text[at]));
        if (state != Automaton::dead) mask.add(id);
    }
}

TokenConstraint::PlainRun TokenConstraint::plain_run() {
    Automaton::State state = state_;
    for (std::size_t length = 0; length < TokenIndex::longest_plain; ++length) {
        const PlainStep step = plain_step(state);
        if (step.lead == Lead::several) return {false, 0};
        if (step.lead == Lead::nowhere) return {true, length};
        if (step.to == state) break;
        state = step.to;
    }
    return {true, TokenIndex::longest_plain};
}

TokenConstraint::PlainStep TokenConstraint::plain_step(Automaton::State state) {
    if (plain_steps_.size() <= state) plain_steps_.resize(state + std::size_t{1});
    if (plain_steps_[state].lead == Lead::unknown) plain_steps_[state] = find_plain_step(state);
    return plain_steps_[state];
}

TokenConstraint::PlainStep TokenConstraint::find_plain_step(Automaton::State state) {
    std::vector<Automaton::State> to;
    for (const ByteRange range : {ByteRange{' ', '!'}, ByteRange{'#', '['}, ByteRange{']', 0x7F}})
        step(automaton_, {state}, range, to);
    if (to.size() > 1) return {Lead::several, 0};
    for (const Utf8Form& form : utf8_forms) {
        std::vector<Automaton::State> from, inner;
        step(automaton_, {state}, form.lead, from);
        step(automaton_, from, form.second, inner);
        for (int i = 0; i < form.more; ++i) {
            from = std::exchange(inner, {});
            step(automaton_, from, {0x80, 0xBF}, inner);
        }
        for (const Automaton::State end : inner) {
            if (end != to[0]) return {Lead::several, 0};
        }
    }
    return to[0] == Automaton::dead ? PlainStep{Lead::nowhere, 0} : PlainStep{Lead::one_state, to[0]};
}

}  // namespace puna::text::grammar
