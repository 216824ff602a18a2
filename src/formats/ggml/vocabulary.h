// Vocabularies of the formats before GGUF: words as bytes, with scores or without, and no word on what they are.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/ggml/layout.h"
#include "puna/error.h"
#include "text/vocabulary.h"

namespace puna::formats::ggml {

struct Words {
    std::vector<std::string_view> texts;  // by token id
    std::vector<float> scores;            // by token id; empty where the container has none
};

/// Of LLaMA, what SentencePiece knew: ids 0, 1 and 2 are <unk>, <s> and </s>, from 3 to 258 the 256 bytes, spaces are
/// U+2581. Without scores, earlier pieces merge first, as LLaMA's scores have it. An empty word, or one that occurred
/// before, cannot come from text: a control token. Of another family the words alone, with no tokenizer for them.
text::Vocabulary make_vocabulary(const Words& words, const Layout& layout);

/// The way back: the words of a LLaMA's file. Errors: unsupported_tokenizer (a vocabulary that is not SentencePiece's,
/// or whose special and byte tokens stand elsewhere).
Result<std::vector<std::string>> words_of(const text::Vocabulary& vocabulary);
/// Whether pieces stand in the order of their scores, which a file without scores relies on.
bool is_in_order_of_scores(const text::Vocabulary& vocabulary);

}  // namespace puna::formats::ggml
