// A model file opened for work below the engine: what perplexity and bench evaluate by hand.
#pragma once

#include <memory>
#include <string>

#include "formats/model_file.h"
#include "models/model.h"
#include "puna/error.h"

namespace puna::cli {

/// Errors: those of read_model_file and create_model.
inline Result<std::shared_ptr<const models::Model>> open_model(const std::string& path,
                                                               const formats::MissingValues& given = {}) {
    Result<std::shared_ptr<const formats::ModelFile>> file = formats::read_model_file(path, given);
    if (!file.ok()) return std::move(file).error();
    return models::create_model(std::move(file).value());
}

}  // namespace puna::cli
