// LLaMA as Meta publishes it: consolidated.00.pth, consolidated.01.pth, ..., params.json and tokenizer.model
// (docs/formats/meta.md).
#pragma once

#include <memory>
#include <string>

#include "base/file_mapping.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::formats::meta {

/// Whether what lies beside a file of weights says that it is of such a model.
bool is_checkpoint(const std::string& weights_path);

/// The model that a file of weights belongs to, with the other files. Metadata are the values of params.json, but for
/// vocab_size, which follows from the tensors where it is -1 or absent. Tensors of several files come unmerged: which
/// way each was cut is the family's to know. Errors: those of read_model_file.
Result<std::shared_ptr<const ModelFile>> read_model(const std::string& path,
                                                    const std::shared_ptr<const base::FileMapping>& weights);

}  // namespace puna::formats::meta
