// The vocabulary of a Hugging Face folder: tokenizer.json or tokenizer.model, and what the small files beside them say.
#pragma once

#include "formats/huggingface/side_files.h"
#include "formats/model_file.h"
#include "puna/error.h"
#include "text/vocabulary.h"

namespace puna::formats::huggingface {

/// `config`: the values of config.json. A folder without a tokenizer has no vocabulary, which is no error; a tokenizer
/// that puna does not know becomes a vocabulary that says so (`why_not`). Errors: file_malformed, file_unreadable.
Result<text::Vocabulary> read_vocabulary(const SideFiles& files, const Metadata& config);

}  // namespace puna::formats::huggingface
