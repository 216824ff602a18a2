#include "formats/huggingface/token_ids.h"

#include <fmt/format.h>

#include <cmath>

#include "base/try.h"
#include "formats/malformed.h"
#include "formats/printable.h"

namespace puna::formats::huggingface {

Result<std::vector<text::TokenId>> read_token_ids(const Metadata& metadata, std::string_view path, std::string_view key,
                                                  std::size_t tokens, MinusOne minus_one) {
    PUNA_TRY(const auto numbers, in_file(path, metadata.numbers(key)));
    std::vector<text::TokenId> ids;
    if (!numbers) return ids;
    for (const double number : *numbers) {
        if (number == -1 && minus_one == MinusOne::is_none) continue;
        if (!(number >= 0 && number < static_cast<double>(tokens)) || number != std::floor(number)) {
            return Error{ErrorCode::file_malformed,
                         fmt::format("{}: {} names token {}, but the vocabulary has {}", printable_path(path),
                                     metadata.describe(key), number, tokens),
                         "the tokenizer and the weights are not of the same model, or the file is damaged; a token "
                         "that there is not is written as null"};
        }
        ids.push_back(static_cast<text::TokenId>(number));
    }
    return ids;
}

}  // namespace puna::formats::huggingface
