// A vocabulary as a model file holds it, filled by `formats/` and used by `text/tokenizer`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "puna/error.h"

namespace puna::text {

using TokenId = std::int32_t;
inline constexpr TokenId no_token = -1;

/// Values are those that GGUF and SentencePiece store.
enum class TokenKind : std::uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

enum class TokenizerFamily {
    none,               ///< the file holds no vocabulary
    sentencepiece_bpe,  ///< merges by score, U+2581 for spaces, byte fallback (GGUF's "llama")
    byte_level_bpe,     ///< merges by rank over bytes mapped to printable characters (GGUF's "gpt2")
    other,              ///< named by `family_name`, not known to this build
};

/// Arrays run over token ids. `scores` and `kinds` are empty or as long as `tokens`; whoever fills a Vocabulary checks
/// that, and that the special ids lie within it.
struct Vocabulary {
    TokenizerFamily family = TokenizerFamily::none;
    std::string family_name;    // as the file names it
    std::string pre_tokenizer;  // byte-level BPE: the scanner's name ("default", "llama-bpe", "smollm", "qwen2")
    std::vector<std::string> tokens;
    std::vector<float> scores;
    std::vector<TokenKind> kinds;
    std::vector<std::string> merges;  // "left right", best first
    bool nfc = false;                 // byte-level BPE: text is brought to Normalization Form C first
    TokenId bos = no_token;
    TokenId eos = no_token;
    TokenId eot = no_token;  // end of turn
    TokenId eom = no_token;  // end of message
    TokenId unk = no_token;
    TokenId pad = no_token;
    bool add_bos = false;
    bool add_eos = false;
    bool add_space_prefix = true;           // SentencePiece: a space before the text
    bool remove_extra_whitespaces = false;  // SentencePiece normalizer
    std::string chat_template;              // Jinja source; empty if none
    std::vector<TokenId> more_ends;         // tokens that end a generation, beside eos, eot and eom
    std::string origin;                     // the file that holds it, fit for a message; may be empty
    std::optional<Error> why_not;           // family other: why the tokenizer is not known, if there is more to say
};

}  // namespace puna::text
