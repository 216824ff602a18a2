// How byte-level vocabularies write bytes: as characters that print. Radford et al. 2019, "Language Models are
// Unsupervised Multitask Learners", and the code published with it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace puna::text {

/// The character of each byte, in UTF-8: itself where that prints in Latin-1, else the next of U+0100, U+0101, ...
std::string write_bytes(std::string_view bytes);
/// The bytes that a token is written for; nullopt if it holds a character that stands for none.
std::optional<std::string> written_bytes(std::string_view token);

}  // namespace puna::text
