// Models whose tensors lie in pieces in several files.
#pragma once

#include <memory>
#include <vector>

#include "base/file_mapping.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::formats {

/// Adds the tensors of a later file of a model to those of the first ones: each is one more part of the tensor of its
/// name, whose type and shape it has. Whoever has added all of them sets `unmerged`. Errors: file_malformed (another
/// number of tensors, a name that the first lacks or that occurs twice, another type or shape).
Result<void> add_pieces(std::vector<FoundTensor> tensors, const std::shared_ptr<const base::FileMapping>& mapping,
                        ModelFile& model);

}  // namespace puna::formats
