// What a tokenizer.json does to text, recognised by the structure of its parts: normalizer, pre-tokenizer, model,
// post-processor and decoder.
#pragma once

#include <string>
#include <vector>

#include "formats/json.h"
#include "puna/error.h"
#include "text/vocabulary.h"

namespace puna::formats::huggingface {

struct TokenizerStructure {
    text::TokenizerFamily family = text::TokenizerFamily::other;
    std::string pre_tokenizer;        // byte-level BPE: its name in GGUF
    bool nfc = false;                 // byte-level BPE: the normalizer composes
    bool add_space_prefix = true;     // SentencePiece
    std::string unknown_token;        // empty if none
    std::vector<std::string> before;  // tokens that the post-processor puts before the text, and after it
    std::vector<std::string> after;
};

/// Known are byte-level BPE with the pre-tokenizers that text/tokenizer has, and SentencePiece's BPE with a token for
/// each byte. Errors: unsupported_tokenizer, whose message prints the part that is not known; file_malformed.
Result<TokenizerStructure> recognize_structure(const Json& tokenizer);

/// unsupported_tokenizer: `part` is not one that puna knows, with what it holds.
Error unknown_part(const Json& json, std::string_view part);

}  // namespace puna::formats::huggingface
