// The families of tokenizers, one source file each. Each checks what it needs of the vocabulary; what all need
// (lengths of lists, ids in range) has been checked before.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "puna/error.h"
#include "text/tokenizer/tokenizer.h"

namespace puna::text {

Result<std::shared_ptr<const Tokenizer>> make_sentencepiece_bpe(Vocabulary vocabulary);
Result<std::shared_ptr<const Tokenizer>> make_byte_level_bpe(Vocabulary vocabulary);

Error malformed_vocabulary(std::string message);
/// The token for a message: quoted, and cut if it is long.
std::string quoted(std::string_view token);

/// Keys lie in the vocabulary, which must outlive the map and not change.
using TokenIds = std::unordered_map<std::string_view, TokenId>;
inline TokenId find_token(const TokenIds& ids, std::string_view token) {
    const auto found = ids.find(token);
    return found == ids.end() ? no_token : found->second;
}

}  // namespace puna::text
