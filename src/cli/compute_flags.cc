#include "cli/compute_flags.h"

#include <fmt/format.h>

#include <utility>

#include "base/cpu.h"
#include "base/try.h"
#include "cli/console.h"
#include "cli/units.h"
#include "store/models.h"

namespace puna::cli {
namespace {

constexpr IntegerRange thread_range = {1, 1024};
constexpr IntegerRange spin_range = {0, 1'000'000};

}  // namespace

void declare_model(Flags& flags, std::optional<std::string>& path) {
    flags.text("-m,--model-path", "FILE", path,
               "The model: a file in GGUF or a format before it, a folder of Hugging Face's or Meta's, or a file of "
               "weights in one (safetensors, PyTorch); of several files any one. Or a name that 'puna list' shows.");
}

Result<std::string> required_model(const std::optional<std::string>& path) {
    if (path && !path->empty()) return store::find_model(*path);
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
    flags.text("--kv-type", "TYPE", kv_type, "How keys and values are stored: f16, f32, q8_0 (default f16).");
    flags.text("--isa", "NAME", isa,
               "Force a kernel set; 'puna doctor' lists them (default: PUNA_ISA, or the fastest that runs here).");
    flags.flag("--pin", pin_threads, "Keep each thread on a core of its own.");
    flags.integer("--spin", "MICROSECONDS", spin_range, spin_microseconds,
                  "How long a thread without work spins before it sleeps (default 200).");
    flags.text(
        "--numa", "POLICY", numa,
        "On machines with several memory nodes: 'interleave' spreads memory over all, 'node=N' keeps threads and "
        "memory on one.");
    flags.flag("--mlock", lock_weights, "Lock the weights in memory, so that they are never paged out.");
    flags.flag("--no-mmap", unmapped, "Read the weights into memory of their own, rather than use the mapped file.");
}

Result<ComputeFlags::Choice> ComputeFlags::choose() const {
    PUNA_TRY(const kernels::KernelTable* const table, kernels::select_kernels(isa));
    PUNA_TRY(const kernels::Activations chosen_activations, kernels::select_activations(activations, *table));
    PUNA_TRY(const kernels::KvType chosen_kv_type, kernels::select_kv_type(kv_type_or_default()));
    PUNA_TRY(base::NumaScope scope, base::NumaScope::enter(numa));
    if (pin_threads && threads) PUNA_CHECK(base::ThreadPool::check_pinned(*threads));
    const std::uint32_t chosen_threads = base::working_threads(threads.value_or(0));
    const base::ThreadOptions thread_options{pin_threads, spin_microseconds};
    return Choice{table, chosen_activations, chosen_kv_type, chosen_threads, thread_options, std::move(scope)};
}

void tell_of_idle_threads(std::uint32_t asked, std::uint32_t working) {
    if (asked <= working) return;
    note(fmt::format("-t {}: this process has {}, and puts as many threads to work", asked, counted(working, "core")));
}

EngineOptions ComputeFlags::engine_options() const {
    EngineOptions options;
    options.threads = threads.value_or(0);
    options.batch_size = batch_size;
    options.activations = activations;
    options.kv_type = kv_type_or_default();
    options.isa = isa;
    options.pin_threads = pin_threads;
    options.spin_microseconds = spin_microseconds;
    options.numa = numa;
    return options;
}

WeightMemory ComputeFlags::weight_memory(ProgressLine& progress) const {
    WeightMemory memory;
    memory.mapped = !unmapped;
    memory.locked = lock_weights;
    memory.numa = numa;
    memory.progress = [&progress](std::uint64_t done, std::uint64_t all) {
        progress.show(done, all);
        if (done < all) return;
        progress.end();
        note(fmt::format("{} of weights read into memory in {:.1f} s; peak memory of the process so far {}",
                         bytes_words(all), progress.seconds(), bytes_words(base::peak_memory())));
    };
    return memory;
}

}  // namespace puna::cli
