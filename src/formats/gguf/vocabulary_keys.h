// The keys whose arrays the reader moves into the vocabulary, and the writer brings back.
#pragma once

#include <string_view>

namespace puna::formats::gguf {

inline constexpr std::string_view tokens_key = "tokenizer.ggml.tokens";
inline constexpr std::string_view scores_key = "tokenizer.ggml.scores";
inline constexpr std::string_view kinds_key = "tokenizer.ggml.token_type";
inline constexpr std::string_view merges_key = "tokenizer.ggml.merges";

}  // namespace puna::formats::gguf
