// Rewrites a model as one GGUF v3 file, its tensors in other types or as they are: first a plan, then the work.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "convert/mix.h"
#include "formats/ggml/layout.h"
#include "formats/ggml/writer.h"
#include "formats/gguf/writer.h"
#include "formats/imatrix.h"
#include "formats/model_file.h"
#include "puna/error.h"
#include "quant/tensor_type.h"

namespace puna::convert {

/// "blk.*.ffn_down.weight=Q6_K".
struct TypeOverride {
    std::string glob;  // of whole tensor names
    quant::TensorType type;
};

struct QuantizeOptions {
    const Mix* mix = nullptr;  // null: tensors keep their types, but for the overrides
    bool pure = false;         // every convertible tensor in the mix's base type
    bool allow_requantize = false;
    bool exact = false;                               // every weight keeps its value, or nothing is written
    std::vector<TypeOverride> overrides;              // the last that fits decides
    std::shared_ptr<const formats::Imatrix> imatrix;  // null: every weight counts the same
    std::string imatrix_name;                         // for the new file's metadata
};

struct PlannedTensor {
    const formats::FoundTensor* source;
    quant::TensorType wanted;  // by mix and overrides
    quant::TensorType type;    // that it gets: `wanted`, or its fallback where the rows do not divide
    std::uint64_t bytes;       // of the result
    const formats::ImatrixEntry* importance = nullptr;  // that codes are chosen by; null: none, or there is no choice
    /// All is to be exact, and whether this tensor can be is seen when its values are read.
    bool judged_by_values = false;
    bool misses_importance = false;  // its codes could be chosen by importance, but the matrix does not know it
};

/// What will be written. Immutable; holds the source file.
struct QuantizePlan {
    std::shared_ptr<const formats::ModelFile> source;  // in GGUF's dialect
    std::shared_ptr<const formats::Imatrix> imatrix;   // null if there is none
    std::vector<PlannedTensor> tensors;                // in the order of the source
    formats::gguf::FileLayout layout;
    /// In place of `layout`, where the file is to be of a format before GGUF; `source` is in that dialect then.
    std::optional<formats::ggml::FileLayout> legacy_layout;
    std::vector<std::string> unsaid;  // what that format cannot say, for people

    std::uint64_t file_bytes() const { return legacy_layout ? legacy_layout->file_bytes : layout.file_bytes; }
};

/// Decides everything that can be decided without looking at a weight. A model of another dialect becomes what GGUF
/// calls it; its vectors become F32, early forms of a type that type, and other types that GGUF lacks F16, unless the
/// mix says otherwise. general.file_type and general.quantization_version are set where a mix is given. Errors:
/// invalid_argument (an override that fits no convertible tensor; quantized weights that would be quantized again
/// without `allow_requantize`; a type that cannot be written; one that is never `exact`), unsupported_tensor_type
/// (weights that this build cannot decode), those of in_gguf_dialect and of lay_out_file.
Result<QuantizePlan> plan_quantization(std::shared_ptr<const formats::ModelFile> source,
                                       const QuantizeOptions& options);

/// Called now and then with the bytes of the source that are done, and all of them; false ends the work.
using QuantizeProgress = std::function<bool(std::uint64_t done, std::uint64_t all)>;

/// The same for a file of a format before GGUF, F32 and F16 alone; `mix`: one of the two, or null to keep what the
/// tensors have. Vectors are F32. Errors: unsupported_architecture, unsupported_tokenizer, invalid_argument (what the
/// format cannot hold), those of plan_quantization.
Result<QuantizePlan> plan_legacy(std::shared_ptr<const formats::ModelFile> source,
                                 const formats::ggml::Container& container, const Mix* mix, bool exact);

/// What the work met.
struct WriteReport {
    double largest_scale_error = 0;     // relative, of scales that were rounded to 16 bits
    std::uint64_t rounded_tensors = 0;  // that hold such scales
};

/// Does the work, tensor by tensor in pieces, in memory of about 100 MiB whatever the model; the bytes do not depend
/// on the pool. The file appears when it is whole and on disk; after an error or `cancelled` nothing of it is left.
/// What stands at `path` is replaced.
/// Errors: cancelled, io_error, file_changed, invalid_number (a weight that is no finite number, or too large for its
/// new type, or a value or scale that would have to be rounded where all is to be exact: the message says which).
Result<WriteReport> write_model(const QuantizePlan& plan, const std::string& path, base::ThreadPool& pool,
                                const QuantizeProgress& progress);

}  // namespace puna::convert
