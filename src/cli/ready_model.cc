#include "cli/ready_model.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "base/try.h"
#include "cli/console.h"

namespace puna::cli {

Result<ReadyModel> make_ready(const std::string& path, const ComputeFlags& compute, const LegacyFlags& legacy,
                              std::optional<std::uint32_t> context_tokens) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point begin = Clock::now();
    ProgressLine progress;
    LoadOptions load = legacy.load_options();
    load.memory = compute.weight_memory(progress);
    load.memory.prefault = true;
    PUNA_TRY(Model model, Model::load(path, load));
    EngineOptions options = compute.engine_options();
    options.context_tokens = context_tokens.value_or(0);
    PUNA_TRY(Engine engine, Engine::create(model, options));
    const double load_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    tell_of_idle_threads(options.threads, engine.info().threads);
    if (engine.info().context_capped_by_memory) {
        note(fmt::format("memory is short: the context holds {} of the model's {} tokens", engine.info().context_tokens,
                         model.info().context_tokens));
    }
    return ReadyModel{std::move(model), std::move(engine), load_ms};
}

}  // namespace puna::cli
