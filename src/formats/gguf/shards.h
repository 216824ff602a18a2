// Models in several GGUF files: NAME-00001-of-00003.gguf and its siblings.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/file_mapping.h"
#include "formats/gguf/reader.h"
#include "puna/error.h"

namespace puna::formats::gguf {

/// What the names of shards end in: "-00001-of-00003.gguf" for number 0 of 3.
std::string shard_name_ending(std::uint64_t number, std::uint64_t count);

/// The file and, if its metadata says that it is one shard of several, all of them in order; any of them may be given.
/// The first holds the model's metadata. Siblings' names are made from the given file's own name alone: they lie in the
/// same folder, and nothing inside a file can lead elsewhere.
/// Errors: as of read_file; file_not_found for a shard that is missing, file_malformed for shards that do not fit.
Result<std::vector<File>> read_all_shards(const std::shared_ptr<const base::FileMapping>& mapping);

}  // namespace puna::formats::gguf
