// puna doctor: what this machine offers, and what puna chose.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/try.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/units.h"
#include "kernels/kernel_table.h"
#include "kernels/limits.h"

namespace puna::cli {
namespace {

class DoctorCommand : public Command {
  public:
    void declare(Flags& flags) override;
    Result<int> execute(Output& output) override;

  private:
    std::string isa_ = "auto";
    bool json_ = false;
};

void DoctorCommand::declare(Flags& flags) {
    flags.section("Computing");
    flags.text("--isa", "NAME", isa_, "Ask for a kernel set (default: PUNA_ISA, or the fastest that runs here).");
    flags.section("Output");
    flags.flag("--json", json_, "Print one JSON object.");
}

struct Findings {
    const kernels::KernelTable* table;
    kernels::Activations activations;
    std::vector<std::string> features;
    std::uint32_t cores;
    long online_cores;
    std::uint64_t total_memory;
    std::uint64_t available_memory;
    double read_gb_s;
};

std::string table_text(const Findings& found) {
    std::string text;
    const auto row = [&](std::string_view name, const std::string& value) {
        text += fmt::format("{:<16}{}\n", name, value);
    };
    row("CPU", base::cpu_model_name());
    row("features", fmt::format("{}", fmt::join(found.features, ", ")));
    row("kernels", fmt::format("{} (chosen)", found.table->name));
    for (const kernels::KernelSet& set : kernels::all_kernel_sets()) {
        const std::string needs =
            set.needs.empty() || set.needs == "nothing" ? "any CPU" : fmt::format("needs {}", set.needs);
        row("", fmt::format("{:<10}{:<10}{}", set.table->name, set.available ? "runs" : "cannot", needs));
    }
    row("law", fmt::format("{} ({} activations)", kernels::law_id(found.activations),
                           kernels::activations_name(found.activations)));
    row("cores", fmt::format("{} of {} (by affinity and cgroup quota)", found.cores, found.online_cores));
    row("memory",
        fmt::format("{} available of {}", bytes_words(found.available_memory), bytes_words(found.total_memory)));
    row("read bandwidth", fmt::format("{:.1f} GB/s on {} threads", found.read_gb_s, found.cores));
    return text;
}

Json findings_json(const Findings& found) {
    Json isas = Json::array();
    Json unavailable = Json::array();
    for (const kernels::KernelSet& set : kernels::all_kernel_sets()) {
        (set.available ? isas : unavailable).push_back(set.table->name);
    }
    return {{"cpu", base::cpu_model_name()},
            {"features", found.features},
            {"kernels", found.table->name},
            {"isas", isas},
            {"isas_unavailable", unavailable},
            {"cores", found.cores},
            {"memory", {{"total", found.total_memory}, {"available", found.available_memory}}},
            {"read_gb_s", found.read_gb_s},
            {"law", kernels::law_id(found.activations)}};
}

Result<int> DoctorCommand::execute(Output& output) {
    PUNA_TRY(const kernels::KernelTable* const table, kernels::select_kernels(isa_));
    PUNA_TRY(const kernels::Activations activations, kernels::select_activations("auto", *table));
    Findings found = {.table = table,
                      .activations = activations,
                      .features = base::cpu_features().names(),
                      .cores = base::usable_cores(),
                      .online_cores = ::sysconf(_SC_NPROCESSORS_ONLN),
                      .total_memory = base::total_memory(),
                      .available_memory = base::available_memory(),
                      .read_gb_s = 0};
    found.read_gb_s = kernels::measure_read_bandwidth(found.cores, 0.5);
    PUNA_CHECK(json_ ? output.write_line(json_line(findings_json(found))) : output.write(table_text(found)));
    return exit_ok;
}

}  // namespace

std::unique_ptr<Command> make_doctor_command() {
    return std::make_unique<DoctorCommand>();
}

}  // namespace puna::cli
