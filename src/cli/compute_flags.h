// The flags that say how to compute; the same for every subcommand that runs a model.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/numa.h"
#include "base/thread_pool.h"
#include "cli/flags.h"
#include "cli/progress_line.h"
#include "kernels/kernel_table.h"
#include "puna/engine.h"
#include "puna/model.h"

namespace puna::cli {

/// `-m`, a path or a name in the store, as a path. Errors: invalid_argument (none is given), those of find_model.
Result<std::string> required_model(const std::optional<std::string>& path);
void declare_model(Flags& flags, std::optional<std::string>& path);

struct ComputeFlags {
    std::optional<std::uint32_t> threads;
    std::uint32_t batch_size = 512;
    std::string activations = "auto";
    std::optional<std::string> kv_type;
    std::string isa = "auto";
    bool lock_weights = false;
    bool unmapped = false;
    bool pin_threads = false;
    std::optional<std::uint32_t> spin_microseconds;
    std::string numa;

    /// What the names stand for on this machine.
    struct Choice {
        const kernels::KernelTable* kernels;
        kernels::Activations activations;
        kernels::KvType kv_type;
        std::uint32_t threads;
        base::ThreadOptions thread_options;
        base::NumaScope numa;  // while it lives, what is made lies where --numa says
    };

    void declare(Flags& flags);
    /// With a list for -t, whose values go to `thread_list`.
    void declare(Flags& flags, std::vector<std::uint32_t>& thread_list);
    std::string kv_type_or_default() const { return kv_type.value_or("f16"); }
    /// Before any file is opened, so that a wrong flag is told at once. Errors: invalid_argument, unsupported_isa,
    /// unsupported_activations.
    Result<Choice> choose() const;
    EngineOptions engine_options() const;
    /// For a model that will compute. `progress` must outlive the loading; it tells of --no-mmap.
    WeightMemory weight_memory(ProgressLine& progress) const;

  private:
    void declare_others(Flags& flags);
};

/// Notes on stderr that fewer threads are at work than were asked for (base::working_threads); nothing if they are not.
void tell_of_idle_threads(std::uint32_t asked, std::uint32_t working);

}  // namespace puna::cli
