// Text that ends where a mark stands, as a grammar.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/grammar.h"

namespace puna::text::chat_parse {

/// A text that free text does not hold: it leads on to `then`, or to nothing.
struct TextExit {
    std::string_view mark;
    std::optional<grammar::GrammarBuilder::Id> then;
};

struct FreeText {
    std::vector<TextExit> exits;  ///< no mark may lie within another
    bool may_end = false;         ///< at any place, without an exit
    std::u32string not_first;     ///< the first character behind white space is none of these
};

/// Any characters up to the first of the marks, which is included with what it leads on to. The automaton of Aho and
/// Corasick (1975), a rule for each state.
grammar::GrammarBuilder::Id free_text(grammar::GrammarBuilder& builder, const FreeText& text);

}  // namespace puna::text::chat_parse
