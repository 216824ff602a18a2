// A model of the formats before GGUF, in one file or in several: FILE, FILE.1, FILE.2, ...
#pragma once

#include <memory>
#include <string>

#include "base/file_mapping.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::formats::ggml {

/// `path` may name any of the files. How many there are follows from the first one's matrices, which hold a part of
/// the columns or rows that the header asks for. Tensors come unmerged: which way each was cut is the family's to know.
/// Errors: those of read_file, file_not_found (a part is missing), file_malformed (parts of different models).
Result<std::shared_ptr<const ModelFile>> read_model(const std::string& path,
                                                    const std::shared_ptr<const base::FileMapping>& mapping);

}  // namespace puna::formats::ggml
