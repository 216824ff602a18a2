// SentencePiece's tokenizer.model as a vocabulary (docs/formats/sentencepiece.md).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "puna/error.h"
#include "text/vocabulary.h"

namespace puna::formats::sentencepiece {

/// What GGUF's metadata would say of the same model. Special ids are those of the model where it names them; a begin
/// token is added. A model that is no BPE, or normalizes text in a way that puna does not know, becomes a vocabulary
/// that says so (`why_not`). Errors: file_malformed.
Result<text::Vocabulary> read_model(std::span<const std::byte> bytes, std::string_view path);

}  // namespace puna::formats::sentencepiece
