// The vocabulary of a GGUF file: the keys under tokenizer.ggml.
#pragma once

#include <string_view>

#include "formats/model_file.h"
#include "puna/error.h"
#include "text/vocabulary.h"

namespace puna::formats::gguf {

/// Moves the vocabulary out of `metadata` (the arrays; the scalars stay). Checked: array lengths against the tokens,
/// kinds, scores that are no numbers, special ids within the vocabulary. A file without "tokenizer.ggml.model" has no
/// vocabulary, which is no error. Errors: file_malformed; `path` is for messages.
Result<text::Vocabulary> take_vocabulary(Metadata& metadata, std::string_view path);

/// The way back, for a vocabulary that was read from elsewhere: adds the scalars to `metadata`, and the types in which
/// the arrays are stored (the arrays themselves the writer takes from the vocabulary). Nothing for a vocabulary that
/// holds no tokens. Errors: unsupported_tokenizer (GGUF has no name for it).
Result<void> put_vocabulary(const text::Vocabulary& vocabulary, Metadata& metadata);

}  // namespace puna::formats::gguf
