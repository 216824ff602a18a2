#include "cli/compute_flags.h"

#include "base/cpu.h"
#include "base/try.h"

namespace puna::cli {
namespace {

constexpr IntegerRange thread_range = {1, 1024};

}  // namespace

void declare_model(Flags& flags, std::optional<std::string>& path) {
    flags.text(
        "-m,--model-path", "FILE", path,
        "The model: a file in GGUF or a format before it, a Hugging Face folder, or a safetensors file; of several "
        "files any one.");
}

Result<std::string> required_model(const std::optional<std::string>& path) {
    if (path && !path->empty()) return *path;
    return Error{ErrorCode::invalid_argument, "no model is given", "give -m FILE"};
}

void ComputeFlags::declare(Flags& flags) {
    flags.section("Computing");
    flags.integer("-t,--num-threads", "N", thread_range, threads,
                  "Threads (default: the cores that this process may use).");
    declare_others(flags);
}

void ComputeFlags::declare(Flags& flags, std::vector<std::uint32_t>& thread_list) {
    flags.section("Computing");
    flags.integers("-t,--num-threads", "N,...", thread_range, thread_list,
                   "Threads, one run for each number (default: the cores that this process may use).");
    declare_others(flags);
}

void ComputeFlags::declare_others(Flags& flags) {
    flags.integer("--batch-size", "N", {1, 65536}, batch_size,
                  "Tokens of the prompt evaluated in one step (default 512).");
    flags.text("--activations", "TYPE", activations,
               "How activations meet quantized weights: auto, float32, int16, int8, bf16 (default auto).");
    flags.text("--kv-type", "TYPE", kv_type, "How keys and values are stored: f16, f32 (default f16).");
    flags.text("--isa", "NAME", isa,
               "Force a kernel set; 'puna doctor' lists them (default: PUNA_ISA, or the fastest that runs here).");
}

Result<ComputeFlags::Choice> ComputeFlags::choose() const {
    PUNA_TRY(const kernels::KernelTable* const table, kernels::select_kernels(isa));
    PUNA_TRY(const kernels::Activations chosen_activations, kernels::select_activations(activations, *table));
    PUNA_TRY(const kernels::KvType chosen_kv_type, kernels::select_kv_type(kv_type_or_default()));
    return Choice{table, chosen_activations, chosen_kv_type, threads.value_or(base::usable_cores())};
}

EngineOptions ComputeFlags::engine_options() const {
    EngineOptions options;
    options.threads = threads.value_or(0);
    options.batch_size = batch_size;
    options.activations = activations;
    options.kv_type = kv_type_or_default();
    options.isa = isa;
    return options;
}

}  // namespace puna::cli
