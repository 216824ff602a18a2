// The vocabulary of a Hugging Face folder: tokenizer.json or tokenizer.model, and what the small files beside them say.
#pragma once

#include <string_view>

#include "formats/huggingface/side_files.h"
#include "formats/model_file.h"
#include "puna/error.h"
#include "text/vocabulary.h"

namespace puna::formats::huggingface {

/// `config`: the model's hyper-parameters, and the name of the file that holds them. A folder without a tokenizer has
/// no vocabulary, which is no error; a tokenizer that puna does not know becomes a vocabulary that says so (`why_not`).
/// Errors: file_malformed, file_unreadable.
Result<text::Vocabulary> read_vocabulary(const SideFiles& files, const Metadata& config, std::string_view config_name);

}  // namespace puna::formats::huggingface
