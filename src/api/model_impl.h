// What stands behind puna::Model.
#pragma once

#include <memory>

#include "base/prefault.h"
#include "formats/model_file.h"
#include "models/model.h"
#include "puna/model.h"
#include "text/chat_template/chat_encoder.h"
#include "text/tokenizer/tokenizer.h"

namespace puna {

/// Immutable, so thread-safe. A file that cannot run still has its `file` and `info`, and the error in place of the
/// rest.
struct Model::Impl {
    std::shared_ptr<const formats::ModelFile> file;
    Result<std::shared_ptr<const text::Tokenizer>> tokenizer;
    Result<text::ChatEncoder> chat;
    Result<std::shared_ptr<const models::Model>> model;
    ModelInfo info;
    std::unique_ptr<const base::Prefault> prefault;
};

}  // namespace puna
