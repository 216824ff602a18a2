// tokenizer.json, the tokenizers library's file, as a vocabulary.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/huggingface/tokenizer_structure.h"
#include "formats/json.h"
#include "puna/error.h"
#include "text/vocabulary.h"

namespace puna::formats::huggingface {

/// Ids are below: puna's own limit, far above what real files hold.
inline constexpr std::uint64_t max_tokens = std::uint64_t{1} << 24;

/// A token outside the model's own list.
struct AddedToken {
    text::TokenId id;
    std::string content;
    bool special;          // a control token
    std::uint64_t offset;  // bytes from the file's start; for messages
};

/// Those of `added_tokens`. Errors: file_malformed; unsupported_tokenizer for tokens that take the spaces around them,
/// or whole words alone.
Result<std::vector<AddedToken>> read_added_tokens(const Json& tokenizer);

/// Puts added tokens into the vocabulary, which grows as it must; gaps become unused tokens. Spaces in tokens of a
/// SentencePiece vocabulary are written as such a vocabulary has them. Errors: file_malformed (an id that is taken by
/// another text, or far off; `path` is for messages).
Result<void> add_tokens(const std::vector<AddedToken>& added, std::string_view path, text::Vocabulary& vocabulary);

/// What GGUF's metadata would say of the same tokenizer: tokens, kinds, merges or scores, and the tokens that are put
/// around a text; special ids are left to the caller. Errors: file_malformed, unsupported_tokenizer.
Result<text::Vocabulary> read_tokenizer(const Json& tokenizer, const TokenizerStructure& structure);

/// The id of a token; no_token if there is none.
text::TokenId find_id(const text::Vocabulary& vocabulary, std::string_view token);

}  // namespace puna::formats::huggingface
