#pragma once

#include "api/model_impl.h"

namespace puna::api {

/// Fills a ModelInfo from what the file says and, where the model runs, from what was checked.
ModelInfo describe(const formats::ModelFile& file, const Result<std::shared_ptr<const text::Tokenizer>>& tokenizer,
                   const Result<std::shared_ptr<const models::Model>>& model);

}  // namespace puna::api
