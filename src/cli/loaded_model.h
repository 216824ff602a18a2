// A model file opened for work below the engine: what perplexity and bench evaluate by hand.
#pragma once

#include <memory>
#include <string>

#include "base/try.h"
#include "cli/compute_flags.h"
#include "cli/progress_line.h"
#include "formats/model_file.h"
#include "formats/place_weights.h"
#include "models/model.h"
#include "puna/error.h"

namespace puna::cli {

/// With the weights where the flags say. Errors: those of read_model_file, create_model and place_weights.
inline Result<std::shared_ptr<const models::Model>> open_model(const std::string& path, const ComputeFlags& compute,
                                                               const formats::MissingValues& given = {}) {
    PUNA_TRY(const std::shared_ptr<const formats::ModelFile> file, formats::read_model_file(path, given));
    ProgressLine progress;
    const WeightMemory memory = compute.weight_memory(progress);
    PUNA_CHECK(formats::place_weights(*file, memory));
    PUNA_TRY(std::shared_ptr<const models::Model> model, models::create_model(file));
    if (memory.locked) PUNA_CHECK(formats::lock_weights(model->file()));
    return model;
}

}  // namespace puna::cli
