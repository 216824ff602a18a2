// Lays a GGUF model into several files: first a plan, then the work. (Reading them again is formats/gguf/shards.h;
// putting them together is what write_model does anyway.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "formats/gguf/writer.h"
#include "formats/model_file.h"
#include "puna/error.h"

namespace puna::convert {

/// 0: no limit of that kind. At least one is needed.
struct SplitLimits {
    std::uint64_t max_bytes = 0;    // of a file; one that holds a single tensor may be larger
    std::uint64_t max_tensors = 0;  // in a file
};

struct PlannedShard {
    std::size_t first = 0;  // tensor of the source
    std::size_t count = 0;  // tensors; 0 only in the first shard, where the metadata leave no room for any
    formats::gguf::FileLayout layout;
};

/// What will be written. Immutable; holds the source. Tensors keep their order.
struct SplitPlan {
    std::shared_ptr<const formats::ModelFile> source;
    SplitLimits limits;
    std::vector<PlannedShard> shards;

    /// "PREFIX-00001-of-00003.gguf".
    std::string path(const std::string& prefix, std::size_t shard) const;
    std::uint64_t bytes() const;  // of all files
};

/// Called now and then with the bytes of tensors that are written, and all of them; false ends the work.
using SplitProgress = std::function<bool(std::uint64_t done, std::uint64_t all)>;

/// The first shard has the metadata. Errors: invalid_argument (no limit, a model in another format than GGUF, more
/// shards than a reader takes, what the format cannot hold).
Result<SplitPlan> plan_split(std::shared_ptr<const formats::ModelFile> source, const SplitLimits& limits);

/// Writes the shards, each of which appears when it is whole; the first one last, so that there is no model before it
/// is complete. After an error those that appeared are removed, and what they replaced is gone. Errors:
/// invalid_argument (a shard would replace a file of the source), io_error, cancelled, file_changed.
Result<void> write_shards(const SplitPlan& plan, const std::string& prefix, const SplitProgress& progress);

}  // namespace puna::convert
