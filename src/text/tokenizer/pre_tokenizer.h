// Pre-tokenizers: they cut a text into the stretches that byte-level BPE merges within. Scanners written by hand take
// the place of the regular expressions that define them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace puna::text {

/// Appends the end (byte offset) of each stretch of `text`, in order; together the stretches are the text. Bytes that
/// are not UTF-8 count as characters that are no letter, number or whitespace. Linear time.
using SplitFunction = void (*)(std::string_view text, std::vector<std::size_t>& ends);

struct PreTokenizer {
    std::string_view name;
    SplitFunction split;
    /// A stretch that is a token as a whole becomes that token, even if merges would not lead there.
    bool whole_tokens_first;
};

/// By the name that GGUF's `tokenizer.ggml.pre` carries; an empty one is "default". Null if unknown.
const PreTokenizer* find_pre_tokenizer(std::string_view name);
/// "default, gpt-2, ...", for messages.
std::string known_pre_tokenizers();

}  // namespace puna::text
