// The vocabulary of a Hugging Face folder: tokenizer.json or tokenizer.model, and what the small files beside them say.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/huggingface/side_files.h"
#include "formats/model_file.h"
#include "puna/error.h"
#include "text/vocabulary.h"

namespace puna::formats::huggingface {

/// What a list of ranks (formats/rank_list.h) leaves out, and whoever knows the model can say.
struct RankListModel {
    std::string pre_tokenizer;
    std::vector<std::string> special_tokens;  // their ids follow the ranks
    std::string bos;                          // this and the next: of `special_tokens`, or empty
    std::string eos;
    std::string eot;
    std::string eom;
    std::string pad;
};

/// `config`: the model's hyper-parameters, and the name of the file that holds them. `rank_list`: null if a list of
/// ranks does not say enough. A folder without a tokenizer has no vocabulary, which is no error; a tokenizer that puna
/// does not know becomes a vocabulary that says so (`why_not`). Errors: file_malformed, file_unreadable.
Result<text::Vocabulary> read_vocabulary(const SideFiles& files, const Metadata& config, std::string_view config_name,
                                         const RankListModel* rank_list = nullptr);

}  // namespace puna::formats::huggingface
