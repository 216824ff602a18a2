// The families of tokenizers, one source file each. Each checks what it needs of the vocabulary; what all need
// (lengths of lists, ids in range) has been checked before.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "puna/error.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::text {

Result<std::shared_ptr<const Tokenizer>> make_sentencepiece_bpe(std::shared_ptr<const Vocabulary> vocabulary);
Result<std::shared_ptr<const Tokenizer>> make_byte_level_bpe(std::shared_ptr<const Vocabulary> vocabulary);

Error malformed_vocabulary(std::string message);
/// The token for a message: quoted, and cut if it is long.
std::string quoted(std::string_view token);

}  // namespace puna::text
