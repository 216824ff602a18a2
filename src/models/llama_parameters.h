// The LLaMA family's hyper-parameters, from any dialect.
#pragma once

#include <cstdint>
#include <vector>

#include "formats/model_file.h"
#include "models/model.h"
#include "puna/error.h"

namespace puna::models::llama {

struct Rope {
    std::int64_t rotated = 0;
    float base = 10000.0F;
    float scale = 1.0F;
    std::vector<float> factors;  // [rotated / 2] divisors of the frequencies, or none
};

struct HyperParameters {
    Dimensions dimensions;
    Rope rope;
    float eps = 0;
    bool tied = false;  // the embedding is the output matrix
};

/// Checked against each other, not yet against the tensors. `file`: merged, if it lay in several files.
/// Errors: file_malformed, unsupported_architecture, unsupported_tensor_type.
Result<HyperParameters> read_hyper_parameters(const formats::ModelFile& file);

/// What a file that does not state it has.
double usual_epsilon(formats::Dialect dialect, const Dimensions& dimensions);
inline constexpr double usual_rope_base = 10000.0;
inline constexpr std::int64_t legacy_context = 2048;  // of the formats before GGUF: what LLaMA 1 was trained on

/// Says in the log what the file leaves out, and what was taken for it.
void report_defaults(const formats::ModelFile& file, const HyperParameters& parameters);

}  // namespace puna::models::llama
