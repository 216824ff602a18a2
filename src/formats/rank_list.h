// Lists of tokens and ranks, the files of the tiktoken library (docs/formats/rank-list.md): a token's bytes in base64,
// a space and its rank on each line. They say neither how text is cut nor which special tokens there are.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include "puna/error.h"
#include "text/vocabulary.h"

namespace puna::formats {

/// Whether the bytes begin with a character of base64. That tells lists of ranks from SentencePiece models, which bear
/// the same name (`tokenizer.model`) and begin with the tag of a message.
bool is_rank_list(std::span<const std::byte> bytes);

/// The tokens as a byte-level vocabulary, whose ids are the ranks. Its merges are all pairs of tokens that make a
/// third, in the order of the third's rank. Family and pre-tokenizer are set by whoever knows the model, with the
/// special tokens. Errors: file_malformed (message: `path`, line and field, byte offset).
Result<text::Vocabulary> read_rank_list(std::span<const std::byte> bytes, std::string_view path);

}  // namespace puna::formats
