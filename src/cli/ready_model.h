// A model and its engine, as the commands that generate text take them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/compute_flags.h"
#include "cli/legacy_flags.h"
#include "puna/engine.h"
#include "puna/model.h"

namespace puna::cli {

struct ReadyModel {
    Model model;
    Engine engine;
    double load_ms;
};

/// Opens the model at `path`, its weights where the flags say, and starts an engine. stderr tells of a context that
/// memory made shorter. `context_tokens`: as EngineOptions. Errors: those of Model::load and Engine::create.
Result<ReadyModel> make_ready(const std::string& path, const ComputeFlags& compute, const LegacyFlags& legacy,
                              std::optional<std::uint32_t> context_tokens);

}  // namespace puna::cli
