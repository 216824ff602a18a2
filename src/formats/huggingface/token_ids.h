// Token ids as config.json and generation_config.json name them.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "formats/model_file.h"
#include "puna/error.h"
#include "text/vocabulary.h"

namespace puna::formats::huggingface {

/// What -1 says where an id is asked for: SentencePiece's trainer has it for a special token that is switched off, and
/// files that were made from such models repeat it.
enum class MinusOne { is_none, is_wrong };

/// The ids under `key`, one or several, of a vocabulary of `tokens`; none where the key is absent or null. `path`: of
/// the file, for messages. Errors: file_malformed (another kind of value, or an id that no token has).
Result<std::vector<text::TokenId>> read_token_ids(const Metadata& metadata, std::string_view path, std::string_view key,
                                                  std::size_t tokens, MinusOne minus_one);

}  // namespace puna::formats::huggingface
