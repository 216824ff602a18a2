// Where the weights of a model lie while it is used.
#pragma once

#include <memory>

#include "base/prefault.h"
#include "formats/model_file.h"
#include "puna/model.h"

namespace puna::formats {

/// Does what `memory` says to the files of a model that has just been opened, but for locking. The thread of the
/// result, null if none is wanted, fetches pages while it lives. Errors: invalid_argument (no such NUMA policy),
/// out_of_memory, file_unreadable, file_changed.
Result<std::unique_ptr<const base::Prefault>> place_weights(const ModelFile& file, const WeightMemory& memory);
/// Locks what the model's tensors lie in. Errors: out_of_memory.
Result<void> lock_weights(const ModelFile& file);

}  // namespace puna::formats
